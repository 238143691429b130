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
    their own, runs `asv publish`, and writes one page that needs no internet.
    """
    from pathlib import Path

    from bench_core.report.site import build_site, find_project, machine_name
    from bench_core.report.terminal import print_summary

    project = find_project(Path.cwd())
    runs = build_site(project, machine_name(project, machine))
    print_summary(runs, console())
    if runs and machine and runs[0].machine != machine:
        say(f"Nothing of {machine} was measured; shown: {runs[0].machine}.")
    say(f"\nPage:        {project.page.relative_to(project.root)}")
    say("asv's pages: asv preview (they load libraries from the internet)")
