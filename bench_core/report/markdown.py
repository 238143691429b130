"""The table of a reference run, as Markdown, for pages such as the README.

``python -m bench_core.report.markdown README.md MACHINE`` puts the table of the collected run of
MACHINE between the two markers of a file, so that its figures are those of the committed records.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bench_core.errors import BadInput
from bench_core.report.rows import Row, rows
from bench_core.report.runs import Run, latest, read_runs
from bench_core.report.terminal import seconds_text

BEGIN = "<!-- reference run: begin -->"
END = "<!-- reference run: end -->"
#: The suites whose fits compare configurations; accuracy is about other figures.
SUITES = ("threads", "nodes_mor", "nodes_bmor")


def comparison(runs: list[Run]) -> str:
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


def replace(text: str, runs: list[Run], name: str) -> str:
    """Return ``text`` with what stands between the markers replaced by the table of ``runs``.

    Raises
    ------
    BadInput : the markers are missing from ``text``, whose file is called ``name``.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise BadInput(f"{name} has no lines {BEGIN!r} and {END!r}: put them where the table goes")
    return f"{head}{BEGIN}\n{comparison(runs)}\n{END}{tail}"


def _order(row: Row) -> tuple[int, str, str, str, int, int]:
    place = SUITES.index(row.suite)
    return place, row.problem, row.scale, row.strategy, row.nodes, row.threads


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    return seconds_text(row.seconds) + (f" ({row.dsu:.2f}×)" if row.dsu else "")


def _main(path: Path, machine: str) -> None:
    runs = latest(read_runs(path.parent / "results", machine))
    if not runs:
        raise SystemExit(f"no collected run of {machine} below {path.parent / 'results'}")
    path.write_text(replace(path.read_text(encoding="utf-8"), runs, path.name), encoding="utf-8")


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2])
