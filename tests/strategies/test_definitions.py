"""Every strategy against its definition, computed plainly by scikit-learn."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import KFold, PredefinedSplit

from bench_core import strategies

ALPHAS = (0.1, 3.0, 30.0, 300.0, 3000.0)
TOLERANCE = {"f8": 1e-9, "f4": 1e-5}


def groups(name, s, nodes):
    """Return, straight from the definitions, the lists of targets that share a penalty."""
    if name == "ridgecv":
        return [list(range(s))]
    if name == "mor":
        return [[j] for j in range(s)]
    n = min(s, nodes)
    bounds = [int(Fraction(i * s, n)) for i in range(n + 1)]
    return [list(range(a, b)) for a, b in itertools.pairwise(bounds)]


def defined(name, X, Y, nodes, fit_intercept, **options):
    """Return coefficients, intercepts and penalties of plain RidgeCV on each group of targets."""
    s, p = Y.shape[1], X.shape[1]
    coef, intercept, alphas = np.empty((s, p), X.dtype), np.empty(s, X.dtype), np.empty(s)
    for group in groups(name, s, nodes):
        model = RidgeCV(ALPHAS, fit_intercept=fit_intercept, **options).fit(X, Y[:, group])
        coef[group] = model.coef_
        intercept[group] = model.intercept_
        alphas[group] = model.alpha_
    return coef, intercept, alphas


def fitted(name, cluster_of, nodes, X, Y, **parameters):
    cls = strategies.get(name)
    cluster = cluster_of(nodes) if cls.distributed else None
    return cls(ALPHAS, cluster=cluster, **parameters).fit(X, Y)


def assert_as_defined(model, X, Y, expected, dtype):
    coef, intercept, alphas = expected
    tolerance = TOLERANCE[dtype]
    scale = np.abs(coef).max()
    np.testing.assert_allclose(model.coef_, coef, atol=tolerance * scale, rtol=0)
    np.testing.assert_allclose(model.intercept_, intercept, atol=tolerance * 10, rtol=0)
    np.testing.assert_array_equal(model.chosen_alphas(), alphas)
    assert model.coef_.shape == coef.shape
    assert model.coef_.dtype == model.intercept_.dtype == X.dtype
    predicted = model.predict(X)
    assert predicted.shape == Y.shape
    np.testing.assert_allclose(predicted, X @ coef.T + intercept, atol=tolerance * 100, rtol=0)


@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "no intercept"])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("s", [6, 7, 2, 1], ids=lambda s: f"s={s}")
@pytest.mark.parametrize(
    ("name", "nodes"),
    [("ridgecv", 1), *((name, c) for name in ("bmor", "mor") for c in (1, 2, 3))],
)
def test_strategy_is_its_definition(cluster_of, make_problem, name, nodes, s, dtype, fit_intercept):
    X, Y = make_problem(60, 12, s, dtype)
    model = fitted(name, cluster_of, nodes, X, Y, fit_intercept=fit_intercept)
    expected = defined(name, X, Y, nodes, fit_intercept)
    assert_as_defined(model, X, Y, expected, dtype)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("name", ["ridgecv", "bmor", "mor"])
def test_more_features_than_samples(cluster_of, make_problem, name, fit_intercept):
    X, Y = make_problem(25, 40, 5)
    model = fitted(name, cluster_of, 2, X, Y, fit_intercept=fit_intercept)
    assert_as_defined(model, X, Y, defined(name, X, Y, 2, fit_intercept), "f8")


@pytest.mark.parametrize("name", ["ridgecv", "bmor", "mor"])
@pytest.mark.parametrize(
    "options",
    [{"gcv_mode": "svd"}, {"gcv_mode": "eigen"}, {"cv": 4}, {"cv": "runs"}, {"cv": KFold(3)}],
    ids=lambda o: str(o),
)
def test_options_mean_what_they_mean_to_scikit_learn(cluster_of, make_problem, name, options):
    X, Y = make_problem(60, 12, 5)
    plainly = options
    if options == {"cv": "runs"}:
        runs = np.repeat([7, 1, 7, 4], 15)
        plainly = {"cv": PredefinedSplit(runs)}
        options = {"cv": runs if name == "ridgecv" else runs.tolist()}
    model = fitted(name, cluster_of, 2, X, Y, **options)
    assert_as_defined(model, X, Y, defined(name, X, Y, 2, True, **plainly), "f8")


@pytest.mark.parametrize("name", ["ridgecv", "bmor", "mor"])
def test_predictions_are_those_of_plain_ridge_at_the_chosen_penalties(
    cluster_of, make_problem, name
):
    # The check that every measurement makes; nothing here is RidgeCV's.
    X, Y = make_problem(60, 12, 7)
    model = fitted(name, cluster_of, 2, X[:50], Y[:50])
    ridge = Ridge(alpha=model.chosen_alphas(), solver="cholesky").fit(X[:50], Y[:50])
    np.testing.assert_allclose(model.predict(X[50:]), ridge.predict(X[50:]), atol=1e-10)


def test_penalties_differ_where_they_may(cluster_of, make_problem):
    # Otherwise the comparisons above could not tell one scope from another.
    X, Y = make_problem(60, 12, 7)
    distinct = {
        name: len(set(fitted(name, cluster_of, 3, X, Y).chosen_alphas()))
        for name in ("ridgecv", "bmor", "mor")
    }
    assert distinct["ridgecv"] == 1 < distinct["bmor"] <= 3 <= distinct["mor"]


@pytest.mark.parametrize("name", ["bmor", "mor"])
@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_targets_keep_their_order(cluster_of, name, nodes):
    # Target j copies feature order[j], so its largest coefficient says where it ended up.
    rng = np.random.default_rng(5)
    X = rng.standard_normal((80, 11))
    order = rng.permutation(11)
    model = fitted(name, cluster_of, nodes, X, X[:, order])
    np.testing.assert_array_equal(np.abs(model.coef_).argmax(axis=1), order)


def test_bmor_reports_its_batches(cluster_of, make_problem):
    X, Y = make_problem(60, 12, 7)
    model = fitted("bmor", cluster_of, 3, X, Y)
    results = model.cv_results_
    np.testing.assert_array_equal(results["boundaries"], [0, 2, 4, 7])
    np.testing.assert_array_equal(results["alphas"], ALPHAS)
    np.testing.assert_array_equal(np.repeat(results["alpha"], [2, 2, 3]), model.alpha_)
    for batch, (start, stop) in enumerate([(0, 2), (2, 4), (4, 7)]):
        plain = RidgeCV(ALPHAS).fit(X, Y[:, start:stop])
        assert results["best_score"][batch] == pytest.approx(plain.best_score_)


def test_leave_one_out_is_that(make_problem):
    # scikit-learn's shortcut against leaving out one sample after the other.
    X, Y = make_problem(30, 6, 4)
    model = strategies.get("ridgecv")(ALPHAS).fit(X, Y)
    errors = [
        sum(
            np.sum((Y[test] - Ridge(alpha=alpha).fit(X[train], Y[train]).predict(X[test])) ** 2)
            for train, test in KFold(30).split(X)
        )
        for alpha in ALPHAS
    ]
    assert model.alpha_ == ALPHAS[int(np.argmin(errors))]
    assert -model.cv_results_["best_score"] == pytest.approx(min(errors) / Y.size)
