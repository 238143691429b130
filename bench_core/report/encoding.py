"""Figures of encoders, of training, and of the way from a film to r: tables for page and terminal.

They are records of their own (`bench_core.records.FiguresRecord`), a table for each suite.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench_core.errors import readable_bytes
from bench_core.records import Figure, FiguresRecord
from bench_core.records.runs import environment_label
from bench_core.report.runs import EnvironmentRun
from bench_core.report.units import seconds_text

TITLES = {
    "encoding": "From a film to r",
    "encoders": "Encoders",
    "videogpt": "VideoGPT",
}
"""Titles of the suites' tables; a suite without one has its name."""

SHOWN = {
    "encoding": ("decoding", "network", "fit", "mean r", "null max r", "planted r"),
    "encoders": ("decoding", "network", "both"),
}
"""Figures that the terminal has room for; of another suite the first four."""


@dataclass(frozen=True)
class SuiteTable:
    """The figures of one suite.

    Parameters
    ----------
    parameters, figures : names, the columns of ``rows`` after machine and environment.
    """

    suite: str
    title: str
    parameters: Sequence[str]
    figures: Sequence[str]
    rows: Sequence[SuiteRow]


@dataclass(frozen=True)
class SuiteRow:
    """One case: its parameters' values, and its figures as texts and as numbers.

    A figure that it has not is "" and None.
    """

    machine: str
    environment: str
    parameters: Sequence[str]
    figures: Sequence[str]
    values: Sequence[float | None]


def suite_tables(runs: Iterable[EnvironmentRun]) -> list[SuiteTable]:
    """Return a table of every suite that has valid figures, in the order of their titles."""
    found: dict[str, list[tuple[EnvironmentRun, FiguresRecord]]] = {}
    for run in runs:
        for record in run.figures:
            if record.status == "ok":
                found.setdefault(record.case.suite, []).append((run, record))
    order = [*TITLES, *sorted(set(found) - set(TITLES))]
    return [_table(suite, found[suite]) for suite in order if suite in found]


def figure_text(figure: Figure) -> str:
    """Return a figure with its unit; "–" where it has no value.

    >>> [figure_text(one) for one in (Figure(0.25, "s"), Figure(0.5, "r"), Figure(None, "r"))]
    ['250 ms', '0.500', '–']
    """
    value, unit = figure.value, figure.unit
    if value is None:
        return "–"
    if unit == "s":
        return seconds_text(value)
    if unit == "bytes":
        return readable_bytes(value)
    if unit == "r":
        return f"{value:.3f}"
    return f"{value:.3g} {unit}".strip()


def figures_text(record: FiguresRecord) -> str:
    """Return the most telling figures of a record in one line."""
    shown = _shown(record.case.suite, list(record.figures))
    return ", ".join(f"{name} {figure_text(record.figures[name])}" for name in shown)


def print_tables(runs: Iterable[EnvironmentRun], short: dict[str, str], console: Console) -> None:
    """Print every suite's table, with the figures for which there is room.

    short : short names of environments by their labels.
    """
    for table in suite_tables(runs):
        shown = _shown(table.suite, table.figures)
        printed = Table(
            title=Text(f"{table.suite}: {table.title}"),
            title_justify="left",
            title_style="bold",
            box=None,
            padding=(0, 1),
        )
        printed.add_column("case")
        printed.add_column("BLAS", no_wrap=True)
        for name in shown:
            printed.add_column(name, justify="right")
        for row in table.rows:
            cells = dict(zip(table.figures, row.figures, strict=True))
            case = ", ".join(filter(None, row.parameters))
            words = [case, short.get(row.environment, row.environment), *map(cells.get, shown)]
            printed.add_row(*(Text(word or "") for word in words))
        console.print(printed)


def _shown(suite: str, figures: Sequence[str]) -> list[str]:
    wanted = SHOWN.get(suite, tuple(figures)[:4])
    return [name for name in wanted if name in figures]


def _table(suite: str, found: Sequence[tuple[EnvironmentRun, FiguresRecord]]) -> SuiteTable:
    parameters = list(dict.fromkeys(name for _, one in found for name in one.case.parameters))
    figures = list(dict.fromkeys(name for _, one in found for name in one.figures))
    rows = [
        SuiteRow(
            run.machine,
            environment_label(run),
            [_word(one.case.parameters.get(name)) for name in parameters],
            [figure_text(one.figures[name]) if name in one.figures else "" for name in figures],
            [one.figures[name].value if name in one.figures else None for name in figures],
        )
        for run, one in found
    ]
    rows.sort(key=lambda row: (row.machine, row.parameters, row.environment))
    return SuiteTable(suite, TITLES.get(suite, suite), parameters, figures, rows)


def _word(value: object) -> str:
    return "" if value is None else str(value)
