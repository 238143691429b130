"""What gave no number, or no answer: where, why, and how often."""

from __future__ import annotations

from collections.abc import Sequence

from bench_core.report.blocks import Block, Cell, Table, TableRow, number
from bench_core.report.rows import place_texts
from bench_core.report.sections import Section
from bench_core.report.site_data import SiteData
from bench_core.report.terminal import where


def _build(data: SiteData) -> Sequence[Block]:
    if not data.issues:
        return []
    environments = len(set(place_texts(data.runs).values()))
    rows = tuple(
        TableRow(
            (
                Cell(one.status),
                Cell(one.suite or ""),
                Cell(one.case, link=data.records.link(one.record)),
                Cell(one.reason),
                number(one.count, "d"),
                Cell(where(one, environments)),
            ),
            status=one.status,
        )
        for one in data.issues
    )
    reason = "reason, and what would make it run"
    headings = ("status", "suite", "case", reason, "count in each", "where")
    return [Table("issues", headings, rows)]


SECTION = Section("Skipped", 90, _build)
