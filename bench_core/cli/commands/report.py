"""Publish the pages again from the recorded results and print the summary."""

from __future__ import annotations

import click

from bench_core.cli.display import console, say


@click.command()
@click.option(
    "--machine", help="Name of the machine to report, as asv knows it; default: this one."
)
@click.option(
    "--fetch-asv-libraries",
    "fetch",
    is_flag=True,
    help="Download the libraries that asv's own pages load, once, so that these open offline.",
)
def command(machine: str | None, fetch: bool) -> None:
    """Publish the pages again from the recorded results and print the summary.

    Collects the records of this checkout into results/, adds the published timings as a machine of
    their own, runs `asv publish`, and writes pages that need no internet.
    """
    from pathlib import Path

    from bench_core.report.site import build_site, find_project, known_machine
    from bench_core.report.terminal import print_summary

    project = find_project(Path.cwd())
    name = known_machine(project, machine)
    if fetch:
        _fetch()
    built = build_site(project, name, others=True)
    runs = built.runs
    if runs and runs[0].machine != name:
        which = f"machine {name}" if machine else f"this machine ({name})"
        say(f"No results of {which}. Shown: {', '.join(sorted({run.machine for run in runs}))}.\n")
    print_summary(runs, console(), answers=built.answers)
    say(f"\nPage:        {project.page.relative_to(project.root)}")
    say(built.asv)


def _fetch() -> None:
    """Fill the folder of libraries with what the installed asv's pages load."""
    from pathlib import Path

    import asv

    from bench_core.cli.display import progress
    from bench_core.report.asv_libraries import fetch_libraries, library_folder

    page = (Path(asv.__file__).parent / "www" / "index.html").read_text(encoding="utf-8")
    folder = library_folder()
    with progress() as bars:
        files = fetch_libraries(page, folder, bars)
    say(f"{len(files)} libraries of asv's pages are in {folder}\n")
