"""Folds from one factorisation of all samples, against explicit refits without the fold's rows."""

from __future__ import annotations

import warnings
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.model_selection import KFold, PredefinedSplit, ShuffleSplit

from bench_core.ridge import MultiTargetRidgeCV
from bench_core.ridge.arrays.backend import find_device
from bench_core.ridge.formulas import dual, joint_folds, primal, residual_factors
from bench_core.ridge.planning.flops import FitShape
from bench_core.ridge.planning.plan import make_plan
from tests.ridge.hard_data import (
    KINDS,
    NOISES,
    PENALTIES,
    PER_TARGET,
    SCALES,
    SCOPES,
    Data,
    make_data,
    make_model,
    right_answer,
)
from tests.ridge.planned_memory import planned_and_peak

ALPHAS = [0.1, 1.0, 30.0, 1000.0]
MSE = "neg_mean_squared_error"
Values = NDArray[np.float64]


def correlation(Y: Values, predicted: Values) -> Values:
    found: Values = np.array(
        [np.corrcoef(a, b)[0, 1] for a, b in zip(Y.T, predicted.T, strict=True)]
    )
    return found


def scored(Y: Values, predicted: Values, scoring: str) -> Values:
    """Return the score (s,) of every target by scikit-learn and numpy."""
    if scoring == "pearson":
        return correlation(Y, predicted)
    if scoring == "r2":
        return np.asarray(r2_score(Y, predicted, multioutput="raw_values"))
    return -np.asarray(mean_squared_error(Y, predicted, multioutput="raw_values"))


def by_refits(X: Values, Y: Values, folds: Any, scoring: str, *, intercept: bool) -> Values:
    """Return the mean over folds of every penalty's and target's score, (r, s)."""
    X, Y = X.astype(float), Y.astype(float)
    return np.array(
        [
            np.mean(
                [
                    scored(
                        Y[test],
                        Ridge(alpha, fit_intercept=intercept, solver="svd")
                        .fit(X[train], Y[train])
                        .predict(X[test])
                        .reshape(len(test), -1),
                        scoring,
                    )
                    for train, test in folds
                ],
                axis=0,
            )
            for alpha in ALPHAS
        ]
    )


def fitted(
    X: Values,
    Y: Values,
    folds: Any,
    *,
    way: str = "each",
    joint: bool | None = True,
    **options: Any,
) -> MultiTargetRidgeCV:
    """Fit with folds from one factorisation, and with sums over targets or every target."""
    model = MultiTargetRidgeCV(ALPHAS, cv=folds, **options)
    model._joint = joint
    model._selection = "shared" if way == "shared" else "each"
    return model.fit(X, Y)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    extra=st.integers(0, 20),
    p=st.integers(1, 60),
    s=st.integers(1, 12),
    seed=st.integers(0, 2**31),
    number=st.integers(2, 6),
    intercept=st.booleans(),
    way=st.sampled_from(["shared", "each", "per target"]),
    solver=st.sampled_from(["dual", "primal"]),
    scoring=st.sampled_from([MSE, "r2", "pearson"]),
    dtype=st.sampled_from(["float64", "float32"]),
    mean=st.sampled_from([0.0, 30.0]),
)
def test_scores_are_those_of_refits_without_the_rows(
    extra: int,
    p: int,
    s: int,
    seed: int,
    number: int,
    intercept: bool,
    way: str,
    solver: str,
    scoring: str,
    dtype: str,
    mean: float,
) -> None:
    rng = np.random.default_rng(seed)
    t = 5 * number + extra
    runs = np.sort(np.concatenate([np.arange(t - extra) % number, rng.integers(0, number, extra)]))
    runs[: rng.integers(0, 2)] = number - 1  # a run that comes back
    X = rng.standard_normal((t, p)) + mean * intercept
    Y = X[:, :1] + rng.standard_normal((t, s)) * 10.0 ** rng.integers(-2, 3, s)
    X, Y = X.astype(dtype), Y.astype(dtype)
    folds = list(PredefinedSplit(runs).split())
    if way == "shared" and scoring == "pearson":
        way = "each"
    model = fitted(
        X, Y, folds, way=way, solver=solver, scoring=scoring,
        alpha_per_target=way == "per target", fit_intercept=intercept, batch_size=5,
    )  # fmt: skip
    expected = by_refits(X, Y, folds, scoring, intercept=intercept)
    found = model.cv_results_["mean_scores"]
    # Float32 data may be hard enough for float64, or for a factorisation of every fold.
    tolerance = 1e-7 if model.plan_.shape.dtype == "float64" else 2e-4
    assert model.plan_.joint or dtype == "float32" or solver == "primal"
    size = np.abs(expected).max() if scoring == MSE else 1.0
    wrong = np.abs(found - expected.mean(axis=1)) / size
    assert wrong.max() <= tolerance
    if way == "per target":
        each = model.cv_results_["scores"]
        largest = np.abs(expected).max(axis=0) if scoring == MSE else 1.0
        assert (np.abs(each - expected) <= tolerance * np.maximum(largest, 1e-300) * 10).all()


@pytest.mark.parametrize("solver", ["dual", "primal"])
@pytest.mark.parametrize(
    ("way", "scoring"),
    [*product(["shared", "each"], [MSE, "r2"]), ("each", "pearson")],
)
def test_one_factorisation_gives_what_one_for_every_fold_gives(
    solver: str, scoring: str, way: str, device: str
) -> None:
    rng = np.random.default_rng(0)
    shape = (90, 200) if solver == "dual" else (200, 30)
    X = rng.standard_normal(shape)
    Y = X[:, :3] @ rng.standard_normal((3, 40)) + rng.standard_normal((shape[0], 40))
    folds = list(KFold(5).split(X))
    options: dict[str, Any] = {
        "way": way,
        "solver": solver,
        "scoring": scoring,
        "device": device,
        "batch_size": 16,
    }
    one = fitted(X, Y, folds, **options)
    many = fitted(X, Y, folds, joint=False, **options)
    assert (one.plan_.joint, many.plan_.joint) == (True, False)
    np.testing.assert_allclose(
        one.cv_results_["mean_scores"], many.cv_results_["mean_scores"], rtol=1e-9
    )
    assert one.alpha_ == many.alpha_
    np.testing.assert_allclose(one.coef_, many.coef_, atol=1e-9)


def test_coordinates_formed_for_the_scores_serve_for_the_coefficients() -> None:
    rng = np.random.default_rng(3)
    X, Y = rng.standard_normal((120, 20)), rng.standard_normal((120, 30))
    model = fitted(X, Y, 4, way="shared", solver="primal")
    assert model.plan_.joint
    assert model.plan_.keeps_coordinates
    expected = Ridge(model.alpha_).fit(X, Y)
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-10)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(KINDS),
    shape=st.sampled_from([(12, 30), (20, 20), (30, 12), (15, 100)]),
    scale=st.sampled_from(SCALES),
    noise=st.sampled_from(NOISES),
    alphas=st.lists(st.sampled_from(PENALTIES), min_size=2, max_size=4, unique=True),
    dtype=st.sampled_from(["float64", "float32"]),
    scope=st.sampled_from(sorted(SCOPES)),
    number=st.sampled_from([3, 4]),
    seed=st.integers(0, 2**31),
)
def test_hard_data_no_other_penalty_is_better_than_the_chosen_one(
    kind: str,
    shape: tuple[int, int],
    scale: float,
    noise: float,
    alphas: list[float],
    dtype: str,
    scope: str,
    number: int,
    seed: int,
) -> None:
    data = make_data(kind, shape, scale, noise, dtype, seed)
    folds = list(KFold(number).split(data.X))
    errors, allowed = np.zeros((2, len(alphas), data.Y.shape[1]))
    for k, alpha in enumerate(alphas):
        for train, test in folds:
            part = Data(data.X[train], data.Y[train], data.X[test])
            answer = right_answer(part, alpha, dtype, intercept=True)
            errors[k] += np.mean((answer.predictions - data.Y[test]) ** 2, axis=0) / number
            allowed[k] += np.mean(answer.allowed**2, axis=0) / number
    allowed = np.sqrt(allowed)
    model = make_model(alphas, scope, cv=folds)
    model._joint = True  # until it is found too inexact
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(data.X, data.Y)
    chosen = [alphas.index(alpha) for alpha in np.atleast_1d(model.alpha_)]
    if scope != PER_TARGET:
        errors, allowed = errors.mean(axis=1)[:, None], np.sqrt((allowed**2).mean(axis=1))[:, None]
    columns = np.arange(errors.shape[1])
    least = np.maximum(np.sqrt(errors) - allowed, 0)
    most = np.sqrt(errors) + allowed
    assert (least[chosen, columns] <= 1.001 * most.min(axis=0)).all()


@pytest.mark.parametrize("solver", ["dual", "primal"])
def test_what_one_factorisation_cannot_show_is_left_to_one_for_every_fold(solver: str) -> None:
    # Every run is shown twice, so that null vectors tell a fold from the others.
    rng = np.random.default_rng(4)
    X = np.repeat(1e4 * rng.standard_normal((20, 60 if solver == "dual" else 30)), 2, axis=0)
    Y = rng.standard_normal((40, 5))
    folds = list(KFold(4).split(X))
    model = MultiTargetRidgeCV([1e-8], cv=folds, solver=solver)
    model._joint = True
    model.fit(X, Y)
    assert not model.plan_.joint
    expected = []
    for train, test in folds:  # scikit-learn's Ridge does not leave null vectors out
        part = Data(X[train], Y[train], X[test])
        answer = right_answer(part, 1e-8, "float64", intercept=True)
        expected.append(answer.predictions - Y[test])
    assert -model.best_score_ == pytest.approx(np.mean(np.concatenate(expected) ** 2), rel=1e-6)


def test_a_singular_map_is_an_unknown_penalty() -> None:
    # Both rows of the fold alike, and no penalty to tell them apart.
    V = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    folds = joint_folds.JointFolds(
        V,
        np.array([0.0, 1.0]),
        np.array([[1.0, 1.0]]),
        np.array([1.0]),
        [np.array([0, 1])],
        np.array([1e-16]),
        intercept=False,
        primal=False,
    )
    found = folds.map(0, slice(0, 1))
    assert found.errors[0] == np.inf
    assert not found.U.any()


def test_the_plan_takes_the_way_of_fewer_flops() -> None:
    def plan(t: int, p: int, folds: int, **more: Any) -> Any:
        sizes = tuple((t - t // folds, t // folds) for _ in range(folds))
        return make_plan(FitShape(t=t, p=p, s=5000, r=11, folds=sizes, **more))

    many = plan(1000, 2000, 10)
    assert many.joint
    assert sum("eigendecomposition" in step.name for step in many.steps) == 1
    assert not plan(1000, 2000, 2).joint  # half of the rows in every map
    assert not plan(6000, 50, 10).joint  # small matrices are factorised at once
    assert not plan(1000, 2000, 10, exact=True).joint
    assert not plan(1000, 2000, 10, complementary=False).joint
    each = plan(1000, 2000, 10, each=True, per_target=True)
    assert each.joint
    assert each.triangles
    assert not plan(1000, 2000, 10, each=True, per_target=True, scaled=True).triangles


def test_folds_that_leave_rows_out_altogether_are_factorised_one_by_one() -> None:
    rng = np.random.default_rng(5)
    X, Y = rng.standard_normal((60, 100)), rng.standard_normal((60, 4))
    folds = list(ShuffleSplit(6, test_size=0.1, train_size=0.5, random_state=0).split(X))
    model = fitted(X, Y, folds, way="shared", scoring="r2")
    assert not model.plan_.joint
    expected = by_refits(X, Y, folds, "r2", intercept=True)
    np.testing.assert_allclose(model.cv_results_["mean_scores"], expected.mean(axis=1), rtol=1e-9)
    # Test rows of several folds may be the same.
    again = list(ShuffleSplit(6, test_size=0.2, random_state=0).split(X))
    model = fitted(X, Y, again, alpha_per_target=True)
    assert model.plan_.joint
    expected = by_refits(X, Y, again, MSE, intercept=True)
    np.testing.assert_allclose(model.cv_results_["scores"], expected, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_triangles_give_what_residuals_of_folds_give(dtype: str, device: str) -> None:
    place = find_device(device)
    rng = np.random.default_rng(6)
    t = 250
    X, Y = rng.standard_normal((t, 400)), rng.standard_normal((t, 30)).astype(dtype)
    Xc = place.put(X - X.mean(axis=0))
    eigen = dual.factorise(dual.gram(Xc), intercept=True)
    tests = [place.put(test) for _, test in KFold(7).split(X)]
    folds = joint_folds.dual(eigen, place.put(np.array(ALPHAS)), tests, intercept=True)
    factors = residual_factors.factorise_folds(folds, np.dtype(dtype))
    quick = residual_factors.block_scores(factors, place.put(Y), MSE, intercept=True)
    check = joint_folds.residuals(folds, np.dtype(dtype))
    plain = list(joint_folds.block_scores(check, place.put(Y), MSE, intercept=True))
    limit = 2e-6 if dtype == "float32" else 1e-12
    expected = np.mean([np.asarray(one.scores) for one in plain], axis=0)
    np.testing.assert_allclose(np.asarray(quick.scores), expected, rtol=limit)
    for name in ("squares", "gained"):
        total = sum(
            np.asarray(getattr(one, name)) * t / (7 * len(rows))
            for one, rows in zip(plain, tests, strict=True)
        )
        np.testing.assert_allclose(np.asarray(getattr(quick, name)), total, rtol=10 * limit)


@pytest.mark.parametrize("form", ["dual", "primal"])
def test_the_gain_is_the_variance_of_residuals_of_noise(form: str) -> None:
    rng = np.random.default_rng(7)
    X = rng.standard_normal((24, 40 if form == "dual" else 6))
    Xc = X - X.mean(axis=0)
    rows = np.arange(5, 11)
    train = np.setdiff1d(np.arange(24), rows)
    alphas = np.array([0.5, 20.0])
    if form == "dual":
        eigen = dual.factorise(dual.gram(Xc), intercept=True)
        folds = joint_folds.dual(eigen, alphas, [rows], intercept=True)
    else:
        eigen = primal.factorise(primal.covariance(Xc))
        Q = primal.rotate(Xc.copy(), eigen)
        folds = joint_folds.primal(Q, eigen, alphas, [rows], intercept=True)
    found = folds.map(0, slice(0, 2))
    for alpha, gain in zip(alphas, found.gain, strict=True):
        # The map from all of Y to the residuals: predictions of the unit vectors.
        units = Ridge(alpha, solver="svd").fit(X[train], np.eye(24)[train]).predict(X[rows])
        expected = np.sum((np.eye(24)[rows] - units) ** 2, axis=1)
        np.testing.assert_allclose(gain, expected, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("solver", ["dual", "primal"])
@pytest.mark.parametrize(
    "options",
    [{}, {"scoring": "r2"}, {"alpha_per_target": True}, {"scoring": "pearson"}],
    ids=["mse", "r2", "per target", "pearson"],
)
def test_planned_memory_covers_what_is_allocated(
    dtype: str, solver: str, options: dict[str, Any]
) -> None:
    rng = np.random.default_rng(0)
    shape = (300, 400) if solver == "dual" else (500, 150)
    X = rng.standard_normal(shape).astype(dtype)
    Y = rng.standard_normal((shape[0], 4000)).astype(dtype)
    model = MultiTargetRidgeCV(
        np.logspace(1, 4, 11), coef=None, cv=10, solver=solver, batch_size=500, **options
    )
    model._joint = True
    planned, peak = planned_and_peak(model, X, Y)
    # One factorisation serves float32 in the dual form, and r in float64 alone.
    served = dtype == "float64" or (solver == "dual" and options.get("scoring") != "pearson")
    assert model.plan_.joint == served
    assert peak <= planned <= 4 * peak
