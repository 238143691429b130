"""Tables of a reference run, as Markdown, for pages such as the README.

``python -m bench_core.report.markdown README.md MACHINE`` puts tables of the collected run of
MACHINE between the markers of a file that name them, so that its figures are those of the
committed records.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from bench_core.errors import InputError
from bench_core.report.rows import Row, rows
from bench_core.report.runs import EnvironmentRun, latest, read_runs
from bench_core.report.solver_table import solver_table
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
    "reference run": comparison,
    "solvers": solver_table,
}
"""What may stand between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``."""


def replace(text: str, runs: list[EnvironmentRun], name: str) -> str:
    """Return ``text`` with what stands between markers replaced by the tables of ``runs``.

    Raises
    ------
    InputError : the file, called ``name``, has no table's pair of markers.
    """
    found = False
    for table, make in TABLES.items():
        begin, end = (f"<!-- {table}: {which} -->" for which in ("begin", "end"))
        head, started, rest = text.partition(begin)
        _, ended, tail = rest.partition(end)
        if started and ended:
            found = True
            text = f"{head}{begin}\n{make(runs)}\n{end}{tail}"
    if not found:
        known = ", ".join(repr(table) for table in TABLES)
        raise InputError(
            f"{name} has no lines '<!-- TABLE: begin -->' and '<!-- TABLE: end -->', where TABLE "
            f"is one of {known}: put them where a table goes"
        )
    return text


def _order(row: Row) -> tuple[int, str, Fraction, str, int, int]:
    place = SUITES.index(row.suite)
    return place, row.problem, row.size, row.strategy, row.nodes, row.threads


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    return seconds_text(row.seconds) + (f" ({row.dsu:.2f}×)" if row.dsu else "")


def _main(path: Path, machine: str) -> None:
    results = Path("results")
    runs = latest(read_runs(results, machine))
    if not runs:
        raise SystemExit(f"no collected run of {machine} below {results.resolve()}")
    path.write_text(replace(path.read_text(encoding="utf-8"), runs, path.name), encoding="utf-8")


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2])
