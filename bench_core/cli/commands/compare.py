"""Compare two environments, strategies, machines or commits, with a verdict on every case."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench_core.cli.display import print_table, say
from bench_core.cli.options import option

if TYPE_CHECKING:
    from bench_core.comparison.compare import Comparison
    from bench_core.comparison.pairing import Dimension

_ROWS = 16
"""Cases that the table shows: it has to fit a screen."""


@click.command()
@click.argument("environments", nargs=-1, metavar="[FIRST SECOND]")
@click.option("--strategy", nargs=2, metavar="FIRST SECOND", help="Compare two strategies.")
@click.option("--machine", nargs=2, metavar="FIRST SECOND", help="Compare two machines.")
@click.option("--commit", nargs=2, metavar="FIRST SECOND", help="Compare two commits.")
@option("results")
@option("error-rate")
@click.option(
    "--margin",
    type=click.FloatRange(0, min_open=True),
    default=0.2,
    show_default=True,
    help='Difference that "no difference" has to rule out, as a ratio minus 1.',
)
@click.option(
    "--fail-on",
    type=click.Choice(["slower", "cannot-tell", "unpaired"]),
    multiple=True,
    help="End with status 1 if a case, or the geometric mean, is so; repeat for several.",
)
@option("all")
@option("json", "markdown")
def command(
    environments: tuple[str, ...],
    strategy: tuple[str, str] | None,
    machine: tuple[str, str] | None,
    commit: tuple[str, str] | None,
    results: tuple[Path, ...],
    error_rate: float,
    margin: float,
    fail_on: tuple[str, ...],
    show_all: bool,
    as_json: bool,
    as_markdown: bool,
) -> None:
    """Compare the times of SECOND with those of FIRST, two environments, by collected records.

    An environment is named by the BLAS that answered in it (mkl, openblas), or by its whole name.
    Of two commits it is also said how their runs agree: medians that differ, winners that flip.
    The exit status is 0, 1 if --fail-on says so, and 2 for names that are not known.
    """
    import json

    from bench_core.cli.collected import collected_runs
    from bench_core.comparison import compare as texts
    from bench_core.comparison.cases import measured_cases
    from bench_core.comparison.two_runs import two_runs, two_runs_dict, two_runs_text

    dimension, first, second = _sides(environments, strategy, machine, commit)
    runs = collected_runs(results)
    found = texts.compare(runs, dimension, first, second, rate=error_rate, margin=margin)
    agreement = two_runs(found.pairing, measured_cases(runs), runs) if dimension == "commit" else ()
    if as_json:
        values = texts.as_dict(found) | {"two_runs": [two_runs_dict(one) for one in agreement]}
        click.echo(json.dumps(values, indent=1, allow_nan=False))
    elif as_markdown:
        click.echo(texts.as_markdown(found, [two_runs_text(one) for one in agreement]))
    else:
        _show(found, show_all, [two_runs_text(one) for one in agreement])
    raise SystemExit(int(any(_fails(found, what) for what in fail_on)))


def _sides(
    environments: tuple[str, ...], *pairs: tuple[str, str] | None
) -> tuple[Dimension, str, str]:
    """Return what is compared, of which exactly one may be given."""
    dimensions: tuple[Dimension, ...] = ("strategy", "machine", "commit")
    given = [(name, *pair) for name, pair in zip(dimensions, pairs, strict=True) if pair]
    if len(given) + bool(environments) != 1:
        raise click.UsageError(
            "give two environments, or one of --strategy, --machine and --commit with two names"
        )
    if given:
        return given[0]
    if len(environments) != 2:
        raise click.UsageError(f"two environments are compared, not {len(environments)}")
    return "environment", environments[0], environments[1]


def _show(found: Comparison, show_all: bool, further: Sequence[str]) -> None:
    from bench_core.comparison import compare as texts
    from bench_core.errors import counted

    rows = found.rows()
    if not show_all and len(rows) > _ROWS:
        # The largest differences that are some, then the others.
        certain = sorted(
            rows,
            key=lambda row: (row[2].adjusted is None, row[2].adjusted or 0, -abs(row[2].ratio - 1)),
        )
        kept = {id(row[2]) for row in certain[:_ROWS]}
        rows = [row for row in rows if id(row[2]) in kept]
    names = found.pairing
    print_table(
        f"{names.second} against {names.first}: time ratio with its 95 % interval",
        ("case", names.first, names.second, "ratio", "verdict"),
        [
            (
                texts.case_text(found, first),
                f"{texts.seconds(first.runs):.3g} s",
                f"{texts.seconds(second.runs):.3g} s",
                texts.ratio_text(verdict),
                verdict.verdict,
            )
            for first, second, verdict in rows
        ],
        words=("case", "verdict"),
    )
    if left := len(names.pairs) - len(rows):
        say(f"{counted(left, 'case')} more, less certain to differ: --all shows them")
    for note in names.notes:
        say(f"note: {note}")
    unpaired = [*names.unpaired, *found.problems]
    if unpaired:
        say(f"{counted(len(unpaired), 'case')} could not be compared:")
        shown = unpaired if show_all else unpaired[:3]
        for text in shown:
            say(f"  {text}")
        if len(unpaired) > len(shown):
            say(f"  … {len(unpaired) - len(shown)} more (--all)")
    for text in further:
        say(text)
    say(texts.noise_text(found))
    say(texts.answer(found), "bold")


def _fails(found: Comparison, what: str) -> bool:
    judged = found.judgement
    if what == "unpaired":
        return bool(found.pairing.unpaired or found.problems)
    verdict = what.replace("-", " ")
    mean = judged.mean
    return any(one.verdict == verdict for one in judged.cases) or (
        mean is not None and mean.verdict == verdict
    )
