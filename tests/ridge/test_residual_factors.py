"""Squared leave-one-out residuals from triangles, against refits with one sample left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from bench_core.ridge import MultiTargetRidgeCV
from bench_core.ridge.arrays.backend import find_device
from bench_core.ridge.formulas import cross_validation, dual, residual_factors
from bench_core.ridge.formulas.per_target_scores import block_scores
from bench_core.ridge.planning.flops import FitShape
from bench_core.ridge.planning.plan import make_plan
from tests.ridge.planned_memory import planned_and_peak

ALPHAS = [0.1, 1.0, 30.0, 1000.0]


def by_refits(X: NDArray, Y: NDArray, alpha: float, intercept: bool) -> NDArray:
    """Return the mean squared error of every target when one sample after another is left out."""
    errors = []
    for i in range(len(X)):
        model = Ridge(alpha, fit_intercept=intercept, solver="svd")
        model.fit(np.delete(X, i, 0), np.delete(Y, i, 0))
        errors.append(Y[i] - model.predict(X[i : i + 1])[0])
    found: NDArray = np.square(errors).mean(axis=0)
    return found


@settings(max_examples=25, deadline=None)
@given(
    t=st.integers(3, 12),
    extra=st.integers(0, 15),
    seed=st.integers(0, 2**31),
    intercept=st.booleans(),
    scoring=st.sampled_from(["neg_mean_squared_error", "r2"]),
)
def test_scores_are_those_of_refits(
    t: int, extra: int, seed: int, intercept: bool, scoring: str
) -> None:
    rng = np.random.default_rng(seed)
    s = 8 * t  # many targets: the plan takes triangles
    X, Y = rng.standard_normal((t, t + extra)), rng.standard_normal((t, s)) + 1
    Y *= 10.0 ** rng.integers(-3, 4, s)  # targets of very different scale
    model = MultiTargetRidgeCV(
        ALPHAS, alpha_per_target=True, fit_intercept=intercept, scoring=scoring
    ).fit(X, Y)
    assert model.plan_.triangles
    expected = np.array([by_refits(X, Y, alpha, intercept) for alpha in ALPHAS])
    found = model.cv_results_["scores"]
    if scoring == "r2":
        np.testing.assert_allclose(1 - found, expected / Y.var(axis=0), rtol=1e-6)
    else:
        np.testing.assert_allclose(-found, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("t", [150, 400], ids=["one panel", "several panels"])
def test_triangles_give_what_residuals_give(t: int, dtype: str, device: str) -> None:
    place = find_device(device)
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((t, 600)), rng.standard_normal((t, 30)).astype(dtype)
    Xc = place.put(X - X.mean(axis=0))
    eigen = dual.factorise(dual.gram(Xc), intercept=True)
    check = cross_validation.dual_loo(eigen, place.put(np.array(ALPHAS)))
    factors = residual_factors.factorise(check, np.dtype(dtype))
    assert factors is not None
    arguments: dict[str, Any] = {"scoring": "neg_mean_squared_error", "intercept": True}
    quick = residual_factors.block_scores(factors, place.put(Y), **arguments)
    plain = block_scores(check, place.put(Y), **arguments)
    limit = 2e-6 if dtype == "float32" else 1e-12
    for name in ("scores", "squares", "gained", "own"):
        found, expected = (np.asarray(getattr(one, name)) for one in (quick, plain))
        np.testing.assert_allclose(found, expected, rtol=limit, err_msg=name)


def test_uneven_leverages_are_left_to_every_residual() -> None:
    rng = np.random.default_rng(1)
    X = rng.standard_normal((20, 60))
    X[0] *= 1e5  # one sample is fitted whatever the others say
    Y = rng.standard_normal((20, 200))
    Xc = X - X.mean(axis=0)
    check = cross_validation.dual_loo(
        dual.factorise(dual.gram(Xc), intercept=True), np.array([1.0])
    )
    assert residual_factors.factorise(check, np.dtype(np.float64)) is None
    model = MultiTargetRidgeCV([1.0], alpha_per_target=True).fit(X, Y)
    assert model.plan_.triangles  # it was planned, and was not exact enough
    np.testing.assert_allclose(
        -model.cv_results_["scores"][0], by_refits(X, Y, 1.0, True), rtol=1e-6
    )


def test_plan_takes_triangles_where_they_pay() -> None:
    def plan(**changes: Any) -> Any:
        size = {"t": 300, "p": 500, "s": 30_000, "r": 11, "each": True, "per_target": True}
        return make_plan(FitShape(**{**size, **changes}))

    assert plan().triangles
    assert not plan(s=200).triangles
    assert not plan(rows=True).triangles  # Pearson's r needs every residual
    assert not plan(gcv=True).triangles
    folds = ((200, 100), (200, 100), (200, 100))
    assert not plan(folds=folds, complementary=False).triangles  # each has its own eigenvectors
    assert not plan(folds=folds, scaled=True).triangles  # each has its own r2
    tall = make_plan(FitShape(t=900, p=30, s=30_000, r=11, each=True, per_target=True))
    assert tall.form == "primal"
    assert not tall.triangles


def test_memory_without_room_for_triangles_is_planned_without() -> None:
    size: dict[str, Any] = {"t": 300, "p": 500, "s": 30_000, "r": 11, "dtype": "float32"}
    shape = FitShape(**size, each=True, per_target=True, coef=None)
    free = make_plan(shape)
    leanest = make_plan(shape, width=16)
    tight = make_plan(shape, memory_limit=leanest.peak_bytes - 10**6)
    assert free.triangles
    assert tight.peak_bytes < leanest.peak_bytes
    assert not tight.triangles


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cv", ["loo", "gcv"])
def test_planned_memory_covers_what_is_allocated(dtype: str, cv: str) -> None:
    rng = np.random.default_rng(0)
    X, Y = (rng.standard_normal((300, n)).astype(dtype) for n in (400, 6000))
    model = MultiTargetRidgeCV(np.logspace(1, 4, 11), alpha_per_target=True, coef=None, cv=cv)
    planned, peak = planned_and_peak(model, X, Y)
    assert model.plan_.triangles == (cv == "loo")
    assert peak <= planned <= 4 * peak
