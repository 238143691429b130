"""A problem comes back from its folder as it was, or says what is wrong."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_core.data import Problem, generator, synthetic
from bench_core.errors import InputError, ResourceError


def small(dtype="float64", names=True, planted=True):
    rng = np.random.default_rng(5)
    return Problem(
        rng.standard_normal((6, 4)).astype(dtype),
        rng.standard_normal((6, 3)).astype(dtype),
        np.array([1, 1, 1, 2, 2, 2]),
        name="small",
        target_names=["left", "right", "Übergang"] if names else None,
        planted=np.array([0.5, 0, 0]) if planted else None,
        meta={"licence": "none", "delays": [1, 2]},
    )


@given(
    dtype=st.sampled_from(["float32", "float64"]),
    names=st.booleans(),
    planted=st.booleans(),
    order=st.sampled_from("CF"),
)
@settings(max_examples=16)
def test_round_trip(tmp_path_factory, dtype, names, planted, order):
    problem = small(dtype, names, planted)
    folder = tmp_path_factory.mktemp("problem") / "deeper" / "saved"
    Problem(
        np.asarray(problem.X, order=order),
        np.asarray(problem.Y, order=order),
        problem.runs,
        name=problem.name,
        target_names=problem.target_names,
        planted=problem.planted,
        meta=problem.meta,
    ).save(folder)
    found = Problem.open(folder)
    for one, other in ((problem.X, found.X), (problem.Y, found.Y), (problem.runs, found.runs)):
        assert one.dtype == other.dtype
        assert (one == other).all()
    assert isinstance(found.X, np.memmap)
    assert found.X.flags.c_contiguous
    assert not found.Y.flags.writeable
    assert (found.name, found.target_names, found.meta) == (
        problem.name,
        problem.target_names,
        problem.meta,
    )
    assert (found.planted is None) == (problem.planted is None)
    assert found.nbytes == problem.nbytes == 6 * 7 * found.dtype.itemsize
    assert [path.name for path in folder.parent.iterdir()] == ["saved"]


def test_numpy_alone_reads_the_arrays(tmp_path):
    problem = small()
    problem.save(tmp_path / "p")
    assert (np.load(tmp_path / "p" / "X.npy") == problem.X).all()
    assert json.loads((tmp_path / "p" / "problem.json").read_text())["arrays"]["X"]["shape"] == [
        6,
        4,
    ]


@pytest.mark.parametrize("file", ["X.npy", "Y.npy", "runs.npy", "target_names.npy"])
@pytest.mark.parametrize("kept", [None, 0, 40, -1])
def test_missing_and_truncated_files_are_named(tmp_path, file, kept):
    small().save(tmp_path / "p")
    path = tmp_path / "p" / file
    content = path.read_bytes()
    path.unlink()
    if kept is not None:
        path.write_bytes(content[:kept])
    with pytest.raises(
        InputError, match=f"{file}.*{'missing' if kept is None else 'bytes instead'}"
    ):
        Problem.open(tmp_path / "p")


def test_arrays_that_are_not_those_described(tmp_path):
    small().save(tmp_path / "p")
    np.save(tmp_path / "p" / "X.npy", small().X.T)
    with pytest.raises(InputError, match=r"X\.npy.*\(4, 6\)"):
        Problem.open(tmp_path / "p")


def test_damaged_header(tmp_path):
    small().save(tmp_path / "p")
    path = tmp_path / "p" / "Y.npy"
    path.write_bytes(b"\0" * path.stat().st_size)
    with pytest.raises(InputError, match=r"Y\.npy"):
        Problem.open(tmp_path / "p")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"schema": "ridgebench-problem/1"}', "damaged.*arrays"),
        ('{"schema": "ridgebench-problem/9", "arrays": {}}', "ridgebench-problem/9"),
        ('{"schema": "ridgebench-problem/1", "arrays": {}}', "no X, Y, runs"),
    ],
)
def test_damaged_descriptions(tmp_path, text, named):
    small().save(tmp_path / "p")
    (tmp_path / "p" / "problem.json").write_text(text)
    with pytest.raises(InputError, match=named):
        Problem.open(tmp_path / "p")


def test_no_folder_at_all(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        Problem.open(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no problem\.json"):
        Problem.open(tmp_path)


def test_an_existing_folder_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="mine"):
        small().save(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_an_interrupted_write_stops_and_leaves_nothing(tmp_path, monkeypatch):
    begun, cancelled = [], threading.Event()
    fill = generator._fill_run

    def counted(plan, run, *rest):
        begun.append(run)
        if run:
            cancelled.wait(60)
        return fill(plan, run, *rest)

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait=True, *, cancel_futures=False):
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            cancelled.set()
            super().shutdown(wait=wait)

    monkeypatch.setattr(generator, "_fill_run", counted)
    monkeypatch.setattr(generator, "ThreadPoolExecutor", Pool)

    def interrupt(what, done=0, total=0):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthetic(20_000, 4, 1, folder=tmp_path / "p", progress=interrupt, threads=2)
    assert len(begun) <= 3  # the first, and one per thread that the interruption found at work
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_before_writing(tmp_path):
    with pytest.raises(ResourceError, match="disk"):
        Problem(
            np.broadcast_to(1.0, (2**30, 2**20)), np.broadcast_to(1.0, (2**30, 1)), _Runs(2**30)
        ).save(tmp_path / "p")
    assert list(tmp_path.iterdir()) == []


def _Runs(t):
    return np.broadcast_to(np.int64(1), (t,))


def test_meta_that_json_cannot_hold(tmp_path):
    problem = small()
    problem.meta["when"] = object()
    with pytest.raises(InputError, match="JSON"):
        problem.save(tmp_path / "p")
    assert list(tmp_path.iterdir()) == []


def test_problems_that_are_none():
    X, Y, runs = np.ones((4, 2)), np.ones((4, 3)), np.ones(4, int)
    for arguments, named in (
        ((X, Y[:3], runs), "4 samples and Y has 3"),
        ((X, Y.astype("float32"), runs), "float32"),
        ((X.astype(int), Y.astype(int), runs), "int64"),
        ((X, Y, runs[:3]), "4 integers"),
        ((X, Y, runs.astype(float)), "float64"),
    ):
        with pytest.raises(InputError, match=named):
            Problem(*arguments)
    with pytest.raises(InputError, match="1 target"):
        Problem(X, Y, runs, target_names=["a"])


def test_own_arrays_become_a_problem():
    Y = np.arange(8).reshape(4, 2)
    problem = Problem.from_arrays(np.eye(4, dtype=np.float32), Y, name="mine")
    assert problem.dtype == np.float64
    assert problem.runs.tolist() == [1, 1, 1, 1]
    X = np.eye(4)
    assert Problem.from_arrays(X, X).X is X
    X[2, 1] = np.nan
    with pytest.raises(InputError, match="row 2, column 1"):
        Problem.from_arrays(X, Y)
