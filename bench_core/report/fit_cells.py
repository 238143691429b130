"""The columns that say which fit a row of a table is about."""

from __future__ import annotations

from bench_core.records import Record
from bench_core.records.runs import problem_text, scale_text, strategy_text
from bench_core.report.blocks import Cell, number
from bench_core.report.rows import record_label

FIT_HEADINGS = (
    "machine",
    "problem",
    "scale",
    "precision",
    "strategy",
    "BLAS",
    "nodes",
    "threads",
)


def fit_cells(machine: str, label: str, record: Record, link: str = "") -> list[str | Cell]:
    """Return the cells of `FIT_HEADINGS`.

    Parameters
    ----------
    label : of the record's environment; found once for all of its records.
    link : address of its problem.
    """
    case, problem = record.case, record.case.problem
    return [
        machine,
        Cell(problem_text(problem), link=link),
        scale_text(problem.scale),
        problem.dtype,
        strategy_text(case),
        record_label(record, label),
        number(case.nodes, "d"),
        number(case.threads, "d"),
    ]
