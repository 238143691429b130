"""Encoders and training: the figures of suites that leave no records of fits."""

from __future__ import annotations

from collections.abc import Sequence

from bench_core.report.blocks import Block, Cell, Table, Text, number, rows_of
from bench_core.report.sections import Section
from bench_core.report.site_data import SiteData

SUITES = ("encoders", "encoding", "videogpt")
"""Suites that are about features and training; the others are about fits."""


def _build(data: SiteData) -> Sequence[Block]:
    """Return a row for every figure at the commit at which it was measured last."""
    if data.asv is None:
        return []
    rows: list[list[str | Cell]] = []
    dates = data.asv.dates
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
                    history.environment,
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
