"""A penalty for every target, in every strategy that offers it, against explicit choices."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import pearsonr
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, LeaveOneOut, PredefinedSplit

from bench_core import strategies
from bench_core.errors import InputError
from bench_core.ridge import GridEdgeWarning, MultiTargetRidgeCV
from bench_core.strategies.bmor_shared import SharedBatches
from tests.strategies.peers import needs_himalaya

ALPHAS = (0.1, 3.0, 30.0, 300.0, 3000.0)
RUNS = np.repeat([3, 1, 2, 5], [9, 11, 12, 8])


def scored(scoring: str, truth: NDArray, predicted: NDArray) -> NDArray:
    """Return the score of every target, by scipy and scikit-learn."""
    if scoring == "pearson":
        return np.array([pearsonr(a, b)[0] for a, b in zip(truth.T, predicted.T, strict=True)])
    if scoring == "r2":
        return r2_score(truth, predicted, multioutput="raw_values")
    return -((truth - predicted) ** 2).mean(axis=0)


def explicit(X: NDArray, Y: NDArray, cv: Any, scoring: str) -> NDArray:
    """Return the scores (r, s) of every penalty and target by refits with rows left out."""
    found = []
    for alpha in ALPHAS:
        parts = []
        for train, test in cv.split(X):
            model = Ridge(alpha, solver="svd").fit(X[train], Y[train])
            parts.append((Y[test], model.predict(X[test])))
        if isinstance(cv, LeaveOneOut):  # one sample has a score of its own only with the others
            truth, predicted = (np.concatenate(part) for part in zip(*parts, strict=True))
            found.append(scored(scoring, truth, predicted))
        else:
            found.append(np.mean([scored(scoring, *part) for part in parts], axis=0))
    return np.array(found)


SCHEMES: dict[str, tuple[Any, Any]] = {
    "loo": (None, LeaveOneOut()),
    "folds": (4, KFold(4)),
    "runs": (RUNS, PredefinedSplit(RUNS)),
}


@pytest.mark.parametrize("scoring", ["neg_mean_squared_error", "r2", "pearson"])
@pytest.mark.parametrize("scheme", list(SCHEMES))
@pytest.mark.parametrize("p", [12, 60], ids=["tall", "wide"])
def test_choice_is_that_of_explicit_refits(make_problem, cluster_of, p, scheme, scoring):
    X, Y = make_problem(40, p, 7)
    cv, splitter = SCHEMES[scheme]
    table = explicit(X, Y, splitter, scoring)
    for name, nodes in (("multitarget", 1), ("bmor-shared", 2)):
        cls = strategies.get(name)
        cluster = cluster_of(nodes) if cls.distributed else None
        model = cls(ALPHAS, cluster=cluster, cv=cv, scoring=scoring, alpha_per_target=True)
        model.fit(X, Y)
        index = [ALPHAS.index(alpha) for alpha in model.chosen_alphas()]
        chosen = table[index, np.arange(7)]
        assert (chosen >= table.max(axis=0) - 1e-9 * np.abs(table).max()).all(), name
        np.testing.assert_allclose(model.cv_results_["best_score"], chosen, rtol=1e-8)
        assert len(set(index)) > 1, "the targets of the problem want different penalties"
        plain = Ridge(model.chosen_alphas(), solver="svd").fit(X, Y)
        np.testing.assert_allclose(model.predict(X), plain.predict(X), atol=1e-9)


@pytest.mark.parametrize("factorise", ["one", "each"])
@pytest.mark.parametrize(
    ("t", "p", "solver"), [(60, 12, "primal"), (60, 12, "dual"), (30, 45, "dual")]
)
@pytest.mark.parametrize("nodes", [1, 2, 3])
def test_nodes_change_nothing(make_problem, cluster_of, t, p, solver, factorise, nodes):
    for dtype, cv in product(("f8", "f4"), (None, "gcv", 3)):
        X, Y = make_problem(t, p, 5, dtype)
        one = MultiTargetRidgeCV(
            ALPHAS,
            cv=cv or "loo",
            scoring="r2" if cv == 3 else "neg_mean_squared_error",
            alpha_per_target=True,
            solver=solver,
        ).fit(X, Y)
        model = SharedBatches(
            ALPHAS,
            cluster=cluster_of(nodes),
            cv=cv,
            alpha_per_target=True,
            solver=solver,
            factorise=factorise,
        ).fit(X, Y)
        np.testing.assert_array_equal(model.alpha_, one.alpha_)
        assert model.plan_.shape.per_target
        limit = 1e-9 if dtype == "f8" else 1e-4
        np.testing.assert_allclose(model.predict(X), one.predict(X), atol=limit * 100)
        np.testing.assert_allclose(model.cv_results_["best_score"], one.best_score_, rtol=limit)


def test_more_nodes_than_targets(make_problem, cluster_of):
    X, Y = make_problem(30, 45, 2)
    model = SharedBatches(ALPHAS, cluster=cluster_of(3), alpha_per_target=True).fit(X, Y)
    expected = RidgeCV(ALPHAS, alpha_per_target=True).fit(X, Y)
    np.testing.assert_array_equal(model.alpha_, expected.alpha_)


def test_extended_grids_on_nodes(make_problem, cluster_of):
    X, Y = make_problem(40, 60, 6)
    options = {"extend_alphas": 5, "alpha_per_target": True}
    one = MultiTargetRidgeCV([1.0, 10.0], **options).fit(X, Y)
    model = SharedBatches([1.0, 10.0], cluster=cluster_of(2), **options).fit(X, Y)
    np.testing.assert_array_equal(model.alpha_, one.alpha_)
    np.testing.assert_array_equal(model.tried_alphas(), one.cv_results_["alphas"])
    np.testing.assert_allclose(model.predict(X), one.predict(X), atol=1e-9)


@pytest.mark.parametrize("scoring", [None, "r2"])
@pytest.mark.parametrize("s", [1, 6])
def test_ridgecv_is_scikit_learns(make_problem, s, scoring):
    X, Y = make_problem(40, 12, s)
    model = strategies.get("ridgecv")(ALPHAS, alpha_per_target=True, scoring=scoring).fit(X, Y)
    plain = RidgeCV(ALPHAS, alpha_per_target=True, scoring=scoring).fit(X, Y)
    assert model.scope == "target"
    np.testing.assert_array_equal(model.chosen_alphas(), np.broadcast_to(plain.alpha_, s))
    np.testing.assert_array_equal(model.coef_, plain.coef_.reshape(s, 12))
    np.testing.assert_array_equal(
        model.cv_results_["best_score"], np.broadcast_to(plain.best_score_, s)
    )


def test_mor_is_its_definition(make_problem, cluster_of):
    X, Y = make_problem(40, 12, 5)
    slow = strategies.get("mor")(ALPHAS, cluster=cluster_of(2)).fit(X, Y)
    quick = strategies.get("multitarget")(ALPHAS, alpha_per_target=True).fit(X, Y)
    np.testing.assert_array_equal(quick.alpha_, slow.alpha_)
    np.testing.assert_allclose(quick.coef_, slow.coef_, atol=1e-10)


@needs_himalaya
@pytest.mark.parametrize("scoring", ["neg_mean_squared_error", "r2", "pearson"])
@pytest.mark.parametrize("cv", ["folds", "runs"])
@pytest.mark.parametrize("p", [12, 60], ids=["ridge", "kernel"])
def test_himalaya_is_local_alpha(make_problem, p, cv, scoring):
    X, Y = make_problem(40, p, 6)
    option, splitter = SCHEMES[cv]
    model = strategies.get("himalaya")(ALPHAS, cv=option, scoring=scoring, alpha_per_target=True)
    model.fit(X, Y)
    table = explicit(X, Y, splitter, scoring)
    chosen = table[[ALPHAS.index(alpha) for alpha in model.alpha_], np.arange(6)]
    assert (chosen >= table.max(axis=0) - 1e-9 * np.abs(table).max()).all()
    plain = Ridge(model.alpha_, solver="svd").fit(X, Y)
    np.testing.assert_allclose(model.predict(X), plain.predict(X), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "named"),
    [
        ("ridgecv", {"cv": 3, "alpha_per_target": True}, "alpha_per_target"),
        ("ridgecv", {"scoring": "pearson"}, "pearson"),
        ("ridgecv", {"cv": "gcv"}, "gcv"),
        ("mor", {"cv": "run"}, "run"),
        ("bmor", {"scoring": "pearson"}, "pearson"),
        ("multitarget", {"cv": "gcv", "scoring": "pearson"}, "pearson"),
        ("multitarget", {"extend_alphas": -2}, "-2"),
        ("bmor-shared", {"extend_alphas": 0.5}, "0.5"),
    ],
)
def test_what_a_strategy_cannot_do_is_refused(make_problem, cluster_of, name, options, named):
    X, Y = make_problem(20, 4, 3)
    cls = strategies.get(name)
    cluster = cluster_of(1) if cls.distributed else None
    with pytest.raises(InputError, match=named):
        cls(ALPHAS, cluster=cluster, **options).fit(X, Y)


@pytest.mark.parametrize("name", ["ridgecv", "mor", "bmor", "multitarget", "bmor-shared"])
def test_every_strategy_warns_at_the_grids_edge_once(make_problem, cluster_of, name):
    X, Y = make_problem(40, 12, 3)
    cls = strategies.get(name)
    cluster = cluster_of(1) if cls.distributed else None
    with pytest.warns(GridEdgeWarning, match="smallest|largest") as caught:
        cls((1e-9, 1e-8), cluster=cluster).fit(X, Y)
    assert len(caught) == 1
