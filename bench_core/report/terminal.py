"""The summary that `make bench` ends with, as rich tables that fit 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench_core.errors import counted
from bench_core.report.rows import (
    Issue,
    Row,
    environment_label,
    fastest,
    find_issues,
    proved_libraries,
    record_label,
    rows,
)
from bench_core.report.runs import EnvironmentRun

KERNELS = ("gemm", "syrk", "eigh", "svd")


def print_summary(
    runs: list[EnvironmentRun], console: Console, *, profile: str | None = None
) -> None:
    """Print whose results these are, proof, kernels, fits, the fastest, and what gave no number.

    profile : that was asked for, where this run did; else the one that the records name.
    """
    if not runs:
        console.print(Text("Nothing measured yet: run `ridgebench bench`."), soft_wrap=True)
        return
    _print_origin(runs, profile, console)
    labels = [environment_label(run) for run in runs]
    environments = len(set(labels))
    labels += [
        record_label(one, label)
        for run, label in zip(runs, labels, strict=True)
        for one in run.fits
    ]
    short = short_names(labels)
    _print_proof(runs, short, console)
    if any(run.kernels for run in runs):
        console.print(_kernels(runs, short))
    console.print("c×N: c nodes of N threads; SU, PE: over one thread; DSU: over ridgecv 1×1\n")
    table = rows(runs)
    in_order = sorted(table, key=lambda row: (row.suite, row.problem, row.size, row.dtype))
    for suite, problem in dict.fromkeys((row.suite, _problem(row)) for row in in_order):
        chosen = [row for row in table if (row.suite, _problem(row)) == (suite, problem)]
        columns = _ACCURACY if suite == "accuracy" else _SPEED
        console.print(_fits(f"{suite}: {problem}", chosen, columns, short))
    for row in fastest(table):
        console.print(Text.assemble(("fastest", "bold green"), f"  {describe(row)}"))
    console.print()
    _print_issues(find_issues(runs), environments, console)


def short_names(labels: Iterable[str]) -> dict[str, str]:
    """Return each label's first word where that tells it from the others, else the whole label."""
    whole = sorted(set(labels))
    first = [label.partition(" ")[0] for label in whole]
    return {
        label: word if first.count(word) == 1 else label
        for label, word in zip(whole, first, strict=True)
    }


def describe(row: Row) -> str:
    """Return one row as a sentence."""
    ratio = f", {row.dsu:.2f} times ridgecv on one thread" if row.dsu else ""
    return (
        f"{row.problem} at scale {row.scale} ({row.dtype}): {row.strategy}, "
        f"{counted(row.nodes, 'node')} x {counted(row.threads, 'thread')}, {row.environment}: "
        f"{seconds_text(row.seconds)}{ratio}"
    )


def seconds_text(seconds: float) -> str:
    """Return a time with three significant digits and its unit."""
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 1000 else f"{seconds:,.0f} s"


def _print_origin(runs: list[EnvironmentRun], profile: str | None, console: Console) -> None:
    """Print machine, commit, day and profile of what follows."""
    for machine, commit in dict.fromkeys((run.machine, run.commit) for run in runs):
        own = [run for run in runs if (run.machine, run.commit) == (machine, commit)]
        days = sorted({one.started[:10] for run in own for one in run.fits})
        named = {one.profile for run in own for one in run.skips if one.profile is not None}
        parts = [
            f"machine {machine}",
            f"commit {commit}",
            " to ".join(dict.fromkeys(days[:1] + days[-1:])) or "no fit measured",
            f"profile {profile or ', '.join(sorted(named)) or 'not recorded'}",
        ]
        console.print(Text(", ".join(parts), "bold"), soft_wrap=True)
    console.print()


def _print_proof(runs: Iterable[EnvironmentRun], short: dict[str, str], console: Console) -> None:
    console.print(Text("BLAS proved by what was loaded", "bold"))
    for run in runs:
        proved = proved_libraries(run)
        if not proved:
            continue
        name = short[environment_label(run)]
        console.print(Text(f"  {name} ({counted(len(run.proofs), 'record')})"))
        for caller, library, records in proved:
            text = (
                f"{caller} calls {library.name} {library.version or ''}, "
                f"{library.architecture or 'unnamed'} kernels"
            )
            if caller.startswith("torch"):
                text += f" ({counted(records, 'record')} of its own)"
            console.print(Text(f"    {text}"))
    console.print()


def _kernels(runs: Iterable[EnvironmentRun], short: dict[str, str]) -> Table:
    table = _table("Kernel rates in GFLOP/s, and as a fraction of the gemm beside them")
    table.add_column("BLAS")
    table.add_column("precision")
    for heading in ("n", "threads", *KERNELS):
        table.add_column(heading, justify="right")
    for run in runs:
        measured = [one for one in run.kernels if one.status == "ok"]
        for record in sorted(measured, key=lambda one: (one.case.size, one.case.threads)):
            for precision, rates in (record.rates or {}).items():
                _add_row(
                    table,
                    short[environment_label(run)],
                    precision,
                    str(record.case.size),
                    str(record.case.threads),
                    f"{rates['gemm'].gflops:.0f}",
                    *(
                        f"{rates[name].gflops:.0f} ({rates[name].fraction_of_gemm:.2f})"
                        if name in rates
                        else ""
                        for name in KERNELS[1:]
                    ),
                )
    return table


def _problem(row: Row) -> str:
    return " ".join(word for word in (row.problem, row.scale, row.dtype) if word)


def _memory(count: int | None) -> str:
    return "" if not count else f"{count / 1024**3:.2f}"


Column = tuple[str, Callable[[Row], str]]
_SPEED: tuple[Column, ...] = (
    ("time", lambda row: seconds_text(row.seconds)),
    ("SU", lambda row: _number(row.su, ".2f")),
    ("PE", lambda row: _number(row.pe, ".2f")),
    ("DSU", lambda row: _number(row.dsu, ".2f")),
    ("GiB", lambda row: _memory(row.peak_bytes)),
    ("mean r", lambda row: _number(row.r_mean, ".3f")),
    ("error", lambda row: _number(row.disagreement, ".0e")),
)
_ACCURACY: tuple[Column, ...] = (
    ("mean r", lambda row: _number(row.r_mean, ".3f")),
    ("max r", lambda row: _number(row.r_max, ".3f")),
    ("shuffled max r", lambda row: _number(row.null_max, ".3f")),
    ("error", lambda row: _number(row.disagreement, ".0e")),
)


def _fits(title: str, found: list[Row], columns: Iterable[Column], short: dict[str, str]) -> Table:
    table = _table(title)
    table.add_column("strategy")  # the one that may wrap: a number belongs on its unit's line
    table.add_column("BLAS", no_wrap=True)
    table.add_column("c×N", justify="right", no_wrap=True)
    for heading, _ in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in found:
        _add_row(
            table,
            row.strategy,
            short[row.environment],
            f"{row.nodes}×{row.threads}",
            *(value(row) for _, value in columns),
        )
    return table


def _table(title: str) -> Table:
    return Table(
        title=Text(title), title_justify="left", title_style="bold", box=None, padding=(0, 1)
    )


def _add_row(table: Table, *cells: str, style: str = "") -> None:
    """Add a row of texts as they are: brackets in names and reasons are no markup."""
    table.add_row(*map(Text, cells), style=style)


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def where(one: Issue, environments: int) -> str:
    """Return where something gave no number: the environments, or that it was all of them."""
    if environments > 1 and len(one.environments) == environments:
        return "all"
    return ", ".join(one.environments)


def _print_issues(found: list[Issue], environments: int, console: Console) -> None:
    if not found:
        return
    table = _table("Gave no number, or no answer")
    table.add_column("status")
    table.add_column("reason")
    table.add_column("count in each", justify="right")
    table.add_column("environments")
    colours = {"failed": "red", "invalid": "red", "disturbed": "yellow", "skipped": "dim"}
    for one in found:
        _add_row(
            table,
            one.status,
            one.reason,
            str(one.count),
            where(one, environments),
            style=colours.get(one.status, ""),
        )
    console.print(table)
