"""Publish the pages again from the recorded results and print the summary."""

from __future__ import annotations

import click

from bench_core.cli.display import console, say


@click.command()
@click.option(
    "--machine", help="Name of the machine to report, as asv knows it; default: this one."
)
def command(machine: str | None) -> None:
    """Publish the pages again from the recorded results and print the summary.

    Collects the records of this checkout into results/, adds the published timings as a machine of
    their own, runs `asv publish`, and writes pages that need no internet.
    """
    from pathlib import Path

    from bench_core.report.site import build_site, find_project, known_machine
    from bench_core.report.terminal import print_summary

    project = find_project(Path.cwd())
    name = known_machine(project, machine)
    runs = build_site(project, name, others=True)
    if runs and runs[0].machine != name:
        which = f"machine {name}" if machine else f"this machine ({name})"
        say(f"No results of {which}. Shown: {', '.join(sorted({run.machine for run in runs}))}.\n")
    print_summary(runs, console())
    say(f"\nPage:        {project.page.relative_to(project.root)}")
    say("asv's pages: asv preview (they load libraries from the internet)")
