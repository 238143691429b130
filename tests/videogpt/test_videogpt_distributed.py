"""Two processes over gloo train as one does, whatever they share: the batch, parameters, heads.

One start of torchrun serves all: gradients, codebook, normalisation and checkpoints of a shared
batch (`videogpt_worker`), and every way of dividing the parameters (`videogpt_parallel_worker`).
"""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import videogpt_parallel_worker
import videogpt_worker
from videogpt_parallel_worker import CASES, phase_of
from videogpt_small import make_store, small

from bench_core.errors import InputError, UnknownNameError
from encoders.videogpt import checkpoint
from encoders.videogpt.training import parallel
from encoders.videogpt.training.runs import Data, train_vqvae
from encoders.videogpt.training.settings import TrainSettings

HERE = Path(__file__).parent
NAMES = ("1-0", "2-0", "2-1")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with what one process and two processes have trained, and the clips."""
    folder = tmp_path_factory.mktemp("processes")
    store = make_store(folder / "clips")
    for part in ("batches", "ways"):
        (folder / part).mkdir()
    videogpt_worker.run(folder / "clips", folder / "batches")
    videogpt_parallel_worker.run(folder / "clips", folder / "ways")
    environment = {
        **os.environ,
        "PYTHONPATH": f"{HERE}:{HERE.parents[1]}",
        "OMP_NUM_THREADS": "1",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         str(HERE / "videogpt_worker.py"), str(folder / "clips"), str(folder)],
        check=True, cwd=HERE.parents[1], env=environment, timeout=400,
    )  # fmt: skip
    return folder, store


def load(folder):
    return {name: torch.load(folder / f"{name}.pt", weights_only=True) for name in NAMES}


@pytest.fixture(scope="module")
def results(trained):
    folder, store = trained
    return load(folder / "batches"), folder / "batches", store


@pytest.fixture(scope="module")
def ways(trained):
    folder, _ = trained
    return load(folder / "ways"), folder / "ways"


def scales(gradients):
    """Return the largest entry of every module's gradients, by the module's name.

    Two processes add the same terms in another order, so that an entry is off by a share of the
    terms' size: about √n · 2⁻²⁴ of it for n terms, 4e-6 for the 4,096 positions of four clips. An
    entry whose terms cancel may be nearly zero and still be off by as much, as may be the whole
    gradient of a bias before a batch normalisation, which is zero but for rounding. The module's
    largest entry is of the terms' size.
    """
    found = {}
    for name, gradient in gradients.items():
        module = name.rpartition(".")[0]
        found[module] = max(found.get(module, 0.0), float(gradient.abs().max()))
    return found


@pytest.mark.parametrize("phase", ["vqvae", "gpt"])
@pytest.mark.parametrize("process", ["2-0", "2-1"])
def test_gradients_equal_those_of_one_process(results, phase, process):
    loaded, _, _ = results
    one, two = loaded["1-0"][phase], loaded[process][phase]
    for step, (a, b) in enumerate(zip(one["gradients"], two["gradients"], strict=True)):
        assert a.keys() == b.keys()
        scale = scales(a)
        for name in a:
            difference = float((a[name] - b[name]).abs().max())
            assert difference <= 1e-4 * scale[name.rpartition(".")[0]], f"{step} {name}"
    torch.testing.assert_close(one["losses"], two["losses"], rtol=1e-5, atol=1e-6)
    assert one["losses"][-1] < 0.99 * one["losses"][0]  # the steps were long enough to count


def test_gradients_of_the_first_step_equal_to_a_millionth(results):
    loaded, _, _ = results
    for phase in ("vqvae", "gpt"):
        a = loaded["1-0"][phase]["gradients"][0]
        b = loaded["2-1"][phase]["gradients"][0]
        scale = max(float(g.abs().max()) for g in a.values())
        worst = max(float((a[name] - b[name]).abs().max()) for name in a)
        assert worst < 1e-6 * max(scale, 1.0), phase


def test_codebook_and_running_statistics_are_those_of_the_whole_batch(results):
    loaded, _, _ = results
    steps = [loaded[name]["vqvae"]["buffers"] for name in ("1-0", "2-1")]
    for step, (one, two) in enumerate(zip(*steps, strict=True), start=1):
        for name in one:
            torch.testing.assert_close(
                one[name], two[name], rtol=1e-5, atol=1e-6, msg=f"{step} {name}"
            )
        assert float(one["model.codebook.N"].sum()) > 0
        assert int(one["model.decoder.res_stack.1.num_batches_tracked"]) == step


def test_both_processes_end_with_the_same_model(results):
    loaded, _, _ = results
    for phase in ("vqvae", "gpt"):
        for name, value in loaded["2-0"][phase]["state"].items():
            assert torch.equal(value, loaded["2-1"][phase]["state"][name]), name


def test_run_of_two_processes_is_written_once_and_resumed(results):
    _, folder, store = results
    with (folder / "run-2" / "metrics.csv").open() as file:
        two = list(csv.DictReader(file))
    with (folder / "run-1" / "metrics.csv").open() as file:
        one = list(csv.DictReader(file))
    assert [int(row["step"]) for row in two] == [0, 1, 2, 3]
    for a, b in zip(one, two, strict=True):
        assert float(a["loss"]) == pytest.approx(float(b["loss"]), rel=1e-5)
    settings = TrainSettings(steps=5, batch_size=2)
    with pytest.raises(InputError, match=r"processes\D+1\D+2"):
        train_vqvae(Data(store), small(), settings, folder=folder / "run-2")


@pytest.mark.parametrize("case", [f"{name} {way}" for name, way in CASES])
@pytest.mark.parametrize("process", ["2-0", "2-1"])
def test_losses_and_weights_are_those_of_one_process(ways, case, process):
    loaded, _ = ways
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


def test_parameters_are_divided(ways):
    """Half of all in FSDP; in tensor parallel half of the blocks' matrices."""
    loaded, _ = ways
    for process in ("2-0", "2-1"):
        found = loaded[process]
        assert found["gpt fsdp"]["held"] <= 0.51 * found["gpt fsdp"]["trained"]
        assert found["vqvae fsdp"]["held"] <= 0.51 * found["vqvae fsdp"]["trained"]
        assert found["gpt tensor"]["held"] <= 0.7 * found["gpt tensor"]["trained"]


@pytest.mark.parametrize("order", ["fsdp", "tensor", "fsdp-ddp"])
def test_a_resumed_run_ends_as_an_undisturbed_one(ways, order):
    _, folder = ways
    states = [
        torch.load(folder / order / f"{part}-{rank}.pt", weights_only=True)
        for part in ("whole", "parts")
        for rank in (0, 1)
    ]
    for other in states[1:]:
        for name, weight in states[0].items():
            # One way is bit-identical; another adds gradients in another order, in bf16.
            if order == "fsdp-ddp":
                torch.testing.assert_close(weight, other[name], rtol=1e-2, atol=2e-3, msg=name)
            else:
                assert torch.equal(weight, other[name]), name
    written = checkpoint.load_gpt(folder / order / "parts" / "last.pt")
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
