"""The summary that `make bench` ends with, as rich tables."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench_core.errors import readable_bytes
from bench_core.report.rows import Row, Trouble, environment_label, fastest, rows, troubles
from bench_core.report.runs import Run


def print_summary(runs: list[Run], console: Console) -> None:
    """Print kernels, fits, what was fastest and what gave no number, of ``runs``."""
    if not runs:
        console.print("Nothing measured yet: run [bold]ridgebench bench[/bold].")
        return
    table = rows(runs)
    console.print(_kernels(runs))
    for suite in sorted({row.suite for row in table}):
        console.print(_fits(suite, [row for row in table if row.suite == suite]))
    for row in fastest(table):
        console.print(f"[bold green]fastest[/] {describe(row)}")
    console.print()
    _print_troubles(troubles(runs), len({environment_label(run) for run in runs}), console)


def describe(row: Row) -> str:
    """Return one row as a sentence."""
    ratio = f", {row.dsu:.2f} times ridgecv on one thread" if row.dsu else ""
    return (
        f"{row.problem} at scale {row.scale} ({row.dtype}): {row.strategy}, "
        f"{_counted(row.nodes, 'node')} x {_counted(row.threads, 'thread')}, {row.environment}: "
        f"{seconds_text(row.seconds)}{ratio}"
    )


def seconds_text(seconds: float) -> str:
    """Return a time with three significant digits and its unit."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:,.0f} s"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _kernels(runs: Iterable[Run]) -> Table:
    table = Table(
        title="Kernel rates, GFLOP/s (fraction of the gemm beside it)", title_justify="left"
    )
    for heading in ("BLAS proved", "precision"):
        table.add_column(heading)
    for heading in ("n", "threads", "gemm", "syrk", "eigh", "svd"):
        table.add_column(heading, justify="right")
    for run in runs:
        measured = [one for one in run.kernels if one["status"] == "ok"]
        for record in sorted(
            measured, key=lambda one: (one["case"]["size"], one["case"]["threads"])
        ):
            for precision, rates in record["rates"].items():
                cells = [
                    f"{rates[name]['gflops']:.0f} ({rates[name]['fraction_of_gemm']:.2f})"
                    for name in ("gemm", "syrk", "eigh", "svd")
                ]
                case = record["case"]
                table.add_row(
                    environment_label(run),
                    precision,
                    str(case["size"]),
                    str(case["threads"]),
                    *cells,
                )
    return table


def _fits(suite: str, found: list[Row]) -> Table:
    table = Table(title=f"{suite}: times within one run", title_justify="left")
    for heading in ("problem", "strategy", "BLAS proved"):
        table.add_column(heading)
    for heading in (
        "nodes",
        "threads",
        "time",
        "SU",
        "PE",
        "DSU",
        "peak memory",
        "r mean",
        "r max",
        "null max",
        "disagreement",
    ):
        table.add_column(heading, justify="right")
    for row in found:
        table.add_row(
            f"{row.problem} {row.scale} {row.dtype}",
            row.strategy,
            row.environment,
            str(row.nodes),
            str(row.threads),
            seconds_text(row.seconds),
            *(_number(value, ".2f") for value in (row.su, row.pe, row.dsu)),
            readable_bytes(row.peak_bytes) if row.peak_bytes else "",
            *(_number(value, ".3f") for value in (row.r_mean, row.r_max, row.null_max)),
            _number(row.disagreement, ".1e"),
        )
    return table


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def where(one: Trouble, environments: int) -> str:
    """Return where something gave no number: the environments, or that it was all of them."""
    if environments > 1 and len(one.environments) == environments:
        return "all"
    return ", ".join(one.environments)


def _print_troubles(found: list[Trouble], environments: int, console: Console) -> None:
    if not found:
        return
    table = Table(title="Gave no number", title_justify="left")
    table.add_column("status")
    table.add_column("reason")
    table.add_column("count in each", justify="right")
    table.add_column("environments")
    colours = {"failed": "red", "invalid": "red", "skipped": "dim"}
    for one in found:
        table.add_row(
            one.status,
            Text(one.reason),  # a reason may hold brackets, which are no markup
            str(one.count),
            where(one, environments),
            style=colours.get(one.status, ""),
        )
    console.print(table)
