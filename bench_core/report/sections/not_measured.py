"""What sweeps of one's own problems left out: each case with its reason and its prediction."""

from __future__ import annotations

from collections.abc import Sequence

from bench_core.records.session import NotMeasured, SessionRecord
from bench_core.report.blocks import Block, Cell, Heading, Table, TableRow, Text, seconds_cell
from bench_core.report.sections import Section
from bench_core.report.site_data import SiteData


def _build(data: SiteData) -> Sequence[Block]:
    sessions = [one for run in data.runs for one in run.sessions if one.problem is not None]
    blocks: list[Block] = []
    for number, one in enumerate({one.case.session: one for one in sessions}.values()):
        if one.not_measured or one.notes:
            blocks += _sweep(one, number)
    return blocks


def _sweep(session: SessionRecord, number: int) -> list[Block]:
    found: list[Block] = [Heading(f"Sweep of {session.problem}", f"sweep-{number}")]
    found += [Text(note, "faint") for note in session.notes]
    if session.not_measured:
        headings = ("case", "environment", "predicted", "at the least", "at the most", "reason")
        rows = tuple(TableRow(_cells(one), status="skipped") for one in session.not_measured)
        found.append(Table(f"not-measured-{number}", headings, rows))
    return found


def _cells(one: NotMeasured) -> tuple[Cell, ...]:
    low, middle, high = one.predicted_s or (None, None, None)
    times = [Cell("") if t is None else seconds_cell(t) for t in (middle, low, high)]
    return (Cell(one.case), Cell(one.environment or "all"), *times, Cell(one.reason))


SECTION = Section("Not measured", 91, _build)
