"""Steps of `ridgebench bench --problem`: the sweep, and its answer."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from bench_core.cli.display import console, print_table, say
from bench_core.cli.option_values import listed_words

if TYPE_CHECKING:
    from bench_core.own_problem.budget import CaseTimes
    from bench_core.own_problem.cases import SweepCase
    from bench_core.own_problem.environments import BlasEnvironment
    from bench_core.own_problem.model import Model
    from bench_core.own_problem.places import Places
    from bench_core.own_problem.problem import OwnProblem
    from bench_core.own_problem.request import SweepRequest
    from bench_core.own_problem.sweep import Side, Sweep
    from bench_core.records.session import NotMeasured, SessionRecord
    from bench_core.runner.penalty_request import PenaltyRequest

BUILD_PART = 0.5
"""Part of what is left of the time that a step of building an environment may take."""


def bench_own(
    given: dict[str, Any],
    penalty: PenaltyRequest,
    *,
    machine: str | None,
    accept_load: bool,
    again: bool,
    plan: bool,
) -> None:
    """Sweep one's own problem: progress goes to standard error, the answer to standard output."""
    from bench_core.fitting.sources import ProblemSource
    from bench_core.machine import available_cores
    from bench_core.own_problem.budget import Budget, CaseTimes
    from bench_core.own_problem.cases import in_order, make_cases
    from bench_core.own_problem.environments import (
        LONGEST_S,
        current_blas,
        default_blas,
        planned_environment,
        prepare,
    )
    from bench_core.own_problem.measuring import EnvironmentRuns, session_name
    from bench_core.own_problem.model import find_model, time_for_quick
    from bench_core.own_problem.places import find_places
    from bench_core.own_problem.problem import open_problem
    from bench_core.own_problem.request import UNTIL, SweepRequest
    from bench_core.own_problem.sweep import Side, Sweep

    budget = Budget(given["within"])
    request = SweepRequest(
        ProblemSource(
            given["problem"],
            given["x"],
            given["y"],
            given["runs"],
            given["scale"],
            given["subject"],
        ),
        split=given["split"],
        strategies=listed_words(given["strategies"]),
        nodes=given["nodes"] or (),
        threads=given["threads"] or (),
        blas=given["blas"] or default_blas(),
        dtypes=given["dtype"] or (),
        penalty=penalty,
        within_s=given["within"],
    )
    places, cores = find_places(Path.cwd(), penalty.label), available_cores()
    problem = open_problem(request.source, places.state)
    cases, refused = make_cases(problem, request, cores)
    _tell(f"{problem.name}: {problem.t:,} samples × {problem.p:,} features × {problem.s:,} targets")
    current = current_blas()
    environments, lines = prepare(
        request.blas,
        places.environments,
        current=current,
        say=_tell,
        build=planned_environment if plan else None,
        limit_s=min(LONGEST_S, BUILD_PART * budget.left()),
    )
    for line in lines:
        _tell(line)
    models = []
    for environment in environments:
        models.append(
            find_model(
                environment,
                known=places.calibrations,
                quick=places.quick_calibrations,
                cores=cores,
                limit_s=0 if plan else time_for_quick(len(environments), request.within_s),
            )
        )
        _tell(models[-1].note)
    cases = in_order(cases, lambda case: _predicted(case, models))
    sides = [Side(one.label, model) for one, model in zip(environments, models, strict=True)]
    if plan:
        _show_plan(problem, cases, sides, refused, CaseTimes(UNTIL))
        return
    store = places.state / problem.digest / f"{request.split}-{penalty.label or 'default'}"
    session = session_name(store, again=again)
    variables = {"RIDGEBENCH_ACCEPT_LOAD": "1"} if accept_load else {}
    began, started = perf_counter(), datetime.now(UTC)
    name = _machine(places, machine, penalty.label)
    runs = EnvironmentRuns(environments, cases, store, places.pending, session, variables)
    sweep = Sweep(cases, sides, runs, budget, CaseTimes(UNTIL), _tell, list(refused))
    sweep.notes += [*lines, *(model.note for model in models)]
    try:
        with runs:
            if again:
                runs.forget_all()
            sweep.run()
            runs.publish(
                _session_record(
                    sweep, problem, request, environments, session, started, perf_counter() - began
                )
            )
    finally:
        _collect(places, name)
    _show(places, name, session, problem, request, models, cores, current, sweep.not_measured)


def _collect(places: Places, machine: str) -> None:
    """Put the records into the results; in a clone they become asv results as well."""
    from bench_core.report.runs import collect

    collect(places.pending, places.results, machine)
    if places.clone:
        from bench_core.report.own_results import write_own

        write_own(places.results, places.root)


def _tell(text: str) -> None:
    say(text, err=True)


def _predicted(case: SweepCase, models: Sequence[Model]) -> float | None:
    """Return the predicted seconds of a case in the environment that is fastest for it."""
    found = [model.prediction(case) for model in models]
    return min((one.seconds for one in found if one is not None), default=None)


def _machine(places: Places, wanted: str | None, penalty: str) -> str:
    """Return the name of the folder of this machine's results; ``penalty`` marks other choices."""
    from bench_core.records.provenance import machine_name as chosen_name

    name = wanted or chosen_name() or platform.node() or "this-machine"
    name += f"--{penalty}" if penalty else ""
    if not places.clone:
        return name
    from bench_core.report.site import describe_machine, find_project

    return describe_machine(find_project(places.root), name if wanted or penalty else None)


def _session_record(
    sweep: Sweep,
    problem: OwnProblem,
    request: SweepRequest,
    environments: Sequence[BlasEnvironment],
    session: str,
    started: datetime,
    seconds: float,
) -> SessionRecord:
    from bench_core.own_problem.request import RUNS
    from bench_core.records.provenance import without_paths
    from bench_core.records.session import SCHEMA_SESSION, SessionCase, SessionRecord

    return SessionRecord(
        schema=SCHEMA_SESSION,
        case=SessionCase("bench", session),
        started=f"{started:%Y-%m-%dT%H:%M:%SZ}",
        seconds=seconds,
        environments=tuple(one.name for one in environments),
        runs=RUNS,
        cases=len(sweep.cases),
        clock_environment=None,
        clock=(),
        problem=problem.name,
        data=() if problem.named else tuple(map(_without_folder, problem.words)),
        within_s=request.within_s,
        not_measured=tuple(sweep.not_measured),
        notes=tuple(without_paths(sweep.notes)),
    )


def _without_folder(word: str) -> str:
    """Return an absolute path's last part; records are published."""
    return Path(word).name if Path(word).is_absolute() else word


def _show(
    places: Places,
    machine: str,
    session: str,
    problem: OwnProblem,
    request: SweepRequest,
    models: Sequence[Model],
    cores: int,
    current: str | None,
    not_measured: Sequence[NotMeasured],
) -> None:
    """Print the answer, what was not measured, and the tables; write the page."""
    from bench_core.errors import install_command
    from bench_core.own_problem.expectation import expectations
    from bench_core.own_problem.summary import own_answer, session_runs, write_own_page
    from bench_core.report.terminal import print_answer, print_summary

    screen = console()
    runs = session_runs(places.results, machine, session)
    expected = expectations(
        problem,
        models,
        cores=cores,
        dtypes=request.dtypes or (problem.dtype,),
        penalty=request.penalty,
    )
    answer = own_answer(problem, runs, current=current, expected=expected)
    if answer is None:
        say("No valid fit was measured: the reasons stand below.", "bold")
    else:
        print_answer(answer, screen)
    say("")
    _show_not_measured(not_measured)
    print_summary(runs, screen, profile="own problem", answers=())
    say(f"records: {places.results / machine}")
    try:
        say(f"page: {write_own_page(runs, answer, places.page(problem.name))}")
    except ImportError as error:
        say(f"no page: {error.name} is not installed: {install_command('report')}")
    raise SystemExit(0 if answer is not None else 1)


def _show_not_measured(left_out: Sequence[NotMeasured]) -> None:
    if not left_out:
        return
    print_table(
        "Not measured",
        ("case", "BLAS", "predicted", "reason"),
        [(one.case, one.environment or "all", _bounds(one), one.reason) for one in left_out],
        words=("case", "BLAS", "reason"),
    )


def _bounds(one: NotMeasured) -> str:
    from bench_core.report.units import seconds_text

    if one.predicted_s is None:
        return ""
    low, middle, high = map(seconds_text, one.predicted_s)
    return f"{middle} ({low} – {high})"


def _show_plan(
    problem: OwnProblem,
    cases: Sequence[SweepCase],
    sides: Sequence[Side],
    refused: Sequence[NotMeasured],
    times: CaseTimes,
) -> None:
    """Print the cases in their order, with predictions; nothing is measured."""
    from bench_core.report.units import seconds_text

    rows, total = [], 0.0
    for number, case in enumerate(cases, 1):
        for side in sides:
            found = side.model.prediction(case)
            text = "unknown" if found is None else seconds_text(found.seconds)
            interval = ""
            if found is not None:
                interval = f"{seconds_text(found.low)} – {seconds_text(found.high)}"
            total += times.expected(None if found is None else found.total)
            rows.append((str(number), case.text, side.label, text, interval))
    print_table(
        f"{problem.name}: cases in the order to measure them, predicted",
        ("", "case", "BLAS", "fit", "interval"),
        rows,
        words=("case", "BLAS"),
    )
    _show_not_measured(refused)
    say(
        f"All of them, in one process each, would take about {total / 60:.1f} min; what the first "
        "times show to be too slow is left out."
    )
