"""Benchmark this machine: BLAS x threads x nodes x strategy, with a summary and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bench_core.cli.display import console, say
from bench_core.cli.options import PENALTY_OPTIONS, option
from bench_core.cli.own_options import own_options, refuse_others, take_own
from bench_core.cli.own_problem import bench_own

if TYPE_CHECKING:
    from bench_core.cluster.settings import ClusterSettings

KEPT = (
    "What was measured is in the results: `ridgebench report` shows it. The same command goes on "
    "with the rest; --again measures everything anew."
)


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--profile",
    default="small",
    show_default=True,
    help="What to run of the grids: small (for two cores), medium, full.",
)
@click.option(
    "--aa",
    is_flag=True,
    help="Measure one environment in turns with itself: the noise that verdicts are held against.",
)
@click.option(
    "--turns/--no-turns",
    default=True,
    show_default=True,
    help="Measure the environments in turns, or one after the other as asv does.",
)
@click.option(
    "--accept-load",
    is_flag=True,
    help="Accept times that were measured while others used the machine.",
)
@click.option("--machine", help="Name of this machine in the results; default: its host name.")
@click.option(
    "--plan", is_flag=True, help="Show the cases, what is skipped, bytes and times; run none."
)
@click.option(
    "--device",
    type=click.Choice(["cuda", "torch"]),
    help="Compare fits on a GPU (cuda), or in torch on the processor, with numpy's: nothing else.",
)
@option(
    "json",
    "again",
    "cluster",
    "allow-mixed",
    *(name for name in PENALTY_OPTIONS if name != "spaces"),
)
@own_options
@click.argument("asv_arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def command(
    ctx: click.Context,
    profile: str,
    aa: bool,
    turns: bool,
    accept_load: bool,
    machine: str | None,
    plan: bool,
    device: str | None,
    as_json: bool,
    again: bool,
    cluster: ClusterSettings | None,
    allow_mixed: bool,
    asv_arguments: tuple[str, ...],
    **penalty: Any,
) -> None:
    """Benchmark this machine: BLAS x threads x nodes x strategy.

    Runs `asv run` on the commit that is checked out, in environments that asv builds from the
    matrix of asv.conf.json, then prints the summary and writes the pages. Further arguments go to
    `asv run`, for example: ridgebench bench -- --bench kernels

    Records go to the results folder as they are made. A sweep that was interrupted goes on where it
    stopped, for the same commit, machine, profile, options and arguments: cases with all their runs
    are not measured again. One with --aa begins anew.

    Every fit is timed in several processes, in turns with the other environments; what others
    disturbed is timed again, and is in no answer if that did not help.

    With --cluster the fits run on that cluster, in turns too, and what disturbs them is looked for
    on the hosts of its nodes: name it with --machine. Suites that measure this machine alone, such
    as the kernels', are left out. A case whose node is lost is recorded as failed, and the sweep
    goes on.

    --plan builds and runs nothing: it shows the cases that --bench selects, what is skipped and
    why, the bytes that fits read and move, and times where `ridgebench calibrate` has been run.

    With --device the suite of devices runs alone, in an environment that has torch
    (envs/asv.devices.conf.json): every solver on that device, and in numpy on the processor.

    Options of the penalty hold for every fit whose suite does not name its own; fits of strategies
    that have them not are skipped. asv does not know of them: their results are kept under a name
    of the machine that says so, never beside those of other penalties.

    A profile, an option or a benchmark that does not exist is refused before anything is built.

    With --problem, or --x and --y, the sweep is one's own problem's: strategies x BLAS x nodes x
    threads, the model's best first, what it rules out left out and named, within --within. It
    needs no clone: records go to ./results. The same command goes on with what was left out.
    """
    import os
    from dataclasses import replace
    from functools import partial
    from pathlib import Path

    from bench_core.cli.sweep import show_plan
    from bench_core.cli.turns import bench_in_turns, print_same
    from bench_core.cluster.settings import MIXED, VARIABLE
    from bench_core.measure.resume import RESUME
    from bench_core.records.provenance import head
    from bench_core.records.store import RECORDS
    from bench_core.report.bench_request import check_arguments, check_profile
    from bench_core.report.run_monitor import watch
    from bench_core.report.runs import collect
    from bench_core.report.site import (
        DEVICES,
        asv,
        build_site,
        describe_machine,
        find_project,
        machine_name,
    )
    from bench_core.report.sweep import begin_sweep, count_records, end_sweep
    from bench_core.report.terminal import print_summary
    from bench_core.runner.penalty_request import PenaltyRequest

    if own := take_own(ctx, penalty):
        suites = ("profile", "aa", "turns", "device", "as_json", "cluster", "allow_mixed")
        refuse_others(ctx, *suites, "asv_arguments")
        request = PenaltyRequest(**penalty)
        bench_own(own, request, machine=machine, accept_load=accept_load, again=again, plan=plan)
        return
    screen = console()
    project = find_project(Path.cwd())
    check_profile(project.benchmarks, profile)
    check_arguments(asv_arguments, project.benchmarks)
    request = PenaltyRequest(**penalty)
    if request.label:
        machine = f"{machine_name(machine)}--{request.label}"
        text = f"Penalties are chosen otherwise than by default: results are those of {machine}"
        say(text, err=as_json)
        project = replace(project, label=request.label)
    if not turns and aa:
        raise click.UsageError("--aa measures in turns: leave out --no-turns")
    if as_json and not plan:
        raise click.UsageError("--json prints a plan: give --plan too")
    chosen = request.environment()
    if request.label:
        chosen[RECORDS] = str(project.pending)
    if cluster is not None:
        chosen[VARIABLE] = cluster.source
    if allow_mixed:
        chosen[MIXED] = "1"
    if device is not None:
        chosen["RIDGEBENCH_DEVICE"] = device
        project = replace(project, configuration=DEVICES)
    if plan:
        show_plan(
            project,
            profile,
            chosen,
            asv_arguments,
            machine=machine_name(machine),
            turns=turns,
            as_json=as_json,
        )
        return
    name = describe_machine(project, machine)
    environment = {**os.environ, "RIDGEBENCH_PROFILE": profile, **chosen}
    if accept_load:
        environment["RIDGEBENCH_ACCEPT_LOAD"] = "1"
    state = project.root / ".asv"
    if not aa:
        asked = [*asv_arguments, *(f"{key}={value}" for key, value in sorted(chosen.items()))]
        asked += ["--accept-load"] * accept_load + ["--no-turns"] * (not turns)
        sweep, goes_on = begin_sweep(state, name, profile, asked, head(project.root), again=again)
        if goes_on:
            kept = sum(count_records(project.pending, sweep.since).values())
            say(f"Going on with the sweep that was interrupted: {kept} valid records are there,")
            say("and those with all their runs are not measured again. --again begins anew.")
            environment[RESUME] = str(sweep.since)
    # A fork per parameter set instead of an interpreter: the grids are large and mostly skipped
    # here. What is timed runs in fresh processes of its own either way.
    arguments = ["run", "HEAD^!", "--no-pull", "--launch-method", "forkserver", "--machine", name]
    arguments += ["--config", project.configuration] * (device is not None)

    say("Building environments, then measuring. asv's own output: .asv/run.log")
    keep = partial(collect, project.pending, project.results, name)
    session = None
    with watch(project.pending, screen, keep=keep):
        if turns:
            session = bench_in_turns(project, arguments, asv_arguments, environment, same=aa)
        else:
            asv(project, *arguments, *asv_arguments, environment=environment, say=say)
    if aa:
        if session is not None:
            print_same(session)
            return
    else:
        end_sweep(state)
    built = build_site(project, name, just_measured=True)
    if not any(run.fits or run.kernels for run in built.runs):
        say(f"Nothing was measured on {name}; .asv/run.log has asv's own words.")
    print_summary(built.runs, screen, profile=profile, answers=built.answers)
    say(f"\nPage:        {project.page.relative_to(project.root)}")
    say(built.asv)
