"""Ends of ``ridgebench fit`` before its time: cancelled, killed, and on a disk that is full."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import psutil
import pytest

from bench_core.accuracy.result import FitResult
from bench_core.data import Problem
from bench_core.errors import InputError, ResourceError
from bench_core.fitting import run as fitting
from bench_core.fitting.request import FitRequest
from bench_core.fitting.sources import ProblemSource
from tests.lifeline import Lifeline
from tests.small_disk import fill, small_disk


@pytest.fixture
def fit_at_work(
    oddities: None, problem_folder: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.Popen[bytes], int]:
    """Start a fit that never ends; return it, and the process of its node, which is at work."""
    lifeline = Lifeline(tmp_path_factory.mktemp("notes") / "pids")
    script = "from bench_core.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "fit", "held", str(problem_folder),
         "--option", f"note={lifeline}", "--out", str(tmp_path / "out"), "--nodes", "1",
         "--threads", "1", "--split", "random", "--scratch", str(tmp_path / "scratch")],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    (node,) = lifeline.pids()
    return process, node


def wait_until(condition, seconds=90):
    limit = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < limit:
        time.sleep(0.02)
    return found


def at_work(folder: Path) -> list[int]:
    """Return the processes that have a path below ``folder`` among their arguments."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(str(folder) in word for word in process.cmdline()):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def test_a_cancelled_fit_leaves_nothing(tmp_path, fit_at_work):
    """Ctrl-C; other signals, and fits of which batches are finished, are in tests/faults."""
    number = signal.SIGINT
    process, node = fit_at_work
    assert list(tmp_path.glob(".out.partial-*"))
    assert list(tmp_path.glob("scratch/fit-*/train/X.npy"))
    psutil.Process(node).suspend()  # one that is stopped ends too
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert os.listdir(tmp_path) == ["scratch"]
    assert os.listdir(tmp_path / "scratch") == []
    assert wait_until(lambda: not at_work(tmp_path), 10)


def test_what_a_killed_fit_leaves_goes_with_the_next(tmp_path, fit_at_work):
    process, _ = fit_at_work
    process.kill()
    process.wait()
    # Its worker notices, and removes what is on scratch.
    assert wait_until(lambda: not at_work(tmp_path), 20)
    assert wait_until(lambda: not list(tmp_path.glob("scratch/run-*")), 10)
    assert list(tmp_path.glob(".out.partial-*"))
    problem(tmp_path)
    fitting.fit(request(tmp_path, tmp_path / "next"), scratch=tmp_path / "scratch")
    assert sorted(os.listdir(tmp_path)) == ["next", "problem", "scratch"]
    assert os.listdir(tmp_path / "scratch") == ["blas"]  # the proof, for the next fit


def problem(folder: Path, s: int = 40) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((80, 12)), rng.standard_normal((80, s))
    Problem(X, Y, np.repeat([0, 1], 40)).save(folder / "problem")


def request(folder: Path, out: Path, strategy: str = "ridgecv", **more) -> FitRequest:
    source = ProblemSource(str(folder / "problem"))
    return FitRequest(strategy, source, out, figures=False, **more)


@pytest.mark.parametrize("strategy", ["ridgecv", "multitarget", "bmor-shared", "bmor"])
def test_a_fit_that_a_disk_cannot_hold_is_refused_before_it_begins(tmp_path, strategy):
    problem(tmp_path)
    seen = []
    with small_disk(tmp_path / "disk", 4) as disk:
        with pytest.raises(ResourceError) as error:
            fitting.fit(
                request(tmp_path, disk / "out", strategy),
                scratch=tmp_path / "scratch",
                progress=lambda what, *_: seen.append(what),
            )
        assert str(disk / "out") in str(error.value)
        assert f"{shutil.disk_usage(disk).free} bytes" in str(error.value)
        assert os.listdir(disk) == []
    assert os.listdir(tmp_path / "scratch") == []
    assert "starting" not in seen


@pytest.mark.parametrize("strategy", ["ridgecv", "multitarget"])
def test_a_disk_that_others_fill_meanwhile_has_kept_the_space(tmp_path, strategy):
    problem(tmp_path)
    with small_disk(tmp_path / "disk", 16) as disk:

        def progress(what, *_):
            if what == "splitting":
                fill(disk)

        if strategy == "ridgecv":
            outcome = fitting.fit(
                request(tmp_path, disk / "out"), scratch=tmp_path / "scratch", progress=progress
            )
            assert outcome.record.status == "ok"
            assert FitResult.open(disk / "out").prediction.shape == (8, 40)
            assert np.load(disk / "out" / "coef.npy").shape == (40, 12)
        else:  # which claims the space of coefficients itself, as it begins
            with pytest.raises(ResourceError, match=r"coef.npy.*bytes.*free"):
                fitting.fit(
                    request(tmp_path, disk / "out", strategy),
                    scratch=tmp_path / "scratch",
                    progress=progress,
                )
            assert os.listdir(disk) == ["filler"]


@pytest.mark.parametrize("strategy", ["ridgecv", "bmor"])
def test_running_out_of_disk_is_an_error_that_names_the_file(tmp_path, monkeypatch, strategy):
    """On a file system that reserves nothing."""
    problem(tmp_path, s=2000)
    monkeypatch.setattr(fitting, "hold", lambda *_: None)
    with small_disk(tmp_path / "disk", 16) as disk:

        def progress(what, *_):
            if what == "splitting":
                fill(disk)

        # Nodes write their coefficients while they fit; one process writes all arrays afterwards.
        first = "coef" if strategy == "bmor" else "prediction"
        with pytest.raises(ResourceError, match=rf"{first}.npy needs .*bytes.*free") as error:
            fitting.fit(
                request(tmp_path, disk / "out", strategy),
                scratch=tmp_path / "scratch",
                progress=progress,
            )
        assert "Traceback" not in str(error.value)
        assert os.listdir(disk) == ["filler"]
    assert set(os.listdir(tmp_path / "scratch")) <= {"blas"}


def test_a_copy_that_scratch_cannot_hold_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file.create_dataset("X", data=rng.standard_normal((500, 20)))
        file.create_dataset("Y", data=rng.standard_normal((500, 900)), chunks=True)
    source = ProblemSource(x=f"{tmp_path}/data.h5:X", y=f"{tmp_path}/data.h5:Y")
    with small_disk(tmp_path / "disk", 2) as disk:
        with pytest.raises(ResourceError, match=rf"{disk}.* bytes.*free"):
            fitting.fit(FitRequest("ridgecv", source, tmp_path / "out"), scratch=disk)
        assert os.listdir(disk) == []
        # Enough for the check, but not when the copy begins.
        fill(disk)
        with pytest.raises(ResourceError, match=rf"{disk}.*\(.* bytes\).*free"):
            source.open(disk / "scratch")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("which", ["out", "scratch"])
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path, which):
    (tmp_path / "file").touch()
    places = {"out": tmp_path / "out", "scratch": tmp_path / "scratch"}
    places[which] = tmp_path / "file" / which
    seen = []
    with pytest.raises(InputError, match="file"):
        fitting.fit(
            FitRequest("ridgecv", ProblemSource("haxby2001"), places["out"]),
            scratch=places["scratch"],
            progress=lambda what, *_: seen.append(what),
        )
    assert seen == []
    assert sorted({*os.listdir(tmp_path)} - {"scratch"}) == ["file"]


@pytest.mark.parametrize("which", ["out", "problem", "x"])
def test_a_path_that_is_no_text_is_refused_at_once(tmp_path, which):
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    values = {"problem": "haxby2001", "out": tmp_path / "out"}
    if which == "x":
        values |= {"problem": None, "x": f"{strange}.npy", "y": "Y.npy"}
    else:
        values[which] = strange if which == "out" else str(strange)
    out = values.pop("out")
    with pytest.raises(InputError, match=r"\\xff"):
        fitting.fit(FitRequest("ridgecv", ProblemSource(**values), out), scratch=tmp_path / "s")
    assert os.listdir(tmp_path) == []
