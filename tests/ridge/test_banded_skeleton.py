"""Scores that come from those of a few candidates, against refits with every candidate."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from sklearn.model_selection import PredefinedSplit

from bench_core.ridge.banded import BandedRidgeCV, planning
from bench_core.ridge.banded.planning import BandedShape, make_plan
from bench_core.ridge.banded.skeleton import find_skeleton
from tests.ridge.planted_spaces import planted

ALPHAS = np.logspace(-2, 3, 8)
WEIGHTS = np.array([[g, 1 - g] for g in np.linspace(0, 1, 16)])
MANY = {"candidates": WEIGHTS, "refine": 0, "balanced": False, "alpha_per_target": True}


@settings(max_examples=40, deadline=None)
@given(
    rank=st.integers(1, 12),
    m=st.integers(30, 60),
    seed=st.integers(0, 2**31),
    exponent=st.integers(0, 6),
)
def test_losses_of_low_rank_are_given_by_as_many_candidates(rank, m, seed, exponent):
    rng = np.random.default_rng(seed)
    basis = rng.standard_normal((rank, m))
    basis[:, : m // 2] *= 10.0**exponent  # half of the candidates fit badly
    losses = rng.standard_normal((2 * m, rank)) @ basis
    found = find_skeleton(losses, 1e-10)
    assert found.size == rank
    assert len(set(found.members)) == len(found.members) > rank
    others = rng.standard_normal((25, rank)) @ basis
    given_ = found.losses(others[:, found.members[:rank]].T).T
    assert np.allclose(given_, others, rtol=1e-6, atol=1e-7 * np.abs(others).max(axis=0))


def test_there_is_no_skeleton_of_candidates_that_have_nothing_in_common():
    rng = np.random.default_rng(0)
    assert find_skeleton(rng.standard_normal((100, 40)), 1e-3) is None
    assert find_skeleton(np.ones((39, 40)), 1e-3) is None  # too few targets to tell


def losses_of_refits(data, folds, intercept, dtype):
    """Return squared errors over variances, and mean squared errors, (candidates, s) each."""
    shares, squares = 0.0, 0.0
    for train, test in folds:
        own = []
        for g in WEIGHTS:
            X = data.X * np.sqrt(g)[data.spaces]
            for alpha in ALPHAS:
                model = Ridge(alpha=alpha, fit_intercept=intercept, solver="cholesky")
                found = model.fit(X[train], data.Y[train]).predict(X[test])
                own.append(((data.Y[test] - found) ** 2).mean(axis=0))
        squares = squares + np.array(own) / len(folds)
        variance = data.Y[test].var(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = shares + np.array(own) / variance / len(folds)
    return shares, squares


@pytest.fixture(scope="module")
def problem():
    """A problem of many targets, one constant and three without noise, and its losses."""
    data = planted(t=36, sizes=(6, 50), s=900, noise=2.0)
    data.Y[:, 7] = 3.0
    for column, kind in ((100, 0), (101, 0), (899, 1)):
        data.Y[:, column] = data.X[:, data.spaces == kind][:, :3].sum(axis=1) * 10
    fold = np.arange(36) % 4
    folds = list(PredefinedSplit(fold).split())
    return data, folds, {one: losses_of_refits(data, folds, one, float) for one in (True, False)}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("scoring", "intercept"),
    [("r2", True), ("neg_mean_squared_error", True), ("r2", False)],
)
def test_scores_and_choices_are_those_of_refits(problem, device, dtype, scoring, intercept):
    data, folds, explicit = problem
    shares, squares = explicit[intercept]
    expected = 1 - shares if scoring == "r2" else -squares
    model = BandedRidgeCV(
        ALPHAS,
        spaces=data.spaces,
        cv=folds,
        scoring=scoring,
        fit_intercept=intercept,
        coef=None,
        dtype=dtype,
        device=device,
        **MANY,
    ).fit(data.X, data.Y)
    assert model.plan_.interpolate
    assert model.cv_results_["interpolated"] > 20
    tolerance = 1e-7 if dtype == "float64" else 1e-4
    varying = np.arange(900) != 7
    best = expected.max(axis=0)
    scale = 1.0 if scoring == "r2" else data.Y.var(axis=0)[varying]
    found = np.asarray(model.best_score_)
    assert np.abs((found[varying] - best[varying]) / scale).max() < tolerance
    assert np.isnan(found[7]) == (scoring == "r2")
    # The chosen candidate is the best, or as good.
    index = [
        int(np.argmin(np.abs(WEIGHTS[:, 0] - model.weights_[0, k]))) * len(ALPHAS)
        + int(np.argmin(np.abs(ALPHAS - model.alpha_[k])))
        for k in range(900)
    ]
    own = expected[index, np.arange(900)]
    assert np.abs((own[varying] - best[varying]) / scale).max() < 2 * tolerance
    means = expected[:, varying].mean(axis=1) if scoring == "r2" else expected.mean(axis=1)
    assert np.allclose(
        model.cv_results_["mean_scores"].ravel(), means, rtol=tolerance, atol=tolerance
    )


def test_leave_one_out_is_that_of_every_candidate(monkeypatch):
    data = planted(t=30, sizes=(6, 40), s=3000)
    options = {"spaces": data.spaces, "cv": "loo", "coef": None, **MANY}
    found = BandedRidgeCV(ALPHAS, **options).fit(data.X, data.Y)
    assert found.cv_results_["interpolated"] > 20
    monkeypatch.setattr(planning, "LEAST_CANDIDATES", 10**6)
    plain = BandedRidgeCV(ALPHAS, **options).fit(data.X, data.Y)
    assert plain.cv_results_["interpolated"] == 0
    assert np.allclose(found.best_score_, plain.best_score_, rtol=0, atol=1e-7)
    for name in ("mean_scores", "weights"):
        assert np.allclose(found.cv_results_[name], plain.cv_results_[name], atol=1e-7)
    assert (found.alpha_ == plain.alpha_).mean() > 0.999


def test_lost_candidates_and_refinements_are_counted_once():
    data = planted(t=36, sizes=(4, 6), s=1500, noise=2.0)
    model = BandedRidgeCV(
        [1e-14, *ALPHAS],
        spaces=data.spaces,
        candidates=12,
        refine=16,
        alpha_per_target=True,
        coef=None,
    )
    with pytest.warns(RuntimeWarning, match=r"\b28 of 252\b"):
        model.fit(data.X * 1e2, data.Y)
    means = model.cv_results_["mean_scores"]
    assert np.isnan(means[:, 0]).all()
    assert np.isfinite(means[:, 1:]).all()
    assert model.cv_results_["interpolated"] > 50


def test_targets_that_all_are_explained_are_predicted_with_every_candidate():
    data = planted(t=36, sizes=(6, 10), s=1200, noise=0.0)
    model = BandedRidgeCV(ALPHAS * 1e-4, spaces=data.spaces, coef=None, **MANY)
    model.fit(data.X, data.Y)
    assert model.plan_.interpolate
    assert model.cv_results_["interpolated"] == 0


def test_plan_interpolates_where_that_pays_and_leaves_it_to_a_limit():
    shape = BandedShape(500, 2000, 20_000, 2, 40, 11, (100,) * 5, per_target=True)
    free = make_plan(shape)
    assert free.interpolate
    assert free.whole

    def plan(**changes):
        return make_plan(BandedShape(**{**vars(shape), **changes}))

    assert not plan(s=800).interpolate  # fewer targets than forming operators again is worth
    assert not plan(candidates=2, r=5).interpolate
    assert not plan(scoring="pearson").interpolate
    assert not plan(per_target=False).interpolate
    assert not plan(s=3000).whole  # one block
    lean = make_plan(shape, memory_limit=free.peak_bytes - 1)
    assert not lean.interpolate
    assert not lean.whole
    assert lean.peak_bytes < free.peak_bytes


def test_targets_solved_by_choice_are_as_those_solved_in_order(monkeypatch, tmp_path):
    data = planted(t=50, sizes=(8, 20), s=60)
    options = {"spaces": data.spaces, "candidates": 6, "refine": 0, "alpha_per_target": True}
    plain = BandedRidgeCV(ALPHAS, **options).fit(data.X, data.Y)
    assert not plain.plan_.whole
    monkeypatch.setattr(planning, "SOLVED", 16)
    for coef in ("memory", None, tmp_path / "coef.npy"):
        model = BandedRidgeCV(ALPHAS, coef=coef, **options).fit(data.X, data.Y)
        assert model.plan_.whole
        assert np.allclose(model.predict(data.X), plain.predict(data.X))
        assert np.allclose(model.intercept_, plain.intercept_)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_planned_memory_covers_what_is_allocated(dtype):
    rng = np.random.default_rng(0)
    X, Y = (rng.standard_normal((120, n)).astype(dtype) for n in (100, 4800))
    model = BandedRidgeCV(
        np.logspace(1, 4, 6),
        spaces=np.repeat([0, 1], 50),
        candidates=8,
        refine=0,
        alpha_per_target=True,
        coef=None,
    )
    model.fit(X[:30], Y[:30, :9])  # imports and caches
    tracemalloc.start()
    try:
        model.fit(X, Y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert model.plan_ == model.plan_shape(120, 100, 4800, dtype)
    assert model.plan_.interpolate
    assert model.plan_.whole
    assert peak <= model.plan_.peak_bytes <= 4 * peak
