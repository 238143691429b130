"""Generalised cross-validation against its definition, by explicit hat matrices."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from bench_core.errors import InputError
from bench_core.ridge import MultiTargetRidgeCV
from tests.ridge.gcv_choices import RECORD

ALPHAS = [0.1, 1.0, 30.0, 1000.0]


def by_definition(X: NDArray, Y: NDArray, alpha: float, intercept: bool) -> NDArray:
    """Golub, Heath and Wahba's V(λ) of every target: the hat matrix from fits of unit vectors."""
    t = len(X)
    H = Ridge(alpha, fit_intercept=intercept, solver="svd").fit(X, np.eye(t)).predict(X)
    residuals = Y - H @ Y
    found: NDArray = (residuals**2).mean(axis=0) / (np.trace(np.eye(t) - H) / t) ** 2
    return found


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(4, 30), st.integers(1, 40), st.integers(1, 9)),
    seed=st.integers(0, 2**31),
    intercept=st.booleans(),
    per_target=st.booleans(),
    solver=st.sampled_from(["auto", "dual", "primal"]),
)
def test_scores_are_the_definitions(
    shape: tuple[int, int, int], seed: int, intercept: bool, per_target: bool, solver: str
) -> None:
    t, p, s = shape
    if solver == "primal" and t <= p + 1:
        solver = "auto"  # no residual is left over: the trace is a difference of equals
    rng = np.random.default_rng(seed)
    X, Y = (
        rng.standard_normal((t, p)) + 1,
        rng.standard_normal((t, s)) * 10.0 ** rng.integers(-3, 4),
    )
    model = MultiTargetRidgeCV(
        ALPHAS, cv="gcv", alpha_per_target=per_target, fit_intercept=intercept, solver=solver
    ).fit(X, Y)
    expected = -np.array([by_definition(X, Y, alpha, intercept) for alpha in ALPHAS])
    size = np.abs(expected).max()
    mean = model.cv_results_["mean_scores"]
    np.testing.assert_allclose(mean, expected.mean(axis=1), rtol=1e-7, atol=1e-9 * size)
    if per_target:
        found = model.cv_results_["scores"]
        np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-9 * size)
    plain = Ridge(model.alpha_, fit_intercept=intercept, solver="svd").fit(X, Y)
    np.testing.assert_allclose(
        model.predict(X), plain.predict(X).reshape(Y.shape), rtol=1e-7, atol=1e-8 * np.abs(Y).max()
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("t", "p"), [(80, 20), (40, 90)])
def test_choice_in_either_precision(t: int, p: int, dtype: str, device: str) -> None:
    rng = np.random.default_rng(3)
    X = rng.standard_normal((t, p))
    Y = X[:, :4] @ rng.standard_normal((4, 50)) + rng.standard_normal((t, 50)) * 3
    model = MultiTargetRidgeCV(ALPHAS, cv="gcv", alpha_per_target=True, device=device)
    model.fit(X.astype(dtype), Y.astype(dtype))
    scores = -np.array([by_definition(X, Y, alpha, True) for alpha in ALPHAS])
    chosen = scores[[ALPHAS.index(alpha) for alpha in model.alpha_], np.arange(50)]
    # A penalty that is no worse than the best, to the precision of the products.
    limit = 1e-4 if dtype == "float32" else 1e-9
    assert (chosen >= scores.max(axis=0) * (1 + limit)).all()


def test_r2_is_one_less_the_share_that_is_left() -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((50, 8)), rng.standard_normal((50, 4))
    Y[:, 2] = 7.0
    model = MultiTargetRidgeCV(ALPHAS, cv="gcv", alpha_per_target=True, scoring="r2").fit(X, Y)
    V = np.array([by_definition(X, Y, alpha, True) for alpha in ALPHAS])
    expected = 1 - V[:, [0, 1, 3]] / Y[:, [0, 1, 3]].var(axis=0)
    np.testing.assert_allclose(model.cv_results_["scores"][:, [0, 1, 3]], expected, rtol=1e-9)
    assert np.isnan(model.cv_results_["scores"][:, 2]).all()


@pytest.mark.parametrize("alpha", [1e-15, 1e-9])
def test_vanishing_penalties_give_the_limit_of_least_squares(alpha: float) -> None:
    rng = np.random.default_rng(1)
    X, Y = rng.standard_normal((40, 6)), rng.standard_normal((40, 3))
    model = MultiTargetRidgeCV([alpha], cv="gcv").fit(X, Y)
    plain = np.linalg.lstsq(np.column_stack([X, np.ones(40)]), Y, rcond=None)[0]
    np.testing.assert_allclose(model.coef_, plain[:6].T, rtol=1e-6)
    residuals = Y - np.column_stack([X, np.ones(40)]) @ plain
    expected = -((residuals**2).mean() / (33 / 40) ** 2)
    assert model.cv_results_["mean_scores"][0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("options", [{"scoring": "pearson"}, {"cv": "gvc"}])
def test_what_it_cannot_do_is_refused(options: dict[str, Any]) -> None:
    X, Y = np.eye(6), np.ones((6, 2))
    with pytest.raises(InputError, match="cv"):
        MultiTargetRidgeCV(**{"cv": "gcv", **options}).fit(X, Y)
    with pytest.raises(InputError, match="cv"):
        MultiTargetRidgeCV(**{"cv": "gcv", **options}).plan(X, Y)


@pytest.mark.parametrize("cv", ["loo", "gcv"])
def test_integers_give_what_float64_gives(cv: str) -> None:
    rng = np.random.default_rng(2)
    X, Y = rng.integers(-9, 9, (30, 5)), rng.integers(-9, 9, (30, 4))
    whole = MultiTargetRidgeCV(ALPHAS, cv=cv, alpha_per_target=True).fit(X, Y)
    real = MultiTargetRidgeCV(ALPHAS, cv=cv, alpha_per_target=True).fit(X * 1.0, Y * 1.0)
    np.testing.assert_array_equal(whole.alpha_, real.alpha_)
    np.testing.assert_allclose(whole.coef_, real.coef_, rtol=1e-12)


def test_the_page_has_the_recorded_choices() -> None:
    page = (RECORD.parent / "ridge.md").read_text()
    for name, entry in json.loads(RECORD.read_text()).items():
        same, near = 100 * entry["same"], 100 * entry["within_one"]
        row = f"| {name} | {entry['targets']:,} | {same:.1f} | {near:.1f} | "
        assert f"{row}{entry['r_leave_one_out']:.4f} | {entry['r_gcv']:.4f} |" in page
