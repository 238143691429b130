"""Conformance test of strategies, for third parties to run in their own tests.

In the style of scikit-learn's ``check_estimator``: one call fits small problems and holds a class
against the contract of `bench_core.strategies.Strategy`, with scikit-learn's Ridge and RidgeCV as
the independent truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.linear_model import Ridge, RidgeCV

from bench_core.cluster import Cluster, local
from bench_core.errors import ConformanceError, InputError
from bench_core.machine import available_cores
from bench_core.records.fit_plan import FitPlan
from bench_core.strategies._base import COMMON_OPTIONS, Strategy

ALPHAS = (0.1, 3.0, 30.0, 300.0, 3000.0)
NODES = (1, 2, 3)

Clusters = Callable[[int], Cluster]
Check = Callable[["_Subject"], None]


def check_strategy(
    cls: type[Strategy],
    *,
    options: Mapping[str, Any] | None = None,
    clusters: Clusters | None = None,
) -> None:
    """Raise `ConformanceError` unless a class keeps the contract of `Strategy`.

    Parameters
    ----------
    options : constructor options of every fit.
    clusters : function from a number of nodes to a running cluster, for distributed strategies;
        by default local ones are started and ended.

    Raises
    ------
    ConformanceError : the first check that fails, by name, with what was found.

    Examples
    --------
    >>> from bench_core import strategies
    >>> strategies.check_strategy(strategies.get("ridgecv"))
    """
    with ExitStack() as stack:
        if clusters is None:
            clusters = stack.enter_context(_local_clusters())
        subject = _Subject(cls, dict(options or {}), clusters)
        for check in CHECKS:
            name = check.__name__
            try:
                check(subject)
            except AssertionError as error:
                raise ConformanceError(f"{name}: {error}") from error
            except Exception as error:
                found = f"{type(error).__name__}: {error}"
                raise ConformanceError(f"{name}: raised {found}") from error


class _Subject:
    """A strategy under test and the problems that it is given."""

    def __init__(self, cls: type[Strategy], options: dict[str, Any], clusters: Clusters) -> None:
        self.cls, self.options, self.clusters = cls, options, clusters

    def make(self, nodes: int = 2, **more: Any) -> Strategy:
        """Return an unfitted strategy, on a cluster if it needs one."""
        cluster = self.clusters(nodes) if self.cls.distributed else None
        return self.cls(ALPHAS, cluster=cluster, **self.options | more)

    def fit(self, nodes: int = 2, **more: Any) -> Strategy:
        """Return a strategy fitted to the first 50 samples."""
        X, Y = problem()
        return self.make(nodes, **more).fit(X[:50], Y[:50])


def problem() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return X (60, 12) and Y (60, 7); targets want different penalties, and all intercepts."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 12)) + rng.standard_normal(12)
    strength = 2.0 ** rng.permutation(np.linspace(-6, 1, 7))
    Y = X @ rng.standard_normal((12, 7)) * strength + rng.standard_normal((60, 7))
    return X, Y + rng.standard_normal(7)


def check_declaration(subject: _Subject) -> None:
    """Check names, scope and supported options of the class."""
    cls = subject.cls
    assert issubclass(cls, Strategy), f"{cls.__name__} is no subclass of Strategy"
    for attribute in ("name", "summary"):
        value = getattr(cls, attribute, None)
        assert isinstance(value, str), f"{attribute} = {value!r} is no text"
        assert value, f"{attribute} is empty"
    scope = getattr(cls, "penalty_scope", None)
    assert scope in ("all", "batch", "target"), f"penalty_scope = {scope!r}"
    assert isinstance(cls.supports, frozenset), f"supports = {cls.supports!r} is no frozenset"
    unknown = cls.supports - COMMON_OPTIONS
    assert not unknown, f"supports {sorted(unknown)}, which have no common meaning"
    lacking = cls.supports - cls.option_names()
    assert not lacking, f"supports {sorted(lacking)}, which __init__ does not take"


def check_parameters(subject: _Subject) -> None:
    """Check that parameters are stored as they come and survive ``clone``."""
    model = subject.make(1, fit_intercept=False)
    found = model.get_params(deep=False)
    assert found["alphas"] is ALPHAS, "alphas are not stored as they came"
    assert found["fit_intercept"] is False, "fit_intercept is not stored as it came"
    copy = clone(model).get_params(deep=False)
    different = [name for name, value in found.items() if repr(copy[name]) != repr(value)]
    assert not different, f"clone changes {different}"
    subject.cls()


def check_estimates(subject: _Subject) -> None:
    """Check types of ``skip``, ``bytes_needed`` and ``plan``."""
    cls = subject.cls
    reason = cls.skip(60, 12, 7, 1, 1)
    assert reason is None, f"skip gives {reason!r} for 60 × 12 to 60 × 7 on one node"
    if not cls.distributed:
        reason = cls.skip(60, 12, 7, 2, 1)
        assert isinstance(reason, str), f"skip gives {reason!r} for 2 nodes: give a reason"
    data = 8 * (60 * 12 + 60 * 7)
    needed = cls.bytes_needed(60, 12, 7, "float64", 1)
    assert isinstance(needed, int), f"bytes_needed gives {needed!r}, no int"
    assert needed >= data, f"bytes_needed gives {needed}: X and Y alone take {data}"
    for nodes in NODES if cls.distributed else (1,):
        plan = subject.make(nodes).plan(60, 12, 7, "float64", nodes)
        if plan is None:
            continue
        assert isinstance(plan, FitPlan), f"plan gives a {type(plan).__name__}: FitPlan or None"
        assert plan.strategy == cls.name, f"plan names {plan.strategy!r}"
        assert plan.nodes == nodes, f"plan for {nodes} nodes is of {plan.nodes}"
        assert plan.peak_bytes > 0, f"plan needs {plan.peak_bytes} bytes"


def check_shapes(subject: _Subject) -> None:
    """Check shapes and types of what a fit leaves, and of predictions."""
    X, Y = problem()
    before = X.copy(), Y.copy()
    model = subject.fit()
    assert np.array_equal(X, before[0]), "fit changes X"
    assert np.array_equal(Y, before[1]), "fit changes Y"
    sizes = model.n_features_in_, model.n_targets_
    assert sizes == (12, 7), f"n_features_in_, n_targets_ = {sizes}, not (12, 7)"
    for name, shape in (("coef_", (7, 12)), ("intercept_", (7,))):
        if name != "coef_" or hasattr(model, name):
            found = np.shape(getattr(model, name))
            assert found == shape, f"{name} has shape {found}, not {shape}"
    predicted = model.predict(X[50:])
    assert np.shape(predicted) == (10, 7), f"predict gives {np.shape(predicted)}, not (10, 7)"
    chosen = model.chosen_alphas()
    assert chosen.shape == (7,), f"chosen_alphas has shape {chosen.shape}, not (7,)"
    foreign = sorted(set(chosen.tolist()) - set(ALPHAS))
    assert not foreign, f"chosen_alphas {foreign} are no candidates"
    if subject.cls.penalty_scope == "all":
        assert len(set(chosen.tolist())) == 1, f"one penalty for all targets, found {chosen}"
    assert isinstance(model.cv_results_, dict), "cv_results_ is no dict"


def check_single_target(subject: _Subject) -> None:
    """Check that one target, and more nodes than targets, are fitted."""
    X, Y = problem()
    model = subject.make(3).fit(X, Y[:, :1])
    shape = np.shape(model.predict(X))
    assert shape == (60, 1), f"predict gives {shape} for one target, not (60, 1)"


def check_target_order(subject: _Subject) -> None:
    """Check that targets keep their order."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((80, 11))
    order = rng.permutation(11)  # target j copies feature order[j]
    model = subject.make(3).fit(X, X[:, order])
    r = np.corrcoef(model.predict(X), X, rowvar=False)[:11, 11:]
    found = np.abs(r).argmax(axis=1)
    assert np.array_equal(found, order), f"targets come as {found}, not {order}"


def check_agreement_with_ridge(subject: _Subject) -> None:
    """Check predictions against scikit-learn's Ridge with the chosen penalties."""
    X, Y = problem()
    for intercept in (True, False):
        model = subject.fit(fit_intercept=intercept)
        plain = Ridge(alpha=model.chosen_alphas(), fit_intercept=intercept, solver="cholesky")
        expected = plain.fit(X[:50], Y[:50]).predict(X[50:])
        difference = np.abs(model.predict(X[50:]) - expected).max()
        assert difference < 1e-6 * np.abs(expected).max(), (
            f"predictions differ by {difference:g} from Ridge's, fit_intercept={intercept}"
        )


def check_ridgecv_penalty(subject: _Subject) -> None:
    """Check the penalty against RidgeCV's, where the strategy claims its answer."""
    if not subject.cls.claims_ridgecv:
        return
    X, Y = problem()
    found = subject.fit().chosen_alphas()
    expected = RidgeCV(ALPHAS, gcv_mode="svd").fit(X[:50], Y[:50]).alpha_
    assert np.all(found == expected), f"penalty {found}, RidgeCV chooses {expected}"


def check_single_precision(subject: _Subject) -> None:
    """Check that float32 data are fitted, about as well."""
    X, Y = (array.astype(np.float32) for array in problem())
    model = subject.make().fit(X[:50], Y[:50])
    plain = Ridge(alpha=model.chosen_alphas()).fit(X[:50].astype(float), Y[:50].astype(float))
    expected = plain.predict(X[50:].astype(float))
    difference = np.abs(model.predict(X[50:]) - expected).max()
    assert difference < 1e-2 * np.abs(expected).max(), f"float32 differs by {difference:g}"


def check_errors(subject: _Subject) -> None:
    """Check that unusable data and penalties raise `InputError`."""
    X, Y = problem()
    bad = X.copy()
    bad[17, 3] = np.nan
    worse = Y.copy()
    worse[4, 5] = np.inf
    cases: list[tuple[str, Any, Any, Any]] = [
        ("fewer samples in Y", X, Y[:-1], ALPHAS),
        ("a one-dimensional Y", X, Y[:, 0], ALPHAS),
        ("NaN in X", bad, Y, ALPHAS),
        ("infinity in Y", X, worse, ALPHAS),
        ("a negative penalty", X, Y, (-1.0, 1.0)),
    ]
    for what, x, y, alphas in cases:
        model = subject.make().set_params(alphas=alphas)
        _expect_input_error(partial(model.fit, x, y), what)
    model = subject.fit()
    _expect_input_error(lambda: model.predict(X[:, :-1]), "prediction with fewer features")


def check_cluster_argument(subject: _Subject) -> None:
    """Check that a missing or superfluous cluster raises `InputError`."""
    X, Y = problem()
    wrong: Any = None if subject.cls.distributed else object()
    model = subject.cls(ALPHAS, cluster=wrong, **subject.options)
    _expect_input_error(lambda: model.fit(X, Y), f"cluster={wrong}")


def check_node_independence(subject: _Subject) -> None:
    """Check that the number of nodes changes nothing but rounding.

    With one penalty per batch of targets the batches are the nodes', and so may be penalties.
    """
    if not subject.cls.distributed:
        return
    X, _ = problem()
    models = [subject.fit(nodes) for nodes in NODES]
    if subject.cls.penalty_scope != "batch":
        for nodes, model in zip(NODES[1:], models[1:], strict=True):
            chosen, expected = model.chosen_alphas(), models[0].chosen_alphas()
            assert np.array_equal(chosen, expected), (
                f"{nodes} nodes choose {chosen}, one node {expected}"
            )
            difference = np.abs(model.predict(X) - models[0].predict(X)).max()
            assert difference < 1e-9, f"{nodes} nodes predict otherwise by {difference:g}"


CHECKS: tuple[Check, ...] = (
    check_declaration,
    check_parameters,
    check_estimates,
    check_shapes,
    check_single_target,
    check_target_order,
    check_agreement_with_ridge,
    check_ridgecv_penalty,
    check_single_precision,
    check_errors,
    check_cluster_argument,
    check_node_independence,
)
"""Checks in the order in which `check_strategy` runs them."""


def _expect_input_error(call: Callable[[], object], what: str) -> None:
    try:
        call()
    except InputError:
        return
    except Exception as error:
        raise AssertionError(f"{what} raises {type(error).__name__}, not InputError") from error
    raise AssertionError(f"{what} raises nothing")


@contextmanager
def _local_clusters() -> Iterator[Clusters]:
    """Give local clusters of one thread per node, kept running meanwhile."""
    with ExitStack() as stack:
        running: dict[int, Cluster] = {}

        def cluster_of(nodes: int) -> Cluster:
            if nodes not in running:
                crowded = available_cores() < nodes
                running[nodes] = stack.enter_context(local(nodes, 1, oversubscribe=crowded))
            return running[nodes]

        yield cluster_of
