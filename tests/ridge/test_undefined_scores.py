"""Folds without a score, and penalties without any: left out and said, or refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import PredefinedSplit

from bench_core import strategies
from bench_core.errors import InputError
from bench_core.ridge import MultiTargetRidgeCV

ALPHAS = [1e-3, 10.0, 1e4]
RUNS = np.repeat([0, 1, 2, 3], [10, 10, 1, 10])


def planted():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((31, 60))
    return X, X[:, :8] @ rng.standard_normal((8, 12)) + rng.standard_normal((31, 12))


def expected_scores(X, Y):
    """Mean r2 of the folds that have one, each of an explicit refit."""
    return [
        np.mean(
            [
                r2_score(
                    Y[run == RUNS],
                    Ridge(alpha).fit(X[run != RUNS], Y[run != RUNS]).predict(X[run == RUNS]),
                )
                for run in (0, 1, 3)
            ]
        )
        for alpha in ALPHAS
    ]


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("solver", ["dual", "primal"])
def test_a_fold_of_one_sample_is_left_out_and_said(solver, each):
    X, Y = planted()
    model = MultiTargetRidgeCV(
        ALPHAS, cv=PredefinedSplit(RUNS), scoring="r2", solver=solver, alpha_per_target=each
    )
    with pytest.warns(RuntimeWarning, match=r"\[2\]"):
        model.fit(X, Y)
    np.testing.assert_allclose(model.cv_results_["mean_scores"], expected_scores(X, Y), rtol=1e-9)


@pytest.mark.parametrize("scoring", ["r2", "pearson"])
@pytest.mark.parametrize("each", [False, True])
def test_nothing_but_folds_of_one_sample_is_refused(scoring, each):
    X, Y = planted()
    model = MultiTargetRidgeCV(ALPHAS, cv=31, scoring=scoring, alpha_per_target=each)
    with pytest.raises(InputError, match="neg_mean_squared_error"):
        model.fit(X, Y)
    defined = MultiTargetRidgeCV(ALPHAS, cv=31, alpha_per_target=each)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        defined.fit(X, Y)
    left_out = MultiTargetRidgeCV(ALPHAS, alpha_per_target=each).fit(X, Y)
    np.testing.assert_array_equal(defined.alpha_, left_out.alpha_)


@pytest.mark.parametrize("name", ["ridgecv", "multitarget"])
def test_strategies_leave_it_out_too(name):
    X, Y = planted()
    with pytest.warns(RuntimeWarning, match=r"\[2\]"):
        model = strategies.get(name)(ALPHAS, cv=RUNS).fit(X, Y)
    best = ALPHAS[int(np.argmax(expected_scores(X, Y)))]
    assert set(model.chosen_alphas()) == {best}
    assert best != ALPHAS[0]  # which was taken where the mean over folds was undefined
    with pytest.raises(InputError, match="fold"):
        strategies.get(name)(ALPHAS, cv=31).fit(X, Y)
