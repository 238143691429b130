"""Measure one strategy on one problem and print what its record says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench_core.cli.parameters import Numbers, Option, Scale

if TYPE_CHECKING:
    from bench_core.records import Record

_STORE = Path(".asv", "measured")


@click.command()
@click.argument("strategy")
@click.argument("problem")
@click.option("--scale", type=Scale(), default=1.0, help="Shrink t, p and s together, e.g. 1/16.")
@click.option("--subject", default="sub-01", show_default=True, help="sub-01 … sub-06.")
@click.option("--nodes", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True)
@click.option("--dtype", type=click.Choice(["float64", "float32"]), default="float64")
@click.option("--split", type=click.Choice(["random", "run"]), default="random")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--kernels", type=click.Choice(["default", "best"]), default="default")
@click.option("--blas", help="BLAS that must answer  [default: what RIDGEBENCH_BLAS declares].")
@click.option("--alphas", type=Numbers(), help="Candidate penalties  [default: the thesis's].")
@click.option("--no-intercept", is_flag=True, help="Fit without an intercept.")
@click.option(
    "--option", "options", type=Option(), multiple=True, help="Further option of the strategy."
)
@click.option(
    "--null",
    type=click.Choice(["auto", "fit", "sample", "skip"]),
    default="auto",
    show_default=True,
    help="How r is found after training on shuffled rows.",
)
@click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    default=_STORE,
    show_default=True,
    help="Folder of records.",
)
@click.option(
    "--scratch", type=click.Path(file_okay=False, path_type=Path), help="Folder for problems."
)
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds.")
@click.option("--again", is_flag=True, help="Measure although the store has a valid record.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole record.")
def command(
    strategy: str,
    problem: str,
    options: tuple[tuple[str, Any], ...],
    alphas: tuple[float, ...] | None,
    no_intercept: bool,
    blas: str | None,
    store: Path,
    scratch: Path | None,
    timeout: float | None,
    again: bool,
    as_json: bool,
    **rest: Any,
) -> None:
    """Measure STRATEGY on PROBLEM (a name or a problem folder) and print what its record says.

    The exit status is 0 for a valid measurement, 1 for one that failed or is invalid, 3 for one
    that was skipped because this machine cannot run it.
    """
    from rich.console import Console

    from bench_core.measure import FitSpec, measure
    from bench_core.records import to_json

    spec = FitSpec(
        problem=problem,
        strategy=strategy,
        options=dict(options),
        alphas=alphas,
        fit_intercept=not no_intercept,
        blas=blas or _declared(),
        **rest,
    )
    with Console(stderr=True).status("preparing") as status:
        record = measure(
            spec,
            store=store,
            scratch=scratch,
            timeout=timeout,
            again=again or not _is_valid(store / f"{spec.stem}.json"),
            progress=lambda what, done=0, total=0: status.update(
                f"{what} ({done} of {total})" if total else what
            ),
        )
    if as_json:
        click.echo(to_json(record))
    else:
        _show(record, store / f"{spec.stem}.json")
    raise SystemExit({"ok": 0, "skipped": 3}.get(record.status, 1))


def _is_valid(path: Path) -> bool:
    """Return whether a valid measurement is in ``path``: what stopped another may have passed."""
    from bench_core.records import Record, read

    return path.is_file() and read(Record, path).status == "ok"


def _declared() -> str | None:
    from bench_core.blas import declared

    return declared()


def _show(record: Record, path: Path) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from bench_core.cli.record_rows import result_rows

    case, problem = record.case, record.case.problem
    table = Table(
        title=f"{case.strategy} on {problem.name}, nodes × threads {case.nodes} × {case.threads}: "
        f"{record.status}",
        show_header=False,
        title_justify="left",
    )
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    size = (
        f"{problem.t:,} samples × {problem.p:,} features × {problem.s:,} targets, {problem.dtype}"
    )
    rows = [("problem", size)]
    if record.reason:
        rows.append(("reason", record.reason))
    for row in (*rows, *result_rows(record)):
        table.add_row(*map(escape, row))
    table.add_row("record", str(path))
    if path.with_suffix(".log").is_file():
        table.add_row("log", str(path.with_suffix(".log")))
    Console().print(table)
