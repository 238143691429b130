"""torch's library is named by what it does: its own gemm, its threads, its rounding."""

from types import SimpleNamespace

import numpy as np
import pytest

from bench_core.blas import detect
from bench_core.blas.torch_watch import TorchProducts, watch_products
from bench_core.errors import RidgebenchError
from bench_core.machine import gpu

torch = pytest.importorskip("torch", reason="torch is not installed")

from bench_core.blas import torch_proof  # noqa: E402
from bench_core.blas.threads import torch_threads  # noqa: E402
from bench_core.blas.torch_library import build, gpu_library, mkl_kernels  # noqa: E402
from tests.devices import torch_devices  # noqa: E402

GEOMETRY = 2.0**-11
"""Unit in the last place of TF32."""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@torch_devices
def test_a_product_in_torch_is_proven(device, dtype):
    where = {"torch": "cpu", "cuda": "cuda:0"}[device]
    proof = torch_proof.prove_torch(where, dtype)
    assert proof.reason is None
    assert proof.device == where
    assert proof.gflops > 0
    assert proof.built["torch"] == torch.__version__
    assert 0 < proof.error < torch_proof.LARGEST_ERROR[dtype]
    assert proof.library.name not in ("unknown", "")
    # Never the file that numpy calls.
    assert proof.library.file != detect().numpy.file
    assert (proof.gpu is not None) == (device == "cuda")


@pytest.mark.skipif(
    not torch.backends.mkl.is_available(), reason="this build of torch has no oneMKL"
)
@pytest.mark.parametrize("threads", [1, 2])
def test_mkl_reports_the_threads_of_its_own_product(threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        proof = torch_proof.prove_torch("cpu", "float64")
        assert proof.library.threads == threads
        assert torch_threads(threads)[0].package == "torch"
    finally:
        torch.set_num_threads(before)
    assert proof.library.name == "mkl"
    assert proof.library.architecture in ("def", "avx", "avx2", "avx512")


def test_rounding_to_tf32_is_seen_in_the_product_itself(monkeypatch):
    def rounded(a):
        """Round a float32 tensor to 10 bits of fraction, as TF32 does."""
        bits = a.numpy().view(np.uint32)
        kept = (bits + 0x1000) & np.uint32(0xFFFFE000)
        return torch.from_numpy(kept.view(np.float32))

    product = torch.Tensor.__matmul__
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: product(rounded(a), rounded(b)))
    proof = torch_proof.prove_torch("cpu", "float32")
    assert GEOMETRY / 10 < proof.error < GEOMETRY
    assert proof.reason is not None
    assert "float32" in proof.reason


def test_a_library_that_is_not_found_proves_nothing(monkeypatch):
    unknown = torch_proof.cpu_library().__class__("unknown", None, None, None, None, None, None)
    monkeypatch.setattr(torch_proof, "cpu_library", lambda: unknown)
    assert torch_proof.prove_torch("cpu", "float64").reason is not None


def test_mkl_that_did_not_compute_the_product_proves_nothing(monkeypatch):
    monkeypatch.setattr(torch_proof, "_VERBOSE_GEMM", torch_proof.re.compile("no (such) (line)"))
    if torch_proof.cpu_library().name != "mkl":
        pytest.skip("this build of torch has no oneMKL inside")
    assert "DGEMM" in torch_proof.prove_torch("cpu", "float64").reason


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch finds a GPU here")
def test_a_device_that_is_not_there_is_an_error():
    with pytest.raises(RidgebenchError, match="cuda:0"):
        torch_proof.prove_torch("cuda:0", "float32")


def test_precision_is_put_back():
    before = torch.get_float32_matmul_precision()
    assert torch_proof.prove_torch("cpu", "float32", "high").precision == "high"
    assert torch.get_float32_matmul_precision() == before


def test_the_build_is_read_from_what_torch_says():
    text = "Math Kernel Library Version 2024.2-Product\nBLAS_INFO=open, LAPACK_INFO=open, x\n"
    fake = SimpleNamespace(
        __version__="2.9.0",
        __config__=SimpleNamespace(show=lambda: text + "  - CPU capability usage: AVX512\n"),
        version=SimpleNamespace(cuda="12.8", hip=None),
    )
    assert build(fake) == {
        "torch": "2.9.0",
        "blas": "open",
        "lapack": "open",
        "mkl": "2024.2-Product",
        "cpu kernels": "AVX512",
        "cuda": "12.8",
    }


@pytest.mark.parametrize(
    ("words", "kernels"),
    [
        ("Intel(R) Architecture processors, Lnx", "def"),
        ("Intel(R) Advanced Vector Extensions 2 (Intel(R) AVX2) enabled processors, Lnx", "avx2"),
        ("processors", None),
    ],
)
def test_kernels_of_mkl_are_read_from_its_first_line(words, kernels):
    assert mkl_kernels(f"MKL_VERBOSE oneMKL 2024.0 for Intel(R) 64 architecture {words}") == kernels


def test_cublas_is_the_mapped_file():
    mapped = ["/usr/lib/libcublasLt.so.12", "/opt/nvidia/libcublas.so.12", "/usr/lib/libc.so.6"]
    found = gpu_library((9, 0), mapped, lambda file: f"version of {file}")
    assert (found.name, found.architecture) == ("cublas", "sm_90")
    assert found.file == "/opt/nvidia/libcublas.so.12"
    assert found.version == "version of /opt/nvidia/libcublas.so.12"
    assert gpu_library((9, 0), mapped[::2]).name == "unknown"


def test_a_file_that_is_no_cublas_has_no_version():
    assert gpu.cublas_version(detect().numpy.file) is None
    assert gpu.cublas_version("/no/such/libcublas.so") is None


def test_the_gpu_is_described_by_torch_and_its_driver(monkeypatch):
    answer = [{"name": "X", "memory_bytes": 1, "driver": "550.54.15"}]
    monkeypatch.setattr(gpu, "gpus", lambda: answer)
    properties = SimpleNamespace(name="NVIDIA H100", total_memory=85 * 10**9, major=9, minor=0)
    fake = SimpleNamespace(
        cuda=SimpleNamespace(get_device_properties=lambda number: properties),
        version=SimpleNamespace(cuda="12.8"),
    )
    expected = gpu.Gpu(1, "NVIDIA H100", 85 * 10**9, "9.0", "550.54.15", "12.8")
    assert gpu.torch_gpu(1, fake) == expected


def test_calls_are_counted_by_device_and_name():
    a = torch.eye(3, dtype=torch.float64)
    with watch_products() as seen:
        a @ a
        torch.linalg.eigh(a)
        a + a
    a @ a  # after the end
    assert seen.devices == ["cpu"]
    assert seen.on("cpu") == {"_linalg_eigh": 1, "mm": 1}
    assert seen.precisions == {torch.get_float32_matmul_precision()}


def test_gpus_come_first():
    seen = TorchProducts()
    for device in ("cpu", "cuda:1", "cpu"):
        seen.add(device, "mm", "highest")
    assert seen.devices == ["cuda:1", "cpu"]
    assert seen.on("cpu") == {"mm": 2}
