"""Files and folders honour the user's umask; a report that is interrupted leaves the old one."""

from __future__ import annotations

import stat
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from bench_core import data
from bench_core.accuracy import FitResult, report
from bench_core.accuracy.report import AccuracyRequest, accuracy_report

WRITE = textwrap.dedent("""
    import os, sys
    os.umask(int(sys.argv[1], 8))
    import numpy as np
    from bench_core.accuracy import FitResult
    from bench_core.accuracy.report import AccuracyRequest, accuracy_report
    from bench_core.cli import cli
    from bench_core.data import Problem

    def run(*words):
        cli.main(words, standalone_mode=False)

    os.chdir(sys.argv[2])
    run("problem", "make", "haxby2001", "--out", "haxby")
    run("problem", "make", "parcels", "--scale", "1/256", "--out", "parcels")
    os.mkdir("inputs")
    np.save("inputs/run-1.npy", np.random.default_rng(0).random((12, 3)))
    open("study.toml", "w").write('''
    [targets]
    source = "npy"
    folder = "inputs"
    [features]
    source = "npy"
    folder = "inputs"
    ''')
    run("problem", "build", "study.toml", "--out", "built")
    problem = Problem.open("haxby")
    rows = np.arange(problem.t)
    train, test = rows[:1300], rows[1300:]
    noise = np.random.default_rng(1).random((len(test), problem.s))
    FitResult("haxby", "ridge", train, test, noise, np.full(problem.s, 10.0)).save("fit")
    accuracy_report("fit", AccuracyRequest(permutations=2))
""")


@pytest.mark.parametrize(
    ("umask", "file", "folder"), [("022", 0o644, 0o755), ("077", 0o600, 0o700)]
)
def test_everything_written_has_the_modes_of_the_umask(tmp_path, umask, file, folder):
    done = subprocess.run(
        [sys.executable, "-c", WRITE, umask, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = list(tmp_path.rglob("*"))
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in written}
    expected = {path: folder if path.is_dir() else file for path in written}
    assert modes == expected
    names = {path.relative_to(tmp_path).as_posix() for path in written}
    assert {"haxby/problem.json", "parcels/X.npy", "built/Y.npy", "fit/fit.json"} <= names
    assert {"fit/accuracy/accuracy.json", "fit/accuracy/r_slices.png"} <= names
    assert not any(path.name.startswith(".") for path in written)


def test_an_interrupted_report_leaves_the_old_one(tmp_path, monkeypatch):
    data.synthetic(40, 4, 3, folder=tmp_path / "p")
    rows = np.arange(40)
    prediction = np.random.default_rng(0).random((10, 3))
    result = FitResult(tmp_path / "p", "x", rows[:30], rows[30:], prediction, np.ones(3))
    result.save(tmp_path / "fit")
    accuracy_report(tmp_path / "fit", AccuracyRequest(null=None))
    before = {path: path.read_bytes() for path in (tmp_path / "fit" / "accuracy").iterdir()}

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "write_json", interrupt)
    with pytest.raises(KeyboardInterrupt):
        accuracy_report(tmp_path / "fit", AccuracyRequest(permutations=3))
    after = {path: path.read_bytes() for path in (tmp_path / "fit" / "accuracy").iterdir()}
    assert after == before
    assert [path for path in (tmp_path / "fit").iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("old", "name", "new"),
    [
        ("bench_core.brain.maps", "write_maps", "bench_core.accuracy.maps"),
        ("bench_core.brain.report", "accuracy_report", "bench_core.accuracy.report"),
    ],
)
def test_documented_paths_of_the_last_release_still_work(old, name, new):
    import importlib

    with pytest.warns(DeprecationWarning, match=new):
        found = getattr(importlib.import_module(old), name)
    assert found is getattr(importlib.import_module(new), name)
