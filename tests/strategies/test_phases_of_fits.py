"""Seconds per phase of whole fits: by a clock that counts its readings, and from real processes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from bench_core import strategies
from bench_core.phases import Phases
from bench_core.ridge import MultiTargetRidgeCV
from bench_core.runner.phase_meter import PhaseMeter

ALPHAS = (1.0, 30.0, 1000.0)


class Ticking:
    """A clock that goes on by one with every reading."""

    def __init__(self) -> None:
        self._count = itertools.count()

    def __call__(self) -> float:
        return float(next(self._count))


def timed(model, X, Y):
    """Fit with a ticking clock; return the phases and the fit's time by the same clock."""
    clock = Ticking()
    model.phases = phases = Phases(clock)
    began = clock()
    model.fit(X, Y)
    return phases, clock() - began


def names(phases) -> set[str]:
    return {name for name, seconds in phases.seconds.items() if seconds}


@pytest.mark.parametrize(("t", "p", "form"), [(30, 40, "dual"), (50, 12, "primal")])
@pytest.mark.parametrize("cv", [None, 3])
@pytest.mark.parametrize("each", [False, True])
def test_every_phase_of_a_fit_is_taken_and_they_sum_to_it(make_problem, t, p, form, cv, each):
    X, Y = make_problem(t, p, 200)
    model = strategies.get("multitarget")(ALPHAS, cv=cv, solver=form, alpha_per_target=each)
    estimator = model._estimator(t).set_params(batch_size=2)
    phases, whole = timed(estimator, X, Y)
    # The clock is read once before the first phase and once after the last one.
    assert whole - phases.total == 2
    assert phases.total == pytest.approx(whole, rel=0.02)
    steps = {"reading", "centring", "gram", "factorisation", "scores", "solution"}
    assert names(phases) >= steps - ({"gram"} if cv and form == "primal" else set())
    assert phases.seconds["waiting"] == 0
    untimed = model._estimator(t).set_params(batch_size=2).fit(X, Y)
    np.testing.assert_array_equal(estimator.coef_, untimed.coef_)


def test_held_out_rows_that_are_predicted_in_the_fit_are_predictions(make_problem):
    X, Y = make_problem(60, 20, 40)
    clock = Ticking()
    model = MultiTargetRidgeCV(ALPHAS, coef=None)
    model.phases = Phases(clock)
    began = clock()
    r = model.fit_score(X[:50], Y[:50], X[50:], Y[50:])
    assert clock() - began - model.phases.total == 2
    assert model.phases.seconds["predictions"] > 0
    assert r.shape == (40,)


def test_coefficients_that_go_to_a_file_are_transfers(make_problem, tmp_path):
    X, Y = make_problem(30, 40, 8)
    model = strategies.get("multitarget")(ALPHAS, coef=str(tmp_path / "coef.npy"))
    phases, _ = timed(model, X, Y)
    assert phases.seconds["transfers"] > 0
    assert model.phases_record(1.0).processes[0].seconds == phases.seconds


def test_a_more_exact_second_try_is_part_of_the_fit(make_problem):
    X, Y = make_problem(30, 40, 8)
    once, _ = timed(strategies.get("multitarget")(ALPHAS), X, Y)
    tiny = strategies.get("multitarget")((1e-13, 1e-12), fit_intercept=False)
    phases, whole = timed(tiny, X * np.logspace(0, -7, 40), Y)
    assert tiny.plan_.shape.exact
    assert whole - phases.total == 2
    assert phases.seconds["centring"] > once.seconds["centring"]


def test_predictions_after_the_fit_leave_its_phases_alone(make_problem):
    X, Y = make_problem(30, 40, 8)
    model = strategies.get("multitarget")(ALPHAS, coef=None)
    phases, _ = timed(model, X, Y)
    before = dict(phases.seconds)
    model.predict(X)
    assert phases.seconds == before


def test_scikit_learn_is_one_phase(make_problem):
    X, Y = make_problem(30, 10, 4)
    model = strategies.get("ridgecv")(ALPHAS)
    phases, whole = timed(model, X, Y)
    assert whole - phases.total == 2
    assert names(phases) == {"sklearn", "reading", "other"}


def test_nothing_is_taken_unless_asked_for(make_problem):
    X, Y = make_problem(30, 10, 4)
    model = strategies.get("multitarget")(ALPHAS).fit(X, Y)
    assert model.phases_record(1.0) is None
    meter = PhaseMeter()
    model = strategies.get("multitarget")(ALPHAS)
    meter.begin(model)
    meter.end(model.fit(X, Y), 2.0)
    assert meter.middle is meter.records[0]


def test_the_phases_of_the_fit_of_median_time_are_kept():
    meter = PhaseMeter()
    X, Y = np.arange(12.0).reshape(6, 2), np.arange(6.0)[:, None] ** 2
    for seconds in (5.0, 1.0, 3.0, 4.0):
        model = strategies.get("multitarget")(ALPHAS)
        meter.begin(model)
        meter.end(model.fit(X, Y), seconds)
    assert meter.middle.fit_s == 3.0  # the quicker of the two in the middle


def of(record, process):
    return next(one for one in record.processes if one.process == process)


def fit_timed(model, X, Y):
    """Fit with real clocks; return the record, every sum of which must be the main process's."""
    model.phases = Phases()
    model.fit(X, Y)
    record = model.phases_record(model.phases.total)
    assert [one.process for one in record.processes] == [
        "main",
        *(f"node {n}" for n in range(model.cluster.nodes)),
    ]
    assert record.deviation < 1e-9
    return record


@pytest.mark.parametrize(("t", "p", "form"), [(200, 300, "dual"), (400, 60, "primal")])
@pytest.mark.parametrize("factorise", ["one", "each"])
def test_two_nodes_of_bmor_shared_send_their_phases(
    cluster_of, make_problem, t, p, form, factorise
):
    X, Y = make_problem(t, p, 600)
    model = strategies.get("bmor-shared")(
        ALPHAS, cluster=cluster_of(2), solver=form, factorise=factorise
    )
    record = fit_timed(model, X, Y)
    first, second = of(record, "node 0"), of(record, "node 1")
    assert first.gram > 0
    assert first.factorisation > 0
    assert (second.factorisation > 0) == (factorise == "each")
    for node in (first, second):
        assert node.scores > 0
        assert node.solution > 0
        assert node.transfers > 0
    assert of(record, "main").waiting > 0
    assert of(record, "main").gram == 0
    again = strategies.get("bmor-shared")(
        ALPHAS, cluster=cluster_of(2), solver=form, factorise=factorise
    ).fit(X, Y)
    np.testing.assert_array_equal(again.coef_, model.coef_)
    assert again.phases_record(1.0) is None


@pytest.mark.parametrize("name", ["bmor", "mor"])
def test_every_node_repeats_what_scikit_learn_does(cluster_of, make_problem, name):
    X, Y = make_problem(80, 20, 8)
    record = fit_timed(strategies.get(name)(ALPHAS, cluster=cluster_of(2)), X, Y)
    for process in ("node 0", "node 1"):
        assert of(record, process).sklearn > 0
    assert of(record, "main").sklearn == 0
    assert record.critical.sklearn > 0


def test_a_fit_that_fails_on_a_node_leaves_the_cluster_untimed(cluster_of, make_problem):
    X, Y = make_problem(40, 50, 8)
    bad = Y.copy()
    bad[3, 5] = np.nan
    cluster = cluster_of(2)
    model = strategies.get("bmor-shared")(ALPHAS, cluster=cluster)
    model.phases = Phases()
    with pytest.raises(ValueError, match="column 5"):
        model.fit(X, bad)
    assert cluster.timed_fit is None
    record = fit_timed(model, X, Y)
    assert of(record, "node 1").scores > 0


def test_phases_are_taken_in_torch(device, make_problem):
    X, Y = make_problem(30, 40, 8)
    model = strategies.get("multitarget")(ALPHAS, device=device)
    phases, whole = timed(model, X, Y)
    assert whole - phases.total == 2
    assert names(phases) >= {"centring", "gram", "factorisation", "scores", "solution"}
