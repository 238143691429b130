"""Two processes that share parameters train as one process does, and so do resumed ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from videogpt_parallel_worker import CASES, phase_of, run
from videogpt_small import make_store

from bench_core.errors import InputError, UnknownNameError
from encoders.videogpt import checkpoint
from encoders.videogpt.training import parallel
from encoders.videogpt.training.settings import TrainSettings

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parallel")
    make_store(folder / "clips")
    run(folder / "clips", folder)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{HERE}:{HERE.parents[1]}",
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         str(HERE / "videogpt_parallel_worker.py"), str(folder / "clips"), str(folder)],
        check=True, cwd=HERE.parents[1], env=environment, timeout=400,
    )  # fmt: skip
    names = ("1-0", "2-0", "2-1")
    loaded = {name: torch.load(folder / f"{name}.pt", weights_only=True) for name in names}
    return loaded, folder


@pytest.mark.parametrize("case", [f"{name} {way}" for name, way in CASES])
@pytest.mark.parametrize("process", ["2-0", "2-1"])
def test_losses_and_weights_are_those_of_one_process(results, case, process):
    loaded, _ = results
    one, two = loaded["1-0"][case], loaded[process][case]
    torch.testing.assert_close(one["losses"], two["losses"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(one["norms"], two["norms"], rtol=1e-4, atol=1e-6)
    assert one["losses"][0] != one["losses"][-1]
    assert one["norms"][0] > 0.5  # clipping was at work
    start = phase_of(case.split()[0]).model.state_dict()
    moved = 0.0
    for name, weight in one["state"].items():
        torch.testing.assert_close(weight, two["state"][name], rtol=1e-5, atol=1e-5, msg=name)
        if weight.is_floating_point():
            moved = max(moved, float((weight - start[name]).abs().max()))
    assert moved > 1e-4


def test_parameters_are_divided(results):
    """Half of all in FSDP; in tensor parallel half of the blocks' matrices."""
    loaded, _ = results
    for process in ("2-0", "2-1"):
        found = loaded[process]
        assert found["gpt fsdp"]["held"] <= 0.51 * found["gpt fsdp"]["trained"]
        assert found["vqvae fsdp"]["held"] <= 0.51 * found["vqvae fsdp"]["trained"]
        assert found["gpt tensor"]["held"] <= 0.7 * found["gpt tensor"]["trained"]


@pytest.mark.parametrize("ways", ["fsdp", "tensor", "fsdp-ddp"])
def test_a_resumed_run_ends_as_an_undisturbed_one(results, ways):
    _, folder = results
    states = [
        torch.load(folder / ways / f"{part}-{rank}.pt", weights_only=True)
        for part in ("whole", "parts")
        for rank in (0, 1)
    ]
    for other in states[1:]:
        for name, weight in states[0].items():
            # One way is bit-identical; another adds gradients in another order, in bf16.
            if ways == "fsdp-ddp":
                torch.testing.assert_close(weight, other[name], rtol=1e-2, atol=2e-3, msg=name)
            else:
                assert torch.equal(weight, other[name]), name
    written = checkpoint.load_gpt(folder / ways / "parts" / "last.pt")
    for name, weight in written.state_dict().items():
        assert torch.equal(weight, states[2][name]), name


def test_one_process_divides_nothing():
    phase = phase_of("gpt")
    parallel.divide(phase, "fsdp", torch.device("cpu"))
    assert not parallel.divided(phase)
    assert parallel.wrapped(phase, "ddp") is phase


def test_heads_that_processes_do_not_divide_are_refused(monkeypatch):
    monkeypatch.setattr(parallel.distributed, "world_size", lambda: 3)
    monkeypatch.setattr(parallel, "init_device_mesh", lambda *_: _Mesh())
    with pytest.raises(InputError, match=r"3 processes.*\b4\b"):
        parallel.divide(phase_of("gpt"), "tensor", torch.device("cpu"))
    with pytest.raises(InputError, match="VQ-VAE"):
        parallel.divide(phase_of("vqvae"), "tensor", torch.device("cpu"))
    with pytest.raises(UnknownNameError, match="fsdp"):
        TrainSettings(steps=1, parallel="fsdp2")


class _Mesh:
    def size(self) -> int:
        return 3
