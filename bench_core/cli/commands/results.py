"""Show what results are held, mark obsolete environments, and merge folders of results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench_core.cli.display import print_table, say
from bench_core.cli.options import option

if TYPE_CHECKING:
    from bench_core.results import Held

_SHOWN = 3


@click.command()
@click.argument(
    "sources",
    nargs=-1,
    metavar="[SOURCES]...",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Add the results of SOURCES to this folder before it is shown.",
)
@option("json")
def command(sources: tuple[Path, ...], into: Path | None, as_json: bool) -> None:
    """Show the results in SOURCES (the project's by default): machines, environments, commits.

    An environment is obsolete where its machine's newest commit was measured in others alone.

    With --into the results of all SOURCES are merged there, as of several machines, or of jobs of
    one: every machine, commit and environment has a file of its own, and of a case that is there
    twice the later measurement stays. The status is 2, and nothing is written, where two machines
    of one name are not the same.
    """
    import json
    from dataclasses import asdict

    from bench_core.errors import RidgebenchError, counted
    from bench_core.report.site import find_project
    from bench_core.results import inventory, merge_results

    try:
        project = find_project(Path.cwd())
    except RidgebenchError:
        if not sources:
            raise
        project = None
    if into is not None:
        if not sources:
            raise click.UsageError("--into needs the folders that are merged")
        done = merge_results(sources, into)
        if not as_json:
            say(f"{counted(len(done.written), 'file')} written to {into}")
            if done.replaced:
                twice = counted(done.replaced, "result")
                say(f"{twice} of a case that was there twice: the later one stays")
            if done.unread:
                say(f"{counted(done.unread, 'line')} cannot be read, and kept as they are")
    folders = (into,) if into is not None else sources
    if not folders:
        assert project is not None
        folders = (project.results,)
    root = project.root if project else Path.cwd()
    held: list[Held] = []
    notes: list[str] = []
    for folder in folders:
        found, said = inventory(folder, root)
        held += found
        notes += said
    if as_json:
        click.echo(json.dumps({"held": [asdict(one) for one in held], "notes": notes}, indent=1))
        return
    print_table(
        "Results",
        ("machine", "environment", "commits", "fits", ""),
        [
            (
                one.machine,
                one.label,
                _commits(one.commits),
                ", ".join(f"{count} {status}" for status, count in one.fits.items()) or "none",
                "obsolete" if one.obsolete else "",
            )
            for one in held
        ],
        words=("machine", "environment", "commits", "fits", ""),
    )
    for note in notes:
        say(f"note: {note}")


def _commits(commits: tuple[str, ...]) -> str:
    """Write the newest commits, and how many there are before them."""
    text = " ".join(commits[-_SHOWN:])
    left = len(commits) - _SHOWN
    return f"{left} … {text}" if left > 0 else text
