"""Find what got worse over commits: steps in time, memory, rates and accuracy, and broken cases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench_core.cli.display import print_table, say
from bench_core.cli.options import option

if TYPE_CHECKING:
    from bench_core.history.regressions import Regressions

_ROWS = 16
"""Changes that the table shows: it has to fit a screen."""

_NOTES = 4


@click.command()
@option("results")
@click.option(
    "--branch",
    default="HEAD",
    show_default=True,
    help="Branch whose first parents are the order of commits.",
)
@click.option("--since", metavar="COMMIT", help="Only changes after this commit.")
@option("error-rate", default=0.01)
@click.option(
    "--fail-on",
    type=click.Choice(["regression", "broken", "missing", "better", "note"]),
    multiple=True,
    help="End with status 1 where there is one; repeat for several.",
)
@click.option(
    "--atom",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write an Atom feed to this file, too.",
)
@option("all")
@option("json", "markdown")
def command(
    results: tuple[Path, ...],
    branch: str,
    since: str | None,
    error_rate: float,
    fail_on: tuple[str, ...],
    atom: Path | None,
    show_all: bool,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Find steps over commits in collected records and asv's results, better and worse.

    Watched are time, inverse speed-ups, memory, GFLOP/s, r and disagreement of every case, and
    whether it is valid. The exit status is 0, and 1 if --fail-on says so: a regression is a step
    for the worse, or a case that turned invalid, skipped or failed, and that is not undone.
    """
    import json

    from bench_core.cli.collected import collected_history
    from bench_core.history import atom as feed
    from bench_core.history import texts
    from bench_core.history.selection import changes_since

    found = collected_history(results, branch=branch, rate=error_rate)
    if since is not None:
        found = changes_since(found, since)
    if atom is not None:
        from bench_core.files import write_text

        write_text(atom, feed.as_atom(found))
    if as_json:
        click.echo(json.dumps(texts.as_dict(found), indent=1, allow_nan=False))
    elif as_markdown:
        click.echo(texts.as_markdown(found))
    else:
        _show(found, show_all)
    raise SystemExit(int(any(_fails(found, what) for what in fail_on)))


def _show(found: Regressions, show_all: bool) -> None:
    from bench_core.errors import counted
    from bench_core.history import texts

    shown = list(found.changes) if show_all else list(found.changes)[:_ROWS]
    if shown:
        print_table(
            "Changes over commits, newest first, with their 95 % intervals",
            ("case", "figure", "change", "commits", "state"),
            [
                (
                    texts.case_text(one, found),
                    texts.what_text(one),
                    texts.size_text(one),
                    texts.range_text(one),
                    "; ".join([texts.state_text(one), *one.differs]),
                )
                for one in shown
            ],
            words=("case", "figure", "change", "commits", "state"),
        )
    if left := len(found.changes) - len(shown):
        say(f"{counted(left, 'change')} more: --all shows them")
    notes = found.notes if show_all else found.notes[:_NOTES]
    for note in notes:
        say(f"note: {note}")
    if left := len(found.notes) - len(notes):
        say(f"{counted(left, 'note')} more: --all shows them")
    say(texts.method(found))
    say(texts.answer(found), "bold")


def _fails(found: Regressions, what: str) -> bool:
    if what == "note":
        return bool(found.notes)
    if what == "regression":
        return any(one.is_regression for one in found.changes)
    return any(one.kind == what and not one.undone for one in found.changes)
