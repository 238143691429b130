"""The null: permutations, cheap refits against scikit-learn's, p values, false discoveries."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, kstest
from sklearn.linear_model import Ridge

from bench_core.accuracy import (
    Null,
    Permutations,
    adjusted_p,
    pearson_r,
    refit_null,
    ridge_null,
    shifted_rows,
    significant,
    threshold,
)
from bench_core.errors import InputError


def arrays(seed, n, n_test, p, s, signal=0.0):
    rng = np.random.default_rng(seed)
    X, X_test = rng.standard_normal((n, p)) + 3, rng.standard_normal((n_test, p)) + 3
    B = rng.standard_normal((p, s)) * signal
    Y = X @ B + rng.standard_normal((n, s)) - 2
    Y_test = X_test @ B + rng.standard_normal((n_test, s)) + 5
    return X, Y, X_test, Y_test


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(8, 30),
    n_test=st.integers(4, 12),
    p=st.integers(1, 40),
    intercept=st.booleans(),
)
@settings(max_examples=40, deadline=None)
@example(seed=1, n=8, n_test=12, p=1, intercept=True)  # every permutation has the same |r|
def test_one_factorisation_equals_refitting_with_scikit_learn(seed, n, n_test, p, intercept):
    X, Y, X_test, Y_test = arrays(seed, n, n_test, p, 4, 0.3)
    penalty = np.array([0.5, 100.0, 0.5, 3.0])
    rows = Permutations("rows", 3, np.ones(n), seed=seed)

    def refit(each):
        model = Ridge(penalty, fit_intercept=intercept, solver="svd")
        return model.fit(X[each], Y).predict(X_test)

    observed = pearson_r(Y_test, refit(np.arange(n)))
    expected = refit_null(refit, Y_test, observed, rows)
    found = ridge_null(X, Y, X_test, Y_test, penalty, rows, fit_intercept=intercept)
    np.testing.assert_allclose(found.observed, observed, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.largest, expected.largest, rtol=0, atol=1e-9)
    np.testing.assert_allclose(found.mean_abs, expected.mean_abs, rtol=0, atol=1e-9)
    assert (found.exceed == expected.exceed).all()


def test_shifts_go_through_the_same_factorisation():
    X, Y, X_test, Y_test = arrays(1, 60, 20, 5, 3, 0.2)
    runs = np.repeat([1, 2], 30)
    rows = Permutations("shifts", 4, runs)
    found = ridge_null(X, Y, X_test, Y_test, 2.0, rows)
    for k, each in enumerate(rows):
        r = pearson_r(Y_test, Ridge(2.0).fit(X[each], Y).predict(X_test))
        assert found.largest[k] == pytest.approx(r.max(), abs=1e-10)


def test_batches_of_targets_give_the_same(monkeypatch):
    X, Y, X_test, Y_test = arrays(2, 40, 15, 6, 23, 0.3)
    rows = Permutations("rows", 5, np.ones(40))
    whole = ridge_null(X, Y, X_test, Y_test, 1.0, rows)
    monkeypatch.setattr("bench_core.accuracy.permutation._BATCH_BYTES", 8 * 40 * 4)
    seen = []
    parts = ridge_null(
        X, Y, X_test, Y_test, 1.0, rows, progress=lambda *step: seen.append(step[1:])
    )
    assert seen == [(4, 23), (8, 23), (12, 23), (16, 23), (20, 23), (23, 23)]
    np.testing.assert_allclose(parts.observed, whole.observed, rtol=0, atol=1e-12)
    np.testing.assert_allclose(parts.largest, whole.largest, rtol=0, atol=1e-12)
    np.testing.assert_allclose(parts.mean_abs, whole.mean_abs, rtol=0, atol=1e-12)
    assert (parts.exceed == whole.exceed).all()


def test_memory_is_that_of_a_batch_of_targets(monkeypatch):
    monkeypatch.setattr("bench_core.accuracy.permutation._BATCH_BYTES", 2**22)
    X, _, X_test, _ = arrays(3, 400, 200, 10, 1)
    rng = np.random.default_rng(4)
    Y = rng.standard_normal((400, 20_000), dtype=np.float32)
    Y_test = rng.standard_normal((200, 20_000), dtype=np.float32)
    tracemalloc.start()
    ridge_null(X, Y, X_test, Y_test, 1.0, Permutations("rows", 2, np.ones(400)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6  # Y and Y_test as float64 are 96 MB, a prediction for each 32 MB


def test_undefined_targets_stay_undefined():
    X, Y, X_test, Y_test = arrays(5, 30, 10, 3, 4)
    Y[:, 1] = 0.1
    Y_test[:, 2] = 7
    null = ridge_null(X, Y, X_test, Y_test, 1.0, Permutations("rows", 9, np.ones(30)))
    assert np.isnan(null.observed).tolist() == [False, True, True, False]
    assert np.isnan(null.p_values()).tolist() == [False, True, True, False]
    assert np.isnan(null.p_max()).tolist() == [False, True, True, False]
    assert np.isfinite(null.largest).all()


def test_p_values_by_hand():
    observed = np.array([0.5, 0.1, np.nan])
    null = Null(observed, np.array([0, 3, 0]), np.array([0.2, 0.5, 0.05, 0.3]), np.zeros(4))
    np.testing.assert_allclose(null.p_values(), [1 / 5, 4 / 5, np.nan])
    # 0.5 is reached by one of the largest, 0.1 by three.
    np.testing.assert_allclose(null.p_max(), [2 / 5, 4 / 5, np.nan])


def test_p_values_are_uniform_without_signal_and_small_with_it():
    p = []
    for seed in range(12):
        X, Y, X_test, Y_test = arrays(seed, 60, 30, 4, 20)
        rows = Permutations("rows", 99, np.ones(60), seed=seed)
        p.append(ridge_null(X, Y, X_test, Y_test, 1.0, rows).p_values())
    assert kstest(np.concatenate(p), "uniform").pvalue > 0.01
    X, Y, X_test, Y_test = arrays(0, 60, 30, 20, 20, 1.0)
    null = ridge_null(X, Y, X_test, Y_test, 1.0, Permutations("rows", 99, np.ones(60)))
    assert (null.p_values() == 1 / 100).all()
    assert (null.p_max() >= null.p_values()).all()


def test_one_factorisation_serves_all_permutations(monkeypatch):
    import scipy.linalg

    calls = []
    real = scipy.linalg.eigh
    monkeypatch.setattr(scipy.linalg, "eigh", lambda *a, **k: (calls.append(1), real(*a, **k))[1])
    X, Y, X_test, Y_test = arrays(6, 30, 10, 3, 4)
    ridge_null(X, Y, X_test, Y_test, [1, 2, 3, 4], Permutations("rows", 20, np.ones(30)))
    assert len(calls) == 1


@given(lengths=st.lists(st.integers(4, 60), min_size=1, max_size=6), seed=st.integers(0, 2**31))
def test_shifts_stay_in_their_run_and_keep_its_order(lengths, seed):
    runs = np.repeat(np.arange(len(lengths)), lengths)
    rows = shifted_rows(runs, seed=seed)
    assert sorted(rows) == list(range(len(runs)))
    assert (runs[rows] == runs).all()
    for run, n in enumerate(lengths):
        inside = rows[runs == run] - np.flatnonzero(runs == run)[0]
        by = inside[0]
        assert (inside == (np.arange(n) + by) % n).all()
    # Every shift is as likely as any other, none included.
    assert {shifted_rows(np.ones(3), seed=k)[0] for k in range(40)} == {0, 1, 2}
    least = shifted_rows(runs, seed=seed, least=2)
    firsts = [least[runs == run][0] - np.flatnonzero(runs == run)[0] for run in range(len(lengths))]
    assert all(2 <= by <= n - 2 for by, n in zip(firsts, lengths, strict=True))


def test_shifts_keep_autocorrelation_and_shuffles_do_not():
    rng = np.random.default_rng(7)
    x = np.convolve(rng.standard_normal(1_100), np.ones(20), mode="valid")[:1_000]
    runs = np.repeat([1, 2], 500)

    def lag_one(rows):
        return np.corrcoef(x[rows][1:], x[rows][:-1])[0, 1]

    assert lag_one(Permutations("shifts", 1, runs)[0]) > 0.9
    assert abs(lag_one(Permutations("rows", 1, runs)[0])) < 0.1


def test_permutations_are_seeded_and_differ():
    runs = np.repeat([1, 2], 50)
    for kind in ("rows", "shifts"):
        a, b = Permutations(kind, 5, runs, seed=1), Permutations(kind, 5, runs, seed=1)
        assert all((x == y).all() for x, y in zip(a, b, strict=True))
        assert len({tuple(x) for x in a}) == 5
        assert (a[0] != Permutations(kind, 5, runs, seed=2)[0]).any()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Permutations("blocks", 5, np.ones(9)), "'blocks' is not one of rows, shifts"),
        (lambda: Permutations("rows", 0, np.ones(9)), "0 permutations"),
        (lambda: shifted_rows(np.array([1, 1, 1]), least=2), "3 samples"),
        (lambda: shifted_rows(np.array([1, 2, 3])), "one sample"),
        (lambda: shifted_rows(np.repeat([1, 2], 30), least=16), "run 1 has 30 samples"),
        (lambda: shifted_rows(np.array([1, 2, 1] * 9)), "in pieces"),
        (lambda: significant([0.1], 0), "rate 0"),
        (lambda: adjusted_p([0.1, 1.5]), "1.5"),
    ],
)
def test_bad_input(make, words):
    with pytest.raises(InputError, match=words):
        make()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_adjusted_p_equals_scipy(p):
    np.testing.assert_allclose(adjusted_p(p), false_discovery_control(p), rtol=1e-12, atol=0)


def test_undefined_p_do_not_count():
    p = np.array([0.001, np.nan, 0.04, 0.5, np.nan])
    expected = false_discovery_control([0.001, 0.04, 0.5])
    found = adjusted_p(p)
    np.testing.assert_allclose(found[[0, 2, 3]], expected)
    assert np.isnan(found[[1, 4]]).all()
    chosen = significant(p, 0.05)
    assert chosen.tolist() == [True, False, False, False, False]
    assert threshold([0.7, 0.9, 0.2, 0.1, 0.3], chosen) == 0.7
    assert threshold([0.7], np.array([False])) is None
