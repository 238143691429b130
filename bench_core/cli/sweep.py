"""What `ridgebench bench --plan` shows: cases, skips, bytes and predicted times."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from bench_core.cli.display import duration, print_table, say

if TYPE_CHECKING:
    from bench_core.measure.sweep_plan import PlannedCase, PlannedEnvironment, SweepPlan
    from bench_core.report.site import Project


def show_plan(
    project: Project,
    profile: str,
    chosen: Mapping[str, str],
    asv_arguments: Sequence[str],
    *,
    machine: str,
    turns: bool = True,
    as_json: bool = False,
) -> None:
    """Print what a sweep of this profile will do; build and run nothing.

    Parameters
    ----------
    chosen : variables that say where, and how penalties are chosen.
    asv_arguments : the user's own, whose ``--bench`` selects.
    machine : name of the machine that the results are of.
    turns : whether cases are measured in turns, in several runs each.
    """
    from bench_core.records import to_json

    os.environ.update(chosen)
    plan = make_plan(project, profile, asv_arguments, machine=machine, turns=turns)
    if as_json:
        click.echo(to_json(plan))
    else:
        _print(plan, project)


def make_plan(
    project: Project,
    profile: str,
    asv_arguments: Sequence[str],
    *,
    machine: str,
    turns: bool = True,
) -> SweepPlan:
    """Return the plan of a sweep; the environment says where, and how penalties are chosen."""
    from dataclasses import replace

    from bench_core.cluster.settings import chosen_cluster
    from bench_core.measure.sweep_plan import plan_sweep
    from bench_core.measure.sweep_times import read_calibrations, with_times
    from bench_core.report.bench_request import is_selected, split_benchmarks
    from bench_core.report.site import environment_names
    from bench_core.scaling.calibration import CALIBRATIONS

    patterns, _ = split_benchmarks(asv_arguments)
    plan, costs = plan_sweep(
        project.benchmarks,
        profile,
        selection=tuple(patterns),
        select=lambda suite, parameters: is_selected(suite, parameters, patterns),
    )
    if not turns:  # asv runs every case in one process
        costs = [replace(one, case=replace(one.case, runs=1)) for one in costs]
    calibrations, problems = read_calibrations(project.root / CALIBRATIONS)
    for problem in problems:
        say(f"warning: {problem}", "yellow", err=True)
    return with_times(
        plan,
        costs,
        environment_names(project),
        calibrations,
        machine=machine,
        cluster=chosen_cluster(),
    )


def _print(plan: SweepPlan, project: Project) -> None:
    from bench_core.errors import counted
    from bench_core.measure.sweep_plan import left_out_lines, plan_rows, size_text
    from bench_core.report.sweep import count_records, unfinished_sweep

    timed = [one for one in plan.environments if one.calibration is not None]
    # Environments of one library are predicted alike: a column for each calibration.
    shown: dict[str | None, PlannedEnvironment] = {}
    for one in timed:
        shown.setdefault(one.calibration, one)
    sent = () if plan.cluster == "local" else ("sent",)
    columns = ("suite", "case", "data", "memory", "read", "moved", *sent)
    headings = [f"fit, {one.blas or 'any BLAS'}" for one in shown.values()]
    rows = [
        (*row[:-1], *(_time(case, one.name) for one in shown.values()), row[-1])
        for case, row in zip(plan.cases, plan_rows(plan), strict=True)
    ]
    where = "" if plan.cluster == "local" else f" on {plan.cluster}"
    print_table(
        f"profile {plan.profile}{where}: {counted(plan.runs, 'case')} in each of "
        f"{counted(len(plan.environments), 'environment')}",
        (*columns, *headings, ""),
        rows,
        words=("suite", "case", ""),
    )
    for line in left_out_lines(plan):
        say(line)
    for one in plan.environments:
        if one.seconds is None:
            say(f"{one.name}: no times, {one.why_not}")
        else:
            untimed = sum(not case.times for case in plan.measured)
            without = f"; {counted(untimed, 'case')} without a prediction" if untimed else ""
            say(
                f"{one.name}: about {duration(one.seconds)} of fits, by {one.calibration} "
                f"({one.calibrated}){without}"
            )
    sweep = unfinished_sweep(project.root / ".asv")
    if sweep is not None:
        for name, count in count_records(project.pending, sweep.since).items():
            say(f"measured before the last sweep was interrupted: {count} in {name}")
    say(
        f"in all: problems of {size_text(plan.problem_bytes)}; one fit of each case reads "
        f"{size_text(plan.read_bytes)} and moves {size_text(plan.moved_bytes)}"
    )
    say(
        "data: X and Y of a problem; memory: of a fit, X included, all nodes together; read: X on "
        "every node, Y once; moved: between processes, where nodes see the scratch folder"
    )
    if sent:
        say(
            "sent: instead, where they do not (`ridgebench cluster check` tells): X to every node "
            "that works with it, to each its own targets, coefficients back"
        )
    if timed:
        say(
            "times: fits and the start of their nodes, if no time varies; problems, checks, nulls "
            "and the queue of a cluster come on top"
        )


def _time(case: PlannedCase, environment: str) -> str:
    """Return the predicted time of a fit in an environment; empty without one."""
    return next((duration(one.fit_s) for one in case.times if one.environment == environment), "")
