"""Advice: what is recommended, what does not fit, what was measured, and where curves end."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from bench_core import strategies
from bench_core.advice import Limits, advise, scaling_curve
from bench_core.advice.candidates import ProblemSize, candidates
from bench_core.advice.fitted import calibrate_from_records
from bench_core.advice.recorded import measured_beside, recorded_fits
from bench_core.errors import InputError, UnknownNameError
from bench_core.penalties import THESIS_ALPHAS, log_spaced
from bench_core.records import read_runs
from bench_core.runner.penalty_request import PenaltyRequest
from bench_core.scaling.calibration import Calibration, read_calibration

RESULTS = Path(__file__).parents[2] / "results"
WHOLE_BRAIN = ProblemSize(t=9000, p=16_384, s=264_805)
THESIS = Limits(nodes=8, threads=32, memory_bytes=250 * 2**30, machines=8)


@pytest.fixture(scope="module")
def table() -> Calibration:
    return read_calibration("xeon-6130-mkl")


def test_every_built_in_strategy_says_its_cost():
    assert set(strategies.with_cost()) >= {
        "ridgecv",
        "mor",
        "bmor",
        "bmor-shared",
        "multitarget",
        "himalaya",
    }


def test_the_recommended_way_is_the_fastest_that_fits_and_answers_as_ridgecv(table):
    advice = advise(WHOLE_BRAIN, [table], THESIS)
    best = advice.best
    assert best is not None
    rivals = [one for one in advice.predicted if one.fits and one.same_answer]
    assert best.prediction.total == min(one.prediction.total for one in rivals)
    assert best.candidate.strategy in advice.command
    assert best.candidate.strategy in advice.reason
    strategies.get(best.candidate.strategy)(**best.candidate.options)
    for one in advice.predicted:
        together = THESIS.per_machine(one.candidate.nodes)
        assert together * one.candidate.threads <= THESIS.threads


def test_what_does_not_fit_says_by_how_much(table):
    whole = advise(WHOLE_BRAIN, [table], THESIS, names=["ridgecv", "multitarget"])
    memory = min(one.memory_bytes for one in whole.predicted) - 1000
    small = replace(THESIS, memory_bytes=memory)
    advice = advise(WHOLE_BRAIN, [table], small, names=["ridgecv", "multitarget"])
    assert advice.best is None
    assert advice.command is None
    assert min(one.excess_bytes for one in advice.predicted) == 1000
    for one in advice.predicted:
        assert one.excess_bytes == one.memory_bytes - memory


def test_speed_up_is_over_ridgecv_on_one_thread(table):
    advice = advise(WHOLE_BRAIN, [table], THESIS, names=["ridgecv"], dtypes=["float64"])
    one = next(
        one for one in advice.predicted if one.candidate.threads == 1 and not one.candidate.options
    )
    assert one.speed_up == pytest.approx(1)


def test_nodes_on_one_machine_share_its_threads_and_memory():
    limits = Limits(nodes=8, threads=4, memory_bytes=2**33)
    size = ProblemSize(400, 600, 1000)
    found = list(candidates(size, names=["bmor"], dtypes=["float64"], nodes=[1, 4], threads=[1]))
    one, four = (item.cost for item in found if not item.options)
    assert limits.per_machine(4) == 4
    assert four.machine_bytes(4) > four.machine_bytes(1)
    assert four.machine_bytes(4) == four.peak_bytes
    assert one.machine_bytes(1) == one.peak_bytes


def test_wrong_requests_are_named(table):
    with pytest.raises(InputError):
        advise(WHOLE_BRAIN, [], THESIS)
    with pytest.raises(InputError, match="nothing-of-the-kind"):
        advise(WHOLE_BRAIN, [table], THESIS, names=["nothing-of-the-kind"])


@pytest.mark.parametrize(
    ("penalty", "able"),
    [
        (PenaltyRequest(cv="gcv"), {"multitarget", "bmor-shared"}),
        (PenaltyRequest(alpha_per_target=True), {"multitarget", "bmor-shared", "ridgecv"}),
        (PenaltyRequest(extend_alphas=2), {"multitarget", "bmor-shared"}),
        (PenaltyRequest(cv=5, scoring="r2"), {"multitarget", "bmor-shared", "ridgecv", "bmor"}),
        (PenaltyRequest(cv="loo"), {"multitarget", "bmor-shared", "ridgecv", "bmor"}),
    ],
)
def test_only_ways_that_can_choose_penalties_so_are_predicted(table, penalty, able):
    names = ["ridgecv", "bmor", "bmor-shared", "multitarget", "himalaya"]
    size = ProblemSize(400, 300, 2000, penalty)
    limits = Limits(2, 2, 2**34)
    advice = advise(size, [table], limits, names=names, dtypes=["float64"])
    found = {one.candidate.strategy for one in advice.predicted} - {"himalaya"}
    assert found == able
    refused = dict(advice.refused)
    assert set(refused) | found >= set(names) - {"himalaya"}
    for one in advice.predicted:
        kind = strategies.get(one.candidate.strategy)
        asked = penalty.options_of(one.candidate.strategy)
        assert asked.items() <= one.candidate.options.items()
        kind(**one.candidate.options).check_options(size.t)
    assert advice.best.candidate.strategy in found


def test_what_is_predicted_is_the_cost_of_what_was_asked_for(table):
    """Against the costs of the strategy itself, with the same options."""
    limits = Limits(1, 1, 2**34)
    grid = log_spaced(1e-3, 1e7, 40)
    requests = [
        PenaltyRequest(),
        PenaltyRequest(alphas=grid),
        PenaltyRequest(alpha_per_target=True),
        PenaltyRequest(cv=10, scoring="pearson"),
        PenaltyRequest(cv="gcv", alpha_per_target=True),
    ]
    seconds = []
    for request in requests:
        size = ProblemSize(400, 900, 20_000, request)
        advice = advise(size, [table], limits, names=["multitarget"], dtypes=["float64"])
        (one,) = advice.predicted
        model = strategies.get("multitarget")(
            request.alphas or THESIS_ALPHAS, solver="dual", **request.options
        )
        assert one.candidate.cost == model.cost(400, 900, 20_000)
        seconds.append(one.prediction.seconds)
    shared, many, each, folds, gcv = seconds
    assert shared < many < folds
    assert shared < gcv < each


def test_the_command_says_how_penalties_are_chosen(table):
    request = PenaltyRequest(alphas=log_spaced(1e-3, 1e7, 15), cv="run", alpha_per_target=True)
    size = ProblemSize(400, 300, 2000, request)
    advice = advise(size, [table], Limits(1, 1, 2**34), names=["multitarget"])
    words = advice.command.split()
    assert words[words.index("--alphas") + 1] == "0.001:10000000:15"
    assert words[words.index("--cv") + 1] == "run"
    assert "--alpha-per-target" in words


def test_a_curve_of_a_strategy_that_cannot_is_refused(table):
    size = replace(WHOLE_BRAIN, penalty=PenaltyRequest(alpha_per_target=True))
    with pytest.raises(InputError, match="bmor has no alpha_per_target"):
        scaling_curve("bmor", size, table, 32)
    plain = scaling_curve("bmor-shared", WHOLE_BRAIN, table, 32, most=2)
    each = scaling_curve("bmor-shared", size, table, 32, most=2)
    assert each.points[0].seconds > plain.points[0].seconds


def test_bmor_stops_where_every_node_repeats_the_factorisation(table):
    curve = scaling_curve("bmor", WHOLE_BRAIN, table, 32)
    times = [one.seconds for one in curve.points]
    assert [one.nodes for one in curve.points] == [2**k for k in range(11)]
    assert all(b <= a for a, b in pairwise(times))
    assert curve.stops_at is not None
    at = next(one for one in curve.points if one.nodes == curve.stops_at)
    twice = next(one for one in curve.points if one.nodes == 2 * curve.stops_at)
    assert twice.seconds > 0.9 * at.seconds
    assert at.phase == "factorisation"
    # Equation 3.7: no number of nodes takes off what depends on X alone.
    assert times[-1] > 0.9 * at.share * at.seconds


def test_recorded_fits_stand_beside_predictions():
    fits = list(recorded_fits(read_runs(RESULTS, "reference-2core")))
    assert {one.strategy for one in fits} == {
        "ridgecv",
        "mor",
        "bmor",
        "bmor-shared",
        "multitarget",
        "himalaya",
    }
    found = measured_beside(
        fits,
        size=(374, 680, 11_033),
        strategy="bmor",
        form="gram",
        dtype="float64",
        blas="openblas",
        nodes=2,
        threads=1,
    )
    assert [machine for machine, _ in found] == ["reference-2core"]
    assert found[0][1] > 0
    way = {"size": (374, 680, 11_033), "strategy": "bmor", "form": "gram", "dtype": "float64"}
    way |= {"blas": "openblas", "nodes": 2, "threads": 1}
    assert measured_beside(fits, **way, alphas=THESIS_ALPHAS) == found
    assert measured_beside(fits, **way, alphas=(1.0, 10.0)) == ()
    assert measured_beside(fits, **way, options={"cv": 5}) == ()


def test_a_calibration_from_records_needs_a_machine_that_was_recorded():
    runs = read_runs(RESULTS, "reference-2core")
    with pytest.raises(UnknownNameError):
        calibrate_from_records(runs, machine="nowhere")
    with pytest.raises(UnknownNameError):
        calibrate_from_records(runs, machine="reference-2core", blas="blis")
    with pytest.raises(InputError):
        calibrate_from_records([], machine=None)
