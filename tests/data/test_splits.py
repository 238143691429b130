"""Splits are partitions, in order, and say when they leak."""

from __future__ import annotations

import math
import re
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter

from bench_core import data
from bench_core.data import Problem
from bench_core.data.neighbours import measure_resemblance
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
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 9),
)
def test_the_default_is_by_run_where_each_part_keeps_enough_runs(lengths, fraction, seed):
    runs = np.repeat(np.arange(len(lengths)) * 3 + 1, lengths)
    held = math.ceil(len(lengths) * fraction - 1e-9)
    test = sum(lengths[-held:])
    enough = len(lengths) - held >= 2 and 2 * test <= len(runs)
    choice = data.choose_split(runs, test_fraction=fraction)
    assert choice.kind == ("run" if enough else "random")
    if not enough and min(len(runs) * fraction, len(runs) * (1 - fraction)) < 3:
        return  # a random split may leave too few samples
    split = data.auto_split(problem_of(runs), test_fraction=fraction, seed=seed)
    assert (split.kind, split.reason) == (choice.kind, choice.reason)
    expected = (
        data.run_split(problem_of(runs), test_fraction=fraction)
        if enough
        else data.random_split(problem_of(runs), test_fraction=fraction, seed=seed)
    )
    assert (split.test == expected.test).all()
    assert split.warning == expected.warning


@pytest.mark.parametrize(("name", "scale"), [("haxby2001", 1.0), ("parcels", 1 / 512)])
def test_runs_of_a_named_problem_are_known_before_it_is_made(name, scale):
    made = data.make(name, scale=scale)
    np.testing.assert_array_equal(data.problem_runs(name, scale=scale), made.runs)


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


def series(t, n, phi, rng):
    """Return n first-order autoregressions (t, n) with coefficient phi, by scipy's filter."""
    return lfilter([1], [1, -phi], rng.standard_normal((t + 200, n)), axis=0)[200:]


def test_delays_made_by_hand_warn():
    rng = np.random.default_rng(0)
    features = series(404, 6, 0.8, rng)
    X = np.hstack([features[4 - k : 404 - k] for k in (1, 2, 3, 4)])
    problem = Problem.from_arrays(X, series(400, 5, 0.4, rng), np.repeat([1, 2], 200))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        split = data.random_split(problem)
    in_x, in_y = map(float, re.findall(r"(0\.\d\d) in [XY]", split.warning))
    assert in_x == pytest.approx(0.8, abs=0.1)
    assert in_y == pytest.approx(0.4, abs=0.15)
    assert "--split run" in split.warning
    assert "--runs" not in split.warning  # the runs are known
    assert data.run_split(problem).warning is None
    alone = Problem.from_arrays(X, series(400, 5, 0.4, rng), np.ones(400, int))
    assert "--runs" in data.random_split(alone).warning


@pytest.mark.parametrize(("phi_x", "phi_y"), [(0.0, 0.0), (0.9, 0.0), (0.0, 0.9)])
def test_rows_that_say_nothing_of_their_neighbours_do_not_warn(phi_x, phi_y):
    # Smooth features of targets without memory leak nothing, nor the other way round.
    warned = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        t, p, s = int(rng.integers(20, 300)), int(rng.integers(1, 40)), int(rng.integers(1, 40))
        X, Y = series(t, p, phi_x, rng), series(t, s, phi_y, rng)
        problem = Problem.from_arrays(X, Y, np.repeat([1, 2], [t // 2, t - t // 2]))
        warned += data.random_split(problem).warning is not None
    assert warned <= 1


@pytest.mark.parametrize("phi", [0.0, 0.3, 0.9])
def test_resemblance_is_the_autocorrelation(phi):
    rng = np.random.default_rng(1)
    X, Y = series(5000, 200, phi, rng), series(5000, 3, phi, rng)
    found = measure_resemblance(X, Y, np.zeros(5000, int))
    assert found.x == pytest.approx(phi, abs=0.04)
    assert found.y == pytest.approx(phi, abs=0.05)
    assert found.pairs == 32 * 63
    assert found.leaks == (phi > 0.2)


def test_pairs_never_cross_a_run():
    # Runs of one sample each have no neighbours of their own run.
    problem = Problem.from_arrays(*np.ones((2, 30, 2)).cumsum(axis=1), np.arange(30))
    assert data.random_split(problem).warning is None


def test_constant_columns_and_missing_values_say_nothing():
    X = np.ones((50, 3))
    X[:, 1] = np.nan
    found = measure_resemblance(X, X, np.zeros(50, int))
    assert (found.x, found.y, found.leaks) == (0.0, 0.0, False)


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
