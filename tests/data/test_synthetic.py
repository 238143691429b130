"""The generator plants what it says, and always the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from bench_core import data
from bench_core.accuracy import pearson_r
from bench_core.data import generator
from bench_core.data.delays import run_slices
from bench_core.errors import InputError, ResourceError


@pytest.fixture(scope="module")
def long():
    return data.synthetic(24_000, 64, 40, seed=11)


def test_a_ridge_fit_attains_the_planted_r(long):
    train, test = data.run_split(long, test_fraction=0.5).apply(long)
    prediction = Ridge(alpha=100).fit(train.X, train.Y).predict(test.X)
    r = pearson_r(test.Y, prediction)
    # Autocorrelated series count for fewer samples: n (1 − ab) / (1 + ab), response a, noise b.
    effective = test.t * (1 - 0.8 * 0.4) / (1 + 0.8 * 0.4)
    error = 1 / np.sqrt(effective)
    planted = long.planted > 0
    assert planted.tolist() == [True] * 10 + [False] * 30
    assert long.planted[planted].min() >= 0.2
    assert np.abs(r - long.planted)[planted].max() < 4 * error
    assert np.abs(r[~planted]).max() < 4 * error
    assert abs((r - long.planted)[planted].mean()) < 2 * error


def test_variances_and_autocorrelations(long):
    q = long.p // 4
    deviation = 5 * np.sqrt(2 / (long.t / 10))
    expected = 1 / (1 + np.arange(q) / 16)
    np.testing.assert_allclose(long.X.var(axis=0), np.tile(expected, 4), rtol=deviation)
    np.testing.assert_allclose(long.Y.var(axis=0), 1, rtol=deviation)
    assert np.abs(long.X.mean(axis=0)).max() < 0.1
    within = np.concatenate([np.arange(r.start + 1, r.stop) for r in run_slices(long.runs)])
    np.testing.assert_allclose(pearson_r(long.X[within], long.X[within - 1]), 0.8, atol=0.03)
    noise = long.Y[:, long.planted == 0]
    np.testing.assert_allclose(pearson_r(noise[within], noise[within - 1]), 0.4, atol=0.03)


def test_runs_start_anew(long):
    starts = np.array([r.start for r in run_slices(long.runs)][1:])
    assert len(starts) == 47
    bound = 5 / np.sqrt(len(starts))
    between = [np.abs(pearson_r(A[starts], A[starts - 1])) for A in (long.X, long.Y)]
    assert max(r.max() for r in between) < bound


@given(t=st.integers(2, 400), q=st.integers(1, 5), s=st.integers(1, 5))
@settings(max_examples=30)
def test_columns_are_delays_of_one_another_within_runs_only(t, q, s):
    problem = data.synthetic(t, 4 * q, s)
    assert (problem.t, problem.p, problem.s) == (t, 4 * q, s)
    for rows in run_slices(problem.runs):
        X = problem.X[rows]
        assert (X[1:, q:] == X[:-1, :-q]).all()
    for rows in run_slices(problem.runs)[1:]:
        assert (problem.X[rows.start, q:] != problem.X[rows.start - 1, :-q]).all()
    assert np.isfinite(problem.Y).all()


@pytest.fixture(scope="module")
def reference():
    return data.synthetic(130, 24, 37, seed=2)


@given(block_bytes=st.integers(1, 20_000), threads=st.integers(1, 4), on_disk=st.booleans())
@settings(max_examples=20, deadline=None)
def test_neither_blocks_nor_threads_nor_disk_change_a_bit(
    tmp_path_factory, reference, block_bytes, threads, on_disk
):
    folder = tmp_path_factory.mktemp("made") / "p" if on_disk else None
    found = data.synthetic(
        130, 24, 37, seed=2, folder=folder, block_bytes=block_bytes, threads=threads
    )
    assert isinstance(found.X, np.memmap) == on_disk
    for one, other in (
        (found.X, reference.X),
        (found.Y, reference.Y),
        (found.runs, reference.runs),
        (found.planted, reference.planted),
    ):
        assert one.dtype == other.dtype
        assert (one == other).all()
    assert found.meta == reference.meta


def test_both_dtypes_hold_the_same_values(reference):
    single = data.synthetic(130, 24, 37, seed=2, dtype="float32")
    assert single.dtype == np.float32
    assert reference.dtype == np.float64
    assert (single.X == reference.X).all()
    assert (single.Y == reference.Y).all()


def test_name_subject_and_seed_change_the_numbers():
    def start(name="parcels", **options):
        return tuple(data.make(name, scale=1 / 512, **options).X[0])

    found = [
        start(),
        start(seed=1),
        start(subject="sub-02"),
        start("roi"),
    ]
    assert len(set(found)) == 4
    assert start() == found[0]


def test_a_made_problem_says_what_it_is():
    problem = data.make("whole-brain-mor", scale=1 / 16, subject="sub-05", seed=9)
    size = data.shape("whole-brain-mor", scale=1 / 16)
    assert (problem.t, problem.p, problem.s) == (size.t, size.p, size.s)
    assert problem.nbytes == size.nbytes()
    assert problem.name == "whole-brain-mor"
    expected = {"subject": "sub-05", "scale": 1 / 16, "seed": 9, "source": "synthetic"}
    assert expected.items() <= problem.meta.items()
    assert problem.meta["planted_targets"] == np.count_nonzero(problem.planted)
    assert len(np.unique(problem.runs)) == 10


def test_progress_reaches_the_end():
    seen = []
    problem = data.make(
        "whole-brain-mor", scale=1 / 16, progress=lambda *step: seen.append(step[1:])
    )
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (problem.nbytes, problem.nbytes)
    assert len(seen) == 10


def test_bad_arguments():
    for sizes in ((1, 4, 1), (10, 6, 1), (10, 0, 1), (10, 4, 0)):
        with pytest.raises(InputError, match=f"p = {sizes[1]}"):
            data.synthetic(*sizes)
    with pytest.raises(InputError, match="float16"):
        data.make("parcels", scale=1 / 64, dtype="float16")
    with pytest.raises(InputError, match="-1"):
        data.make("parcels", scale=1 / 64, seed=-1)


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr("bench_core.machine.available_memory", lambda: 10**9)
    with pytest.raises(ResourceError, match="1000000000 bytes"):
        data.make("whole-brain", scale=1 / 4)


def test_writing_to_disk_holds_little_memory(tmp_path):
    import tracemalloc

    tracemalloc.start()
    problem = data.synthetic(
        4_000, 256, 3_000, dtype="float32", folder=tmp_path / "p", block_bytes=2**19, threads=2
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    allowed = 2 * generator._thread_bytes(generator._plan(4_000, 64, 3_000, (0, 0)), 2**19)
    assert peak < allowed < problem.nbytes / 4
