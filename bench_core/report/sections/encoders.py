"""Encoders and training: the figures of suites that leave no records of fits.

A table for each suite from its records, and below what asv has of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench_core.records.runs import environment_texts
from bench_core.report.blocks import Block, Cell, Heading, Table, Text, number, rows_of
from bench_core.report.encoding import suite_tables
from bench_core.report.sections import Section
from bench_core.report.site_data import SiteData

SUITES = ("encoders", "encoding", "videogpt")
"""Suites that are about features and training; the others are about fits."""


def _build(data: SiteData) -> Sequence[Block]:
    """Return the tables of records, and asv's."""
    return [*_of_records(data), *_of_asv(data)]


def _of_records(data: SiteData) -> list[Block]:
    """Return a table for every suite that has left records of figures."""
    blocks: list[Block] = []
    for table in suite_tables(data.runs):
        rows: list[list[str | Cell]] = [
            [
                row.machine,
                row.environment,
                *row.parameters,
                *(Cell(text, value) for text, value in zip(row.figures, row.values, strict=True)),
            ]
            for row in table.rows
        ]
        headings = ("machine", "BLAS", *table.parameters, *table.figures)
        blocks += [
            Heading(table.title, f"{table.suite}-heading"),
            Table(f"{table.suite}-figures", headings, rows_of(rows)),
        ]
    return blocks


def _of_asv(data: SiteData) -> list[Block]:
    """Return a row for every figure at the commit at which it was measured last."""
    if data.asv is None:
        return []
    rows: list[list[str | Cell]] = []
    dates = data.asv.dates
    names = environment_texts(history.environment for history in data.asv.histories)
    for history in data.asv.histories:
        benchmark, _, parameters = history.case.partition("(")
        suite = benchmark.partition(".")[0]
        measured = {name: one for name, one in history.points.items() if one.values}
        if suite not in SUITES or not measured:
            continue
        last = max(measured, key=lambda name: dates.get(name[:8], 0.0))
        for name, value in measured[last].values.items():
            figure = history.figures[name]
            rows.append(
                [
                    history.machine,
                    names[history.environment],
                    suite,
                    benchmark.rpartition(".")[2].removeprefix("track_").replace("_", " "),
                    parameters.removesuffix(")"),
                    number(figure.from_scale(value), ".4g"),
                    figure.unit,
                    last[:8],
                ]
            )
    if not rows:
        return []
    headings = (
        "machine",
        "environment",
        "suite",
        "figure",
        "parameters",
        "value",
        "unit",
        "commit",
    )
    return [
        Text("Of every figure less is better. asv's own pages have their history.", "faint"),
        Table("encoders", headings, rows_of(rows)),
    ]


SECTION = Section("Encoders and training", 80, _build)
