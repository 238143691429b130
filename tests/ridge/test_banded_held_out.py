"""Residuals of held-out rows from one factorisation, against fits without these rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from bench_core.errors import InputError
from bench_core.ridge.arrays.backend import find_device, to_numpy
from bench_core.ridge.banded.held_out import as_ranges, fold_operators, leave_one_out
from bench_core.ridge.inputs import find_folds


@pytest.fixture
def device(device):
    return find_device(device)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    t=st.integers(6, 40),
    p=st.integers(1, 60),
    folds=st.integers(2, 5),
    exponent=st.integers(-3, 4),
    intercept=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_residuals_are_those_of_fits_without_the_fold(
    device, t, p, folds, exponent, intercept, seed
):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((t, p)) + 3
    Y = rng.standard_normal((t, 4)) + 7
    alpha = 10.0**exponent
    order, ranges = as_ranges(find_folds(folds, t, None), t)
    assert order is None
    Xc = X - X.mean(axis=0) if intercept else X
    operators = fold_operators(device.put(Xc @ Xc.T), alpha, ranges, intercept=intercept)
    total, expected = 0.0, 0.0
    Yc = Y - Y.mean(axis=0) if intercept else Y
    for operator in operators:
        test = np.arange(t)[operator.rows]
        train = np.setdiff1d(np.arange(t), test)
        ridge = Ridge(alpha=alpha, fit_intercept=intercept, solver="svd").fit(X[train], Y[train])
        own = Y[test] - ridge.predict(X[test])
        found = to_numpy(operator.residuals(device.put(Y)))
        assert np.allclose(found, own, rtol=1e-6, atol=1e-6)
        total += operator.squares(device.put(Yc @ Yc.T))
        expected += (own**2).sum()
    assert total == pytest.approx(expected, rel=1e-6)


@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    t=st.integers(4, 25),
    p=st.integers(1, 40),
    exponent=st.integers(-3, 4),
    intercept=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_leave_one_out_is_a_fit_without_each_row(device, t, p, exponent, intercept, seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((t, p)) + 3, rng.standard_normal((t, 3)) + 7
    alpha = 10.0**exponent
    Xc = X - X.mean(axis=0) if intercept else X
    (operator,) = leave_one_out(device.put(Xc @ Xc.T), alpha, intercept=intercept)
    expected = np.empty_like(Y)
    for row in range(t):
        rest = np.arange(t) != row
        ridge = Ridge(alpha=alpha, fit_intercept=intercept, solver="svd").fit(X[rest], Y[rest])
        expected[row] = Y[row] - ridge.predict(X[[row]])[0]
    found = to_numpy(operator.residuals(device.put(Y)))
    assert np.allclose(found, expected, rtol=1e-6, atol=1e-6)
    Yc = Y - Y.mean(axis=0) if intercept else Y
    squares = operator.squares(device.put(Yc @ Yc.T))
    assert squares == pytest.approx((expected**2).sum(), rel=1e-6)


def test_rows_are_ordered_so_that_folds_are_ranges():
    runs = np.array([2, 1, 2, 3, 1])
    folds = [(np.flatnonzero(runs != run), np.flatnonzero(runs == run)) for run in (1, 2, 3)]
    order, ranges = as_ranges(folds, 5)
    assert [runs[order[one]].tolist() for one in ranges] == [[1, 1], [2, 2], [3]]


@pytest.mark.parametrize(
    "folds",
    [
        [([0, 1], [2, 3]), ([0, 1], [3])],  # 2 is neither
        [([0, 1, 3], [2]), ([0, 1, 3], [2])],  # twice
    ],
)
def test_folds_that_one_factorisation_cannot_serve_are_refused(folds):
    with pytest.raises(InputError):
        as_ranges([(np.array(a), np.array(b)) for a, b in folds], 4)


def test_a_penalty_without_digits_gives_no_operators():
    X = np.random.default_rng(0).standard_normal((20, 3)) * 1e6
    assert fold_operators(X @ X.T, 1e-6, [slice(0, 10)], intercept=False) is None
    assert fold_operators(X @ X.T, 1e9, [slice(0, 10)], intercept=False) is not None
