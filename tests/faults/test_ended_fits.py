"""``ridgebench fit`` and ``measure`` whose processes are killed, stopped or cancelled."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest

from bench_core.data import Problem
from bench_core.errors import InputError, ResourceError
from bench_core.fitting.run import fit
from bench_core.measure import FitSpec, measure
from bench_core.records import Record, read
from tests.cores import needs_two_cores
from tests.faults.fits import ALPHAS, SECOND, assert_same, request
from tests.faults.memory_group import memory_group
from tests.faults.traps import set_trap
from tests.small_disk import small_disk
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.usefixtures("installed"),
    needs_two_cores,
]


@pytest.mark.parametrize("fault", ["SIGKILL", "driver"])
def test_a_fit_goes_on_without_what_was_killed(
    fault, problem_folder, scratch, tmp_path, traps, undisturbed_folder
):
    """A node; or the process that leads the nodes, in which Dask's scheduler runs."""
    set_trap(traps, SECOND, fault)
    seen = []
    done = fit(
        request(problem_folder, tmp_path / "out"),
        scratch=scratch,
        progress=lambda what, *_: seen.append(what),
    )
    assert done.record.status == "ok", done.record.reason
    assert_same(tmp_path / "out", undisturbed_folder())
    assert done.record.recovery.redone == 1
    (lost,) = done.record.recovery.lost
    assert "SIGKILL" in lost
    if fault == "SIGKILL":
        assert (traps / f"{SECOND}.pid").read_text() in lost
    assert any("SIGKILL" in warning for warning in done.record.warnings)
    assert sorted(os.listdir(tmp_path)) == ["out", "traps"]


def test_a_fit_that_lost_every_node_begins_again(problem_folder, scratch, tmp_path, traps):
    set_trap(traps, 0, "SIGKILL")
    done = fit(request(problem_folder, tmp_path / "out", nodes=1), scratch=scratch)
    assert done.record.status == "ok", done.record.reason
    assert done.record.recovery.redone == 1
    (lost,) = done.record.recovery.lost
    assert f"pid {(traps / '0.pid').read_text()} " in lost


COMMAND = "import sys; from bench_core.cli import main; sys.argv[0] = 'ridgebench'; main()"


def arguments(problem, out, scratch, name="bmor"):
    """Return the words after ``ridgebench`` of the fit that `request` asks for."""
    return ["fit", f"trapped-{name}", str(problem), "--out", str(out),
            "--alphas", ",".join(map(str, ALPHAS)), "--nodes", "2", "--threads", "1",
            "--split", "run", "--no-figures", "--scratch", str(scratch)]  # fmt: skip


def start_fit(problem, out, scratch, traps, name="bmor"):
    """Start a fit whose second batch is held, and return it when it is so and the first is kept."""
    target = 33 if name == "mor" else SECOND  # mor keeps 32 targets together on two nodes
    set_trap(traps, target, "hold")
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments(problem, out, scratch, name)],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    kept, held = out.with_name("out.unfinished"), traps / f"{target}.pid"
    assert wait_until(
        lambda: (held.exists() and any(kept.glob("batch-*"))) or process.poll() is not None
    )
    assert process.poll() is None, process.communicate()
    return process


def end_by(number, process):
    """Send a signal to a fit that `start_fit` started, and check that all of it ends, and how."""
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "1 finished batch" in said
    assert "--resume" in said
    assert psutil.wait_procs(family, timeout=30)[1] == []


@pytest.mark.parametrize(
    ("name", "number"), [("mor", signal.SIGINT), ("bmor-shared", signal.SIGHUP)]
)
def test_a_cancelled_fit_leaves_only_finished_batches(
    name, number, problem_folder, tmp_path, traps
):
    """Like `bmor` in the test below; that these batches are used: `test_lost_nodes`."""
    scratch = tmp_path / "scratch"
    process = start_fit(problem_folder, tmp_path / "out", scratch, traps, name)
    assert list(tmp_path.glob(".out.partial-*"))
    assert list(tmp_path.glob("scratch/run-*/ridgebench-*/node-1.json"))
    (held,) = traps.glob("*.pid")
    psutil.Process(int(held.read_text())).suspend()  # one that is stopped ends too
    end_by(number, process)
    assert sorted(os.listdir(tmp_path)) == ["out.unfinished", "scratch", "traps"]
    assert os.listdir(scratch) == []
    (made,) = tmp_path.glob("out.unfinished/batch-*")
    assert made.name == ("batch-0-32.npz" if name == "mor" else "batch-0.npz")


def test_a_cancelled_fit_keeps_finished_batches_and_goes_on(
    problem_folder, scratch, tmp_path, traps, undisturbed_folder
):
    out = tmp_path / "out"
    process = start_fit(problem_folder, out, scratch, traps)
    end_by(signal.SIGTERM, process)
    assert sorted(os.listdir(tmp_path)) == ["out.unfinished", "traps"]
    for changes, named in (  # what is not asked for, or is another fit, is refused
        ({}, "--resume"),
        ({"resume": True, "alphas": (1.0, 2.0)}, "alphas"),
        ({"resume": True, "nodes": 1, "threads": 2}, "threads: 1 then, 2 now"),
    ):
        with pytest.raises(InputError, match=named):
            fit(request(problem_folder, out, **changes), scratch=scratch)
    with pytest.raises(InputError, match="X: "):
        fit(request(other_values(problem_folder, tmp_path), out, resume=True), scratch=scratch)
    done = fit(request(problem_folder, out, resume=True), scratch=scratch)
    assert done.record.recovery.resumed == 1
    assert_same(out, undisturbed_folder())
    assert not out.with_name("out.unfinished").exists()


IN_GROUP = """
import os, sys
from pathlib import Path
Path(sys.argv.pop(1), "cgroup.procs").write_text(str(os.getpid()))
"""


def test_a_fit_goes_on_without_a_node_that_ran_out_of_memory(
    problem_folder, scratch, tmp_path, traps, undisturbed_folder
):
    out = tmp_path / "out"
    set_trap(traps, SECOND, "memory")
    with memory_group(1200 * 2**20) as group:
        done = subprocess.run(
            [sys.executable, "-c", IN_GROUP + COMMAND, str(group),
             *arguments(problem_folder, out, scratch)],
            capture_output=True,
            text=True,
            timeout=200,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    recovery = read(Record, out / "record.json").recovery
    assert recovery.redone == 1
    (lost,) = recovery.lost
    assert f"pid {(traps / f'{SECOND}.pid').read_text()} " in lost
    assert "SIGKILL: out of memory" in lost
    assert_same(out, undisturbed_folder())
    assert sorted(os.listdir(tmp_path)) == ["out", "traps"]


def other_values(problem, folder):
    """Return a problem of the same size and times of files, in which one value differs."""
    other = folder / "other"
    shutil.copytree(problem, other)
    X = np.load(other / "X.npy")
    X[3, 2] += 1e-9
    np.save(other / "X.npy", X)
    return other


def wide(folder):
    """Save a problem whose coefficients take many pages of a file, and return its folder."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((150, 400))
    Problem(X, rng.standard_normal((150, 40)), np.repeat(range(3), 50)).save(folder / "wide")
    return folder / "wide"


def test_a_full_disk_keeps_finished_batches(scratch, tmp_path, traps):
    """On a file system that promises space and does not have it."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("import os\nos.posix_fallocate = lambda *_: None\n")
    set_trap(traps, SECOND, "fill")
    with small_disk(tmp_path / "disk", 16) as disk, pytest.MonkeyPatch.context() as patch:
        places = [str(site), os.environ["PYTHONPATH"]]
        patch.setenv("PYTHONPATH", os.pathsep.join(places))
        (traps / f"{SECOND}.disk").write_text(str(disk))
        wanted = request(wide(tmp_path), disk / "out")
        with pytest.raises(ResourceError) as error:
            fit(wanted, scratch=scratch)
        assert "out.unfinished/coef.npy" in str(error.value)
        assert "free" in str(error.value)
        assert "1 finished batch" in error.value.__notes__[0]
        (disk / "filler").unlink()
        done = fit(dataclasses.replace(wanted, resume=True), scratch=scratch)
        assert done.record.status == "ok"
        assert done.record.recovery.resumed == 1
        assert os.listdir(disk) == ["out"]


@pytest.mark.parametrize("fault", ["SIGKILL", "SIGSTOP"])
def test_a_measurement_that_lost_a_process_is_recorded_as_failed(
    fault, problem_folder, scratch, tmp_path, traps
):
    set_trap(traps, SECOND, fault)
    spec = FitSpec(str(problem_folder), "trapped-bmor", nodes=2, alphas=ALPHAS, null="skip")
    record = measure(spec, store=tmp_path / "store", scratch=scratch)
    assert record.status == "failed"
    assert record.times is None
    assert fault in str(record.reason)
    pid = int((traps / f"{SECOND}.pid").read_text())
    assert f"pid {pid} on this machine" in str(record.reason)
    assert not psutil.pid_exists(pid)
    assert measure(spec, store=tmp_path / "store", scratch=scratch).id == record.id
