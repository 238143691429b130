"""Decisions of a sweep on a clock that is set: order, what is left out, the time, going on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench_core.fitting.sources import ProblemSource
from bench_core.own_problem.budget import Budget, CaseTimes
from bench_core.own_problem.cases import in_order, make_cases
from bench_core.own_problem.environments import BlasEnvironment
from bench_core.own_problem.problem import open_problem
from bench_core.own_problem.request import UNTIL, SweepRequest
from bench_core.own_problem.sweep import MAYBE_FASTEST, Side, Sweep
from bench_core.runner.spec import FitSpec
from tests.own_problem.fakes import Clock, FakeRuns, modelled, shipped

HAXBY = ProblemSource("haxby2001")

Make = Callable[..., tuple[Sweep, FakeRuns]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that makes a sweep of haxby2001 on four cores."""

    def made(
        *,
        within: float | None = None,
        blas: tuple[str, ...] = ("openblas",),
        trusted: bool = True,
        seconds: Callable[[FitSpec], float] | None = None,
        **values: Any,
    ) -> tuple[Sweep, FakeRuns]:
        clock = Clock()
        problem = open_problem(HAXBY, tmp_path)
        cases, refused = make_cases(problem, SweepRequest(HAXBY, **values), 4)
        models = [shipped(one, trusted=trusted) for one in blas]

        def predicted(case: Any) -> float | None:
            found = [model.prediction(case) for model in models]
            return min(one.seconds for one in found if one is not None)

        cases = in_order(cases, predicted)
        sides = [Side(one, model) for one, model in zip(blas, models, strict=True)]
        runs = FakeRuns(
            [BlasEnvironment(one, "python", "a test's") for one in blas],
            cases,
            tmp_path / "store",
            tmp_path / "pending",
            "a session",
            seconds=seconds or modelled(),
            clock=clock,
        )
        budget = Budget(within, clock=clock)
        sweep = Sweep(cases, sides, runs, budget, CaseTimes(UNTIL), lambda text: None, [*refused])
        return sweep, runs

    return made


def test_the_model_s_best_is_measured_first_and_the_references_next(make: Make) -> None:
    sweep, runs = make()
    sweep.run()
    first = [text for _, text in runs.asked]
    assert first[0] == sweep.cases[0].text
    assert {"ridgecv 1×1", "ridgecv 1×4"} <= set(first[:3])


def test_what_the_model_rules_out_is_named_with_its_prediction(make: Make) -> None:
    sweep, runs = make()
    sweep.run()
    asked = {text for _, text in runs.asked}
    left_out = {one.case: one for one in sweep.not_measured if one.environment is not None}
    assert left_out
    assert asked | set(left_out) == {one.text for one in sweep.cases}
    assert not asked & set(left_out)
    # 530 fits of scikit-learn's are no rival.
    assert {text for text in left_out if text.startswith("mor ")}
    seconds = modelled()
    for number, case in enumerate(sweep.cases):
        if case.text not in left_out:
            continue
        bounds = left_out[case.text].predicted_s
        assert bounds is not None
        fastest = sweep.fastest_s(case)
        assert fastest is not None
        assert bounds[0] > fastest
        assert bounds[0] <= seconds(case.spec) <= bounds[2]
        assert sweep.too_slow(0, number) is not None


def test_nothing_is_ruled_out_by_another_machine_s_table(make: Make) -> None:
    sweep, runs = make(trusted=False, strategies=("ridgecv", "mor", "multitarget"))
    sweep.run()
    assert {text for _, text in runs.asked} == {one.text for one in sweep.cases}
    assert [one for one in sweep.not_measured if one.environment is not None] == []


def test_a_machine_that_is_faster_than_its_model_rules_out_less(make: Make) -> None:
    """All times a hundredth of the model's: its ratios hold, its seconds do not."""
    slow, runs_slow = make()
    slow.run()
    as_modelled = {text for _, text in runs_slow.asked}
    for path in runs_slow.folder.rglob("*.json"):
        path.unlink()
    fast, runs_fast = make(seconds=modelled(factor=0.01))
    fast.run()
    assert {text for _, text in runs_fast.asked} == as_modelled


def test_environments_take_turns_and_those_that_may_win_run_twice(make: Make) -> None:
    factors = {"openblas": 1.0, "mkl": 1.2}
    seconds = modelled()
    sweep, runs = make(
        blas=("openblas", "mkl"),
        seconds=lambda spec: factors[str(spec.blas)] * seconds(spec),
        strategies=("multitarget", "bmor-shared"),
        nodes=(1,),
    )
    sweep.run()
    texts = [text for _, text in runs.asked]
    assert {label for label, _ in runs.asked} == {"openblas", "mkl"}
    firsts = list(dict.fromkeys(texts))
    split = 2 * len(firsts)
    # In the first pass both environments measure a case before the next one begins.
    assert texts[:split] == [text for text in firsts for _ in range(2)]
    again = texts[split:]
    twice = list(dict.fromkeys(again))
    assert again == [text for text in twice for _ in range(2)]
    assert twice == [one.text for one in reversed(sweep.cases) if one.text in set(twice)]
    for number, case in enumerate(sweep.cases):
        found = [runs.record(side, number) for side in range(2)]
        seconds = [one.times.median_s for one in found if one is not None and one.times is not None]
        fastest = sweep.fastest_s(case)
        assert fastest is not None
        near = bool(seconds) and min(seconds) <= MAYBE_FASTEST * fastest
        assert (case.text in twice) == (near or case.reference)
    assert sweep.notes == []


def test_a_time_is_kept_and_what_was_left_out_is_named(make: Make) -> None:
    sweep, runs = make(within=60.0, trusted=False)
    began = runs.clock.now
    sweep.run()
    assert runs.clock.now - began <= 60.0
    left_out = {one.case for one in sweep.not_measured if one.environment is not None}
    asked = {text for _, text in runs.asked}
    assert asked
    assert left_out
    assert asked | left_out == {one.text for one in sweep.cases}
    assert sweep.cases[0].text in asked


def test_a_case_that_takes_longer_than_predicted_is_stopped_at_the_end(make: Make) -> None:
    sweep, runs = make(within=120.0, seconds=lambda spec: 1000.0)
    began = runs.clock.now
    sweep.run()
    assert runs.clock.now - began <= 120.0
    assert [one.reason for one in sweep.not_measured][:1] != []
    assert {one.case for one in sweep.not_measured} >= {one.text for one in sweep.cases}


def test_too_little_time_for_all_environments_measures_the_fastest(make: Make) -> None:
    sweep, runs = make(within=14.0, blas=("openblas", "mkl"))
    sweep.run()
    label, text = runs.asked[0]
    assert text == sweep.cases[0].text
    predicted = [sweep.prediction(side, 0) for side in range(2)]
    seconds = [one.seconds for one in predicted if one is not None]
    assert len(seconds) == 2
    side = seconds.index(min(seconds))
    assert label == ("openblas", "mkl")[side]
    assert (text, ("mkl", "openblas")[side]) in {
        (one.case, one.environment) for one in sweep.not_measured
    }


def test_an_interrupted_sweep_goes_on_and_measures_nothing_twice(make: Make) -> None:
    whole, runs = make(blas=("openblas", "mkl"))
    runs.interrupt_after = 5  # in the middle of the third case
    with pytest.raises(KeyboardInterrupt):
        whole.run()
    before = list(runs.asked)
    again, more = make(blas=("openblas", "mkl"))
    again.run()
    # The first two cases are kept; of the third, both environments are measured, in turn.
    third = before[4][1]
    assert [text for _, text in before[:4]].count(third) == 0
    firsts = more.asked[: len(set(more.asked))]
    assert [text for _, text in firsts[:2]] == [third, third]
    for number, _ in enumerate(again.cases[:2]):
        for side in range(2):
            record = more.record(side, number)
            assert record is not None
            assert record.times is not None
            assert len(record.times.runs) <= 2
    # Once all is there, nothing is left to do.
    last, none = make(blas=("openblas", "mkl"))
    last.run()
    assert none.asked == []
    left_out = {(one.case, one.environment) for one in again.not_measured}
    assert {(one.case, one.environment) for one in last.not_measured} == left_out


def test_more_time_goes_on_with_what_was_left_out(make: Make) -> None:
    names = ("ridgecv", "mor", "multitarget")
    first, runs = make(within=40.0, trusted=False, strategies=names)
    first.run()
    second, more = make(trusted=False, strategies=names)
    second.run()
    fresh = {text for _, text in more.asked}
    assert {one.case for one in first.not_measured if one.environment is not None} <= fresh
    assert {one.text for one in second.cases} == fresh | {text for _, text in runs.asked}
