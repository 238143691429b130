"""Records of fits whose products run in torch: they name torch's library, or are invalid."""

from importlib.util import find_spec

import pytest

from bench_core.blas import detect
from bench_core.blas.torch_watch import TorchProducts
from bench_core.measure import FitSpec, measure
from bench_core.records import parse_record, record_line
from bench_core.records.blas import LibraryRecord, TorchRecord
from bench_core.runner import torch_proof
from tests.devices import needs_torch

ALPHAS = (0.1, 10.0, 1000.0)
LIBRARY = LibraryRecord("mkl", "2024.2", "def", "gnu", 2, "libtorch_cpu.so", "lp64")


@pytest.fixture
def measured(problem_folder, scratch, oddities, tmp_path):
    """Return a function that measures a strategy on the tiny problem."""

    def run(strategy, **options):
        spec = FitSpec(
            str(problem_folder), strategy, alphas=ALPHAS, null="skip", options=options, **numpys()
        )
        return measure(spec, store=tmp_path, scratch=scratch)

    return run


def numpys():
    """Declare the library that numpy calls here: it answers, and must not be named for it."""
    return {"blas": detect().numpy.name}


@needs_torch
@pytest.mark.parametrize(
    ("strategy", "options"),
    [
        ("multitarget", {"device": "torch"}),
        ("ridgecv", {"device": "torch"}),  # in a process that has SCIPY_ARRAY_API
        pytest.param(
            "himalaya",
            {"backend": "torch"},
            marks=pytest.mark.skipif(
                find_spec("himalaya") is None, reason="himalaya is not installed (extra: peers)"
            ),
        ),
        ("secretive", {}),
    ],
)
def test_torchs_library_is_named_and_not_numpys(measured, strategy, options):
    record = measured(strategy, **options)
    assert (record.status, record.reason) == ("ok", None)
    proof = record.blas.torch
    assert proof.device == "cpu"
    assert proof.reason is None
    assert proof.library.name not in ("unknown", "")
    assert "torch" in proof.library.file
    assert proof.library.threads == 1
    assert sum(proof.products.values()) > 0
    assert record.blas.in_torch == proof
    assert parse_record(record_line(record), "this test") == record


@needs_torch
def test_a_strategy_that_says_torch_and_does_not_compute_there_is_invalid(measured):
    record = measured("boastful")
    assert record.status == "invalid"
    assert "torch_device" in record.reason


def test_numpys_fits_have_no_proof_of_torch(measured):
    record = measured("ridgecv")
    assert record.status == "ok"
    assert record.blas.in_torch is None


@needs_torch
def test_every_node_proves_its_torch(measured):
    record = measured("bmor-shared", device="torch")
    assert record.status == "ok"
    assert record.blas.torch is None  # the main process computes nothing
    (node,) = record.blas.workers
    assert node.torch.library.threads == 1
    assert record.blas.in_torch == node.torch


def proof(**changes):
    values = {"device": "cpu", "library": LIBRARY, "built": {}, "precision": "highest"}
    values |= {"allow_tf32": False, "evidence": "", "error": 1e-7, "gflops": 1.0}
    return TorchRecord(**values | changes)


def test_other_threads_and_failed_proofs_are_reasons():
    assert torch_proof.wrong_torch([proof()], 2) is None
    assert "2 threads" in torch_proof.wrong_torch([proof()], 3)
    assert torch_proof.wrong_torch([proof(), proof(reason="in TF32")], 2) == "in TF32"
    assert torch_proof.wrong_torch([], 2) is None


def test_nodes_that_load_torch_unasked_are_doubted():
    loaded = {"node 0": False, "node 1": True}
    assert "node 1" in torch_proof.unwatched(loaded, None)
    assert torch_proof.unwatched(loaded, "cpu") is None
    assert torch_proof.unwatched({"node 0": False}, None) is None


@pytest.mark.parametrize(
    ("declared", "seen", "device"),
    [
        (None, [], None),
        ("cpu", [], "cpu"),
        (None, ["cpu"], "cpu"),
        ("cuda:0", ["cpu", "cuda:0"], "cuda:0"),
        ("cpu", ["cuda:0"], "cuda:0"),
    ],
)
def test_the_device_is_the_one_that_was_seen(declared, seen, device):
    products = TorchProducts()
    for one in seen:
        products.add(one, "mm", "highest")
    assert torch_proof.device_of(declared, products) == device
    assert torch_proof.device_of(declared, None) == declared
    doubted = torch_proof.wrong_device(declared, products) is not None
    assert doubted == (declared is not None and declared not in seen)


@needs_torch
def test_a_record_names_the_gpu_its_driver_and_its_libraries(monkeypatch):
    from bench_core.blas import torch_proof as proving
    from bench_core.blas.report import Library
    from bench_core.machine.gpu import Gpu

    gpu = Gpu(1, "NVIDIA H100", 85 * 10**9, "9.0", "550.54.15", "12.8")
    library = Library("cublas", "12.8.4", "sm_90", None, None, "libcublas.so.12", None)
    asked = []

    def prove(device, dtype, precision):
        asked.append((device, dtype, precision))
        return proving.TorchProof(device, library, {"cuda": "12.8"}, precision, True, gpu=gpu)

    monkeypatch.setattr(proving, "prove_torch", prove)
    seen = TorchProducts()
    for device, name, precision in (
        ("cuda:1", "mm", "highest"),
        ("cuda:1", "_linalg_eigh", "high"),
        ("cpu", "mm", "highest"),
    ):
        seen.add(device, name, precision)
    found = torch_proof.torch_record("cuda:1", "float32", seen)
    assert asked == [("cuda:1", "float32", "high")]  # as loosely as the fit multiplied
    assert vars(found.gpu) == vars(gpu)
    assert (found.library.name, found.library.version) == ("cublas", "12.8.4")
    assert (found.precision, found.allow_tf32) == ("high", True)
    assert found.products == {"_linalg_eigh": 1, "mm": 1}
    # Threads are the processor's affair.
    assert torch_proof.wrong_torch([found], 16) is None


def test_a_probe_that_fails_is_a_reason_and_no_crash():
    pytest.importorskip("torch", reason="torch is not installed")
    record = torch_proof.torch_record("cuda:99", "float64")
    assert record.reason is not None
    assert record.library.name == "unknown"
