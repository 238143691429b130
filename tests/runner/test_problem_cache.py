"""The scratch cache of problems: made once, shared, never stale, cleared when too large."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench_core.data import Problem, make, random_split
from bench_core.errors import InputError, ResourceError, UnknownNameError
from bench_core.measure import FitSpec
from bench_core.runner import problem_cache
from bench_core.runner.problem_cache import cached, clear, problem_shape, scratch_folder, size_limit

SMALL = FitSpec("parcels", "ridgecv", scale=1 / 512, split="random")


def _entries(scratch: Path) -> set[str]:
    return {path.name for path in (scratch / "problems").iterdir() if path.is_dir()}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_entry_holds_the_split_problem(tmp_path: Path, dtype: str) -> None:
    case = replace(SMALL, dtype=dtype, seed=4)
    whole = make("parcels", scale=1 / 512, seed=4, dtype=dtype)
    split = random_split(whole, seed=4)
    with cached(case, scratch=tmp_path) as entry:
        train, test = Problem.open(entry.folder / "train"), Problem.open(entry.folder / "test")
        assert np.array_equal(train.X, whole.X[split.train])
        assert np.array_equal(test.Y, whole.Y[split.test])
        assert train.dtype == dtype
        assert isinstance(train.X, np.memmap)
        assert entry.split["t_train"] == len(split.train)
        assert entry.split["warning"] == split.warning
        assert sorted(path.name for path in entry.folder.iterdir()) == [
            "split.json",
            "test",
            "train",
        ]


def test_haxby_is_split_into_runs_1_to_10_and_11_to_12(tmp_path: Path) -> None:
    case = FitSpec("haxby2001", "ridgecv", split="run")
    with cached(case, scratch=tmp_path) as entry:
        assert set(Problem.open(entry.folder / "train").runs) == set(range(1, 11))
        assert set(Problem.open(entry.folder / "test").runs) == {11, 12}
        assert entry.split["warning"] is None


def test_cases_that_differ_in_the_fit_only_share_an_entry(tmp_path: Path) -> None:
    others = [
        replace(SMALL, strategy="bmor", nodes=2, threads=3),
        replace(SMALL, repeats=9, blas="mkl", alphas=(1.0,), fit_intercept=False),
    ]
    for case in [SMALL, *others]:
        with cached(case, scratch=tmp_path):
            pass
    assert len(_entries(tmp_path)) == 1
    for case in (
        replace(SMALL, seed=1),
        replace(SMALL, split="run"),
        replace(SMALL, split="auto"),  # by run, as the problem has 10
    ):
        with cached(case, scratch=tmp_path):
            pass
    assert len(_entries(tmp_path)) == 3


def test_another_generator_is_another_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with cached(SMALL, scratch=tmp_path) as entry:
        first = entry.split["fingerprint"]
    monkeypatch.setattr(problem_cache, "_generator", lambda: "changed")
    with cached(SMALL, scratch=tmp_path) as entry:
        assert entry.split["fingerprint"] != first


def test_a_changed_problem_folder_is_another_problem(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((40, 3)), rng.standard_normal((40, 2))
    folder = tmp_path / "mine"
    case = FitSpec(str(folder), "ridgecv", split="run", dtype="float32")
    for shift in (0.0, 1.0):
        Problem.from_arrays(X, Y + shift, np.repeat([1, 2], 20)).save(folder)
        with cached(case, scratch=tmp_path) as entry:
            train = Problem.open(entry.folder / "train")
            assert train.dtype == np.float32
            expected = (Y[:20] + shift).astype(np.float32)
            assert np.array_equal(train.Y, expected)
        for path in sorted(folder.iterdir()):
            path.unlink()
        folder.rmdir()


def test_a_value_in_a_problem_folder_that_no_fit_can_use_is_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((40, 3)), rng.standard_normal((40, 2))
    Y[7, 1] = np.nan
    Problem(X, Y, np.ones(40, int)).save(tmp_path / "mine")
    with (
        pytest.raises(InputError, match="row 7"),
        cached(FitSpec(str(tmp_path / "mine"), "ridgecv"), scratch=tmp_path),
    ):
        pass
    assert not _entries(tmp_path)


def test_several_that_want_one_problem_at_once_make_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    really_make = problem_cache._make

    def make_once(case: FitSpec, source: dict, folder: Path) -> None:
        made.append(folder)
        really_make(case, source, folder)

    monkeypatch.setattr(problem_cache, "_make", make_once)
    absent, together = threading.Barrier(3), threading.Barrier(3)
    sizes = []

    def all_have_seen_that_it_is_absent(*_progress: object) -> None:
        absent.wait(timeout=60)

    def use() -> None:
        with cached(SMALL, scratch=tmp_path, progress=all_have_seen_that_it_is_absent) as entry:
            together.wait(timeout=60)  # all of them hold it at the same time
            sizes.append(Problem.open(entry.folder / "train").t)

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(set(sizes)) == 1
    assert len(sizes) == 3


def test_what_a_killed_process_left_behind_is_made_again(tmp_path: Path) -> None:
    with cached(SMALL, scratch=tmp_path) as entry:
        folder = entry.folder
    (folder / "split.json").unlink()
    folder.rename(folder.with_name(f"{folder.name}.partial"))
    with cached(SMALL, scratch=tmp_path) as entry:
        assert (entry.folder / "split.json").is_file()
    assert _entries(tmp_path) == {folder.name}


def _fill(scratch: Path, seeds: range) -> list[str]:
    """Make one entry per seed, used in this order, and return their names."""
    names = []
    for seed in seeds:
        with cached(replace(SMALL, seed=seed), scratch=scratch) as entry:
            names.append(entry.folder.name)
            size = sum(path.stat().st_size for path in entry.folder.rglob("*") if path.is_file())
        os.utime(entry.folder, (seed + 1, seed + 1))  # long ago, and each at its own time
    assert size > 0
    return names


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    names = _fill(tmp_path, range(4))
    with cached(replace(SMALL, seed=0), scratch=tmp_path):
        pass  # used again: now the newest
    root = tmp_path / "problems"
    each = problem_cache._bytes_in(root / names[0])
    assert clear(root, limit=int(2.5 * each)) == names[1:3]
    assert _entries(tmp_path) == {names[0], names[3]}
    assert clear(root, limit=int(2.5 * each)) == []


def test_an_entry_in_use_is_not_cleared(tmp_path: Path) -> None:
    names = _fill(tmp_path, range(2))
    with cached(replace(SMALL, seed=0), scratch=tmp_path) as entry:
        assert clear(tmp_path / "problems", limit=0) == [names[1]]
        assert Problem.open(entry.folder / "train").t > 0
    assert clear(tmp_path / "problems", limit=0) == [names[0]]


def test_making_a_problem_clears_what_exceeds_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(problem_cache.LIMIT, "0")
    names = _fill(tmp_path, range(3))
    assert _entries(tmp_path) == {names[-1]}


@pytest.mark.parametrize("text", ["-1", "much", "nan"])
def test_a_limit_that_is_none_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(problem_cache.LIMIT, text)
    with pytest.raises(InputError, match=text):
        size_limit()


def test_too_small_a_disk_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 1000

    monkeypatch.setattr(problem_cache.shutil, "disk_usage", lambda path: Usage)
    with (
        pytest.raises(ResourceError, match=r"1000 bytes.*RIDGEBENCH_SCRATCH"),
        cached(SMALL, scratch=tmp_path),
    ):
        pass
    assert not _entries(tmp_path)


def test_the_scratch_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(problem_cache.LOCATION, raising=False)
    assert scratch_folder() == tmp_path / "cache" / "ridgebench"
    monkeypatch.setenv(problem_cache.LOCATION, str(tmp_path / "disk"))
    assert scratch_folder() == tmp_path / "disk"
    assert scratch_folder(tmp_path) == tmp_path


def test_sizes_are_known_without_making_anything(problem_folder: Path) -> None:
    size = problem_shape(FitSpec("roi", "ridgecv", dtype="float32"))
    assert (size.t, size.p, size.s) == (69_202, 16_384, 6_728)
    assert size.nbytes == 4 * 69_202 * (16_384 + 6_728)
    size = problem_shape(FitSpec(str(problem_folder), "ridgecv"))
    assert (size.name, size.scale, size.nbytes) == ("tiny", None, 8 * 200 * 15)
    with pytest.raises(UnknownNameError, match="'roi'"):
        problem_shape(FitSpec("rio", "ridgecv"))
    with pytest.raises(InputError, match="/no/such"):
        problem_shape(FitSpec("/no/such", "ridgecv"))


def test_a_truncated_problem_folder_is_an_error(problem_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    Problem.open(problem_folder).save(folder)
    description = json.loads((folder / "problem.json").read_text())
    assert description
    with (folder / "X.npy").open("r+b") as file:
        file.truncate(500)
    with pytest.raises(InputError, match=r"X\.npy"):
        problem_shape(FitSpec(str(folder), "ridgecv"))
