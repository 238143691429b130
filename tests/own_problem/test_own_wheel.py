"""The wheel, installed in an environment of its own: a sweep in an empty folder without git."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench_core.data import Problem
from bench_core.records import codec, read_runs
from bench_core.scaling.calibration import read_calibration
from tests.installed import Installed


def ridgebench(
    installed: Installed, folder: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(installed.prefix / "bin" / "ridgebench"), *arguments],
        cwd=folder,
        env={**variables, "RIDGEBENCH_SCRATCH": str(folder / "scratch"), "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
        preexec_fn=on_one_core,
    )


def on_one_core() -> None:
    """Let a process have one core: a sweep there is two runs of one fit."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


@pytest.mark.slow
def test_a_sweep_in_an_empty_folder_without_git(installed: Installed, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 8))
    Y = X @ rng.standard_normal((8, 5)) + rng.standard_normal((300, 5))
    Problem.from_arrays(X, Y, np.repeat(range(6), 50), name="mine").save(tmp_path / "mine")
    command = ("bench", "--problem", "mine", "--machine", "here", "--strategies", "ridgecv")
    command += ("--nodes", "1", "--threads", "1", "--blas", "openblas", "--accept-load")
    # Some calibration of one core, which then need not be measured.
    table = read_calibration("xeon-6130-openblas")
    table = replace(table, machine=replace(table.machine, cores=1))
    codec.write(table, tmp_path / ".asv" / "calibration" / "openblas.json")
    done = ridgebench(installed, tmp_path, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("mine: ridgecv, float64, 1 node × ")
    assert "$ ridgebench fit ridgecv mine " in done.stdout
    runs = read_runs(tmp_path / "results", "here")
    fits = [one for run in runs for one in run.fits]
    assert fits
    assert {one.status for one in fits} == {"ok"}
    assert {one.commit for one in fits} == {None}  # the wheel's package, and no checkout's
    assert all(one.case.problem.name == "mine" for one in fits)
    (session,) = {one.case.session: one for run in runs for one in run.sessions}.values()
    assert (session.problem, session.data) == ("mine", ("mine",))
    page = (tmp_path / "pages" / "mine" / "answer.html").read_text("utf-8")
    assert "<h2>mine</h2>" in page.partition('<article class="card">')[2]
    again = ridgebench(installed, tmp_path, *command)
    assert again.returncode == 0
    assert again.stdout.partition("\n")[0] == done.stdout.partition("\n")[0]
    after = [one for run in read_runs(tmp_path / "results", "here") for one in run.fits]
    assert {one.id for one in after} == {one.id for one in fits}
