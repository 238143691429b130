"""Splits are partitions, in order, and say when they leak."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_core import data
from bench_core.errors import InputError


def problem_of(runs, delays=None):
    t = len(runs)
    X = np.arange(t * 2.0).reshape(t, 2)
    return data.Problem(
        X, X + 0.5, np.asarray(runs), name="p", meta={"delays": delays} if delays else {}
    )


@given(t=st.integers(20, 300), fraction=st.floats(0.1, 0.9), seed=st.integers(0, 2**31))
def test_random_split_is_an_ordered_partition(t, fraction, seed):
    split = data.random_split(problem_of([1] * t), test_fraction=fraction, seed=seed)
    assert (np.diff(split.train) > 0).all()
    assert (np.diff(split.test) > 0).all()
    assert sorted([*split.train, *split.test]) == list(range(t))
    assert abs(len(split.test) - t * fraction) < 1 + 1e-6
    again = data.random_split(problem_of([1] * t), test_fraction=fraction, seed=seed)
    assert (split.test == again.test).all()


def test_random_split_is_the_thesis_s():
    for t, train in ((2_500, 2_250), (8_650, 7_785), (69_202, 62_281)):
        assert len(data.random_split(problem_of([1] * t)).train) == train
    assert 100 * 0.07 > 7  # and yet 7 % of 100 are 7
    assert len(data.random_split(problem_of([1] * 100), test_fraction=0.07).test) == 7
    one, two = (data.random_split(problem_of([1] * 100), seed=seed).test for seed in (0, 1))
    assert (one != two).any()


@given(
    lengths=st.lists(st.integers(1, 6), min_size=2, max_size=15),
    fraction=st.floats(0.05, 0.5),
)
def test_run_split_never_cuts_a_run(lengths, fraction):
    runs = np.repeat(np.arange(len(lengths)) * 3, lengths)
    split = data.run_split(problem_of(runs), test_fraction=fraction)
    assert sorted([*split.train, *split.test]) == list(range(len(runs)))
    assert not set(runs[split.train]) & set(runs[split.test])
    held = len(set(runs[split.test]))
    assert held == int(np.ceil(len(lengths) * fraction - 1e-9))
    assert set(runs[split.test]) == set(sorted(set(runs))[-held:])
    assert split.warning is None


def test_chosen_runs_are_held_out():
    split = data.run_split(problem_of([1, 1, 2, 3, 3, 3]), test_runs=[2])
    assert split.test.tolist() == [2]
    assert split.kind == "run"


def test_leakage_is_said_once_and_quietly():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        split = data.random_split(problem_of([1] * 40, delays=[1, 2, 3, 4]))
    assert "3 of 4 delays" in split.warning
    assert data.random_split(problem_of([1] * 40)).warning is None
    assert data.random_split(problem_of([1] * 40, delays=[2])).warning is None
    assert data.run_split(problem_of([1, 1, 2, 2], delays=[1, 2])).warning is None


def test_apply_in_memory_and_on_disk_agree(tmp_path):
    problem = data.make("whole-brain-mor", scale=1 / 16, dtype="float32")
    split = data.random_split(problem, seed=3)
    for here, there, rows in zip(
        split.apply(problem), split.apply(problem, tmp_path), (split.train, split.test), strict=True
    ):
        assert isinstance(there.X, np.memmap)
        for one, other, whole in (
            (here.X, there.X, problem.X),
            (here.Y, there.Y, problem.Y),
            (here.runs, there.runs, problem.runs),
        ):
            assert (one == whole[rows]).all()
            assert (other == whole[rows]).all()
            assert one.dtype == other.dtype == whole.dtype
        assert (there.planted == problem.planted).all()
        assert there.meta == problem.meta


def test_splits_that_cannot_be():
    with pytest.raises(InputError, match="1 to test"):
        data.random_split(problem_of([1] * 10))
    with pytest.raises(InputError, match=r"1\.5"):
        data.random_split(problem_of([1] * 10), test_fraction=1.5)
    with pytest.raises(InputError, match="train"):
        data.run_split(problem_of([1] * 10))
    with pytest.raises(InputError, match="no run 7"):
        data.run_split(problem_of([1, 2]), test_runs=[7])
    with pytest.raises(InputError, match="test"):
        data.run_split(problem_of([1, 2]), test_runs=[])
