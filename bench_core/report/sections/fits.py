"""The table of all valid fits."""

from __future__ import annotations

from collections.abc import Sequence

from bench_core.report.blocks import Block, Table, Text, bytes_cell, number, rows_of, seconds_cell
from bench_core.report.sections import Section
from bench_core.report.site_data import SiteData

_HEADINGS = (
    "machine",
    "suite",
    "problem",
    "scale",
    "precision",
    "strategy",
    "BLAS",
    "nodes",
    "threads",
    "time",
    "SU",
    "PE",
    "DSU",
    "peak memory",
    "r mean",
    "r max",
    "null max",
    "disagreement",
)


def fits_table(data: SiteData) -> Table:
    """Return a row per valid fit; its time leads to its record."""
    return Table(
        "fits",
        _HEADINGS,
        rows_of(
            (
                row.machine,
                row.suite,
                row.problem,
                row.scale,
                row.dtype,
                row.strategy,
                row.environment,
                number(row.nodes, "d"),
                number(row.threads, "d"),
                seconds_cell(row.seconds, data.records.link(row.record)),
                number(row.su, ".2f"),
                number(row.pe, ".2f"),
                number(row.dsu, ".2f"),
                bytes_cell(row.peak_bytes),
                number(row.r_mean, ".3f"),
                number(row.r_max, ".3f"),
                number(row.null_max, ".3f"),
                number(row.disagreement, ".1e"),
            )
            for row in data.rows
        ),
    )


def _build(data: SiteData) -> Sequence[Block]:
    if not data.rows:
        return []
    return [
        Text(
            "Times are medians of repeats. SU: over one thread of the same strategy and nodes; "
            "PE = SU / threads; DSU: over ridgecv on one node and one thread; all within one run "
            "of one environment. Disagreement: worst difference of the predictions from "
            "scikit-learn's Ridge at the chosen penalties. A time leads to its record.",
            "faint",
        ),
        fits_table(data),
    ]


SECTION = Section("All fits", 15, _build)
