"""Two processes over gloo train as one does: gradients, codebook, normalisation, checkpoints."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from videogpt_small import make_store, small
from videogpt_worker import run

from bench_core.errors import InputError
from encoders.videogpt.training.runs import Data, train_vqvae
from encoders.videogpt.training.settings import TrainSettings


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    store = make_store(folder / "clips")
    run(folder / "clips", folder)
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
         str(Path(__file__).with_name("videogpt_worker.py")), str(folder / "clips"), str(folder)],
        check=True,
        cwd=Path(__file__).parents[2],
        env={**_environment(), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        timeout=240,
    )  # fmt: skip
    names = ("1-0", "2-0", "2-1")
    loaded = {name: torch.load(folder / f"{name}.pt", weights_only=True) for name in names}
    return loaded, folder, store


def _environment():
    import os

    here = Path(__file__).parent
    return {**os.environ, "PYTHONPATH": f"{here}:{here.parents[1]}"}


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
