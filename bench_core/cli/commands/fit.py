"""Fit one problem and keep the results: coefficients, penalty, r of every target, figures."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import click

from bench_core.cli.bars import show_progress
from bench_core.cli.options import named_values, option, threads_per_node

if TYPE_CHECKING:
    from bench_core.fitting.run import FitOutcome


@click.command()
@click.argument("strategy")
@click.argument("problem", required=False)
@click.option("--x", metavar="FILE", help="Features: X.npy or FILE.h5:DATASET.")
@click.option("--y", metavar="FILE", help="Targets: Y.npy or FILE.h5:DATASET.")
@click.option("--runs", metavar="FILE", help="Run of every sample: .npy or text.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to create.")
@option("scale", "subject", "dtype", "split", "test-fraction")
@click.option("--test-runs", metavar="RUN,RUN,…", help="Runs to hold out; with --split run.")
@option("seed", "nodes", "threads", "kernels", "blas", "alphas", "intercept", "option")
@option("no-coef", "memory-limit")
@click.option("--keep-problem", is_flag=True, help="Keep the problem beside the results.")
@option("figures", "scratch", "json")
def command(
    strategy: str,
    problem: str | None,
    x: str | None,
    y: str | None,
    runs: str | None,
    scale: float,
    subject: str,
    dtype: str,
    test_runs: str | None,
    seed: int,
    nodes: int,
    threads: int | None,
    blas: str | None,
    alphas: tuple[float, ...] | None,
    no_intercept: bool,
    options: tuple[tuple[str, Any], ...],
    no_coef: bool,
    figures: bool,
    scratch: Path | None,
    as_json: bool,
    **rest: Any,
) -> None:
    """Fit STRATEGY to PROBLEM (a name or a folder), or to --x and --y, and write the results.

    The plan comes first. The exit status is 1 where the answer is not the strategy's definition.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from bench_core.blas import declared
    from bench_core.data import THESIS_ALPHAS
    from bench_core.fitting.request import FitRequest
    from bench_core.fitting.run import fit
    from bench_core.fitting.sources import ProblemSource
    from bench_core.records import to_json

    request = FitRequest(
        strategy=strategy,
        source=ProblemSource(problem, x, y, runs, scale, subject, seed, dtype),
        test_runs=None if test_runs is None else _runs(test_runs),
        seed=seed,
        nodes=nodes,
        threads=threads_per_node(threads, nodes),
        blas=blas or declared(),
        alphas=alphas or THESIS_ALPHAS,
        fit_intercept=not no_intercept,
        options=named_values(options),
        coef=not no_coef,
        figures=figures,
        **rest,
    )
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=None)

        began, said = perf_counter(), ""

        def progress(what: str, done: int = 0, total: int = 0, /) -> None:
            nonlocal said
            if not console.is_terminal and what != said:  # a job's log: a line for every step
                console.print(f"{perf_counter() - began:8.1f} s  {what}", highlight=False)
                said = what
            show_progress(bar, task, what, done, total)

        outcome = fit(
            request,
            scratch=scratch,
            progress=progress,
            show_plan=lambda text: bar.console.print(text, highlight=False, soft_wrap=True),
        )
    if as_json:
        click.echo(to_json(outcome.record))
    else:
        _show(outcome)
    raise SystemExit(0 if outcome.record.status == "ok" else 1)


def _runs(text: str) -> tuple[int, ...]:
    from bench_core.errors import InputError

    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise InputError(f"--test-runs {text!r}: give whole numbers separated by commas") from None


def _show(outcome: FitOutcome) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    case = outcome.record.case
    table = Table(
        title=f"{case.strategy} on {case.problem.name}: {outcome.record.status}",
        show_header=False,
        title_justify="left",
    )
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for row in _rows(outcome):
        table.add_row(*map(escape, row))
    Console().print(table)


def _rows(outcome: FitOutcome) -> list[tuple[str, str]]:
    from bench_core.cli.record_rows import result_rows

    record = outcome.record
    problem, split = record.case.problem, record.case.split
    samples = f"{problem.t_train:,} to train, {problem.t_test:,} to test, split by {split.kind}"
    rows = [("samples", samples), *result_rows(record)]
    if split.warning:
        rows.append(("warning", split.warning))
    if record.reason:
        rows.append(("reason", record.reason))
    rows += [(f"no {what}", reason) for what, reason in outcome.not_drawn.items()]
    return [*rows, ("results", str(outcome.folder)), ("files", ", ".join(outcome.files))]
