"""Tables of collected runs, as Markdown, for pages such as the README.

A page says where a table goes, and which machine it is of::

    <!-- solvers of epyc-2core: begin -->
    <!-- solvers of epyc-2core: end -->

``python -m bench_core.report.markdown README.md`` makes the tables of a page anew from the
committed records; with the name of a machine after it, those of that machine take their places. A
test holds the pages against the records.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from bench_core.errors import InputError
from bench_core.files import write_text
from bench_core.report.rows import Row, rows
from bench_core.report.runs import EnvironmentRun, fullest, read_runs
from bench_core.report.solver_table import solver_runs, solver_table
from bench_core.report.units import seconds_text

#: The suites whose fits compare configurations; accuracy is about other figures.
SUITES = ("threads", "nodes_mor", "nodes_bmor")


def comparison(runs: list[EnvironmentRun]) -> str:
    """Return a table with a row per problem and configuration and a column per BLAS.

    A cell is the median time and, in parentheses, the speed-up over ridgecv on one node and one
    thread of the same column.
    """
    table = [row for row in rows(runs) if row.suite in SUITES]
    columns = sorted({row.environment for row in table})
    lines: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in sorted(table, key=_order):
        problem = f"{row.problem} {row.scale}"
        configuration = f"{row.nodes} × {row.threads}"
        lines.setdefault((problem, row.strategy, configuration), {})[row.environment] = row
    out = [
        "| problem and scale | strategy | nodes × threads | " + " | ".join(columns) + " |",
        "|---|---|---|" + "---:|" * len(columns),
    ]
    for head, cells in lines.items():
        texts = [_cell(cells.get(column)) for column in columns]
        out.append("| " + " | ".join([*head, *texts]) + " |")
    return "\n".join(out)


TABLES: dict[str, Callable[[list[EnvironmentRun]], str]] = {
    "reference run": lambda runs: comparison(fullest(runs)),
    "solvers": lambda runs: solver_table(solver_runs(runs)),
}
"""Tables by name, each from all runs of a machine, of which it chooses its own."""

_PLACE = re.compile(
    r"<!-- (?P<table>[a-z ]+) of (?P<machine>\S+): begin -->\n.*?<!-- (?P=table) of (?P=machine): "
    r"end -->",
    re.DOTALL,
)


def replace(
    text: str,
    read: Callable[[str], list[EnvironmentRun]],
    name: str,
    machine: str | None = None,
) -> str:
    """Return ``text`` with the tables between its markers made anew.

    Parameters
    ----------
    read : returns all runs of a machine. name : of the file.
    machine : whose tables take the places; None for those that the markers name.

    Raises
    ------
    InputError : the file has no table's pair of markers, or there is no run of the machine.
    """

    def made(found: re.Match[str]) -> str:
        table, of = found["table"], machine or found["machine"]
        runs = read(of)
        if table not in TABLES or not runs:
            known = ", ".join(map(repr, TABLES))
            reason = "no collected run of it" if table in TABLES else f"tables are {known}"
            raise InputError(f"{name}: '{table} of {of}': {reason}")
        marker = f"<!-- {table} of {of}: {{}} -->"
        return f"{marker.format('begin')}\n{TABLES[table](runs)}\n{marker.format('end')}"

    new, count = _PLACE.subn(made, text)
    if not count:
        known = ", ".join(map(repr, TABLES))
        raise InputError(
            f"{name} has no lines '<!-- TABLE of MACHINE: begin -->' and '<!-- TABLE of MACHINE: "
            f"end -->', where TABLE is one of {known}: put them where a table goes"
        )
    return new


def _order(row: Row) -> tuple[int, str, Fraction, str, int, int]:
    place = SUITES.index(row.suite)
    return place, row.problem, row.size, row.strategy, row.nodes, row.threads


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    return seconds_text(row.seconds) + (f" ({row.dsu:.2f}×)" if row.dsu else "")


def _main(path: Path, machine: str | None = None) -> None:
    text = path.read_text(encoding="utf-8")
    new = replace(text, lambda of: read_runs(Path("results"), of), path.name, machine)
    write_text(path, new)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), *sys.argv[2:3])
