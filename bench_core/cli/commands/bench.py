"""Benchmark this machine: BLAS x threads x nodes x strategy, with a summary and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bench_core.cli.display import console, say
from bench_core.cli.options import PENALTY_OPTIONS, option

if TYPE_CHECKING:
    from bench_core.cluster.settings import ClusterSettings

KEPT = (
    "Fits measured so far are kept: `ridgebench report` shows them. The next bench measures anew."
)


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--profile",
    default="small",
    show_default=True,
    help="What to run of the grids: small (15 minutes on two cores), medium, full.",
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
@option("cluster", *PENALTY_OPTIONS)
@click.argument("asv_arguments", nargs=-1, type=click.UNPROCESSED)
def command(
    profile: str,
    aa: bool,
    turns: bool,
    accept_load: bool,
    machine: str | None,
    cluster: ClusterSettings | None,
    asv_arguments: tuple[str, ...],
    **penalty: Any,
) -> None:
    """Benchmark this machine: BLAS x threads x nodes x strategy.

    Runs `asv run` on the commit that is checked out, in environments that asv builds from the
    matrix of asv.conf.json, then prints the summary and writes the pages. Further arguments go to
    `asv run`, for example: ridgebench bench -- --bench kernels

    Every fit is timed in several processes, in turns with the other environments; what others
    disturbed is timed again, and is in no answer if that did not help.

    With --cluster the fits run on that cluster: name it with --machine. Suites that measure this
    machine alone, such as the kernels', are left out, and nothing is measured in turns.

    Options of the penalty hold for every fit whose suite does not name its own; fits of strategies
    that have them not are skipped. asv does not know of them: their results are kept under a name
    of the machine that says so, never beside those of other penalties.

    A profile, an option or a benchmark that does not exist is refused before anything is built.
    """
    import os
    from pathlib import Path

    from bench_core.cli.turns import bench_in_turns, print_same
    from bench_core.cluster.settings import VARIABLE
    from bench_core.report.bench_request import check_arguments, check_profile
    from bench_core.report.run_monitor import watch
    from bench_core.report.runs import collect
    from bench_core.report.site import (
        asv,
        build_site,
        describe_machine,
        find_project,
        machine_name,
    )
    from bench_core.report.terminal import print_summary
    from bench_core.runner.penalty_request import PenaltyRequest

    screen = console()
    project = find_project(Path.cwd())
    check_profile(project.benchmarks, profile)
    check_arguments(asv_arguments, project.benchmarks)
    request = PenaltyRequest(**penalty)
    if request.label:
        machine = f"{machine_name(machine)}--{request.label}"
        say(f"Penalties are chosen otherwise than by default: results are those of {machine}")
    name = describe_machine(project, machine)
    if cluster is not None and cluster.elsewhere:
        turns = False
    if not turns and aa:
        raise click.UsageError(
            "--aa measures in turns on this machine: leave out --no-turns, --cluster"
        )
    environment = {**os.environ, "RIDGEBENCH_PROFILE": profile, **request.environment()}
    if accept_load:
        environment["RIDGEBENCH_ACCEPT_LOAD"] = "1"
    if cluster is not None:
        environment[VARIABLE] = cluster.source
    # A fork per parameter set instead of an interpreter: the grids are large and mostly skipped
    # here. What is timed runs in fresh processes of its own either way.
    arguments = ["run", "HEAD^!", "--no-pull", "--launch-method", "forkserver", "--machine", name]

    say("Building environments, then measuring. asv's own output: .asv/run.log")
    session = None
    with watch(project.pending, screen):
        if turns:
            session = bench_in_turns(project, arguments, asv_arguments, environment, same=aa)
        else:
            asv(project, *arguments, *asv_arguments, environment=environment, say=say)
    if session is not None and aa:
        collect(project.pending, project.results, name)
        print_same(session)
        return
    runs = build_site(project, name)
    if not any(run.fits or run.kernels for run in runs):
        say(f"Nothing was measured on {name}; .asv/run.log has asv's own words.")
    print_summary(runs, screen, profile=profile)
    say(f"\nPage:        {project.page.relative_to(project.root)}")
    say("asv's pages: asv preview (they load libraries from the internet)")
