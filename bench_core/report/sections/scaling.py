"""Time, speed-ups and efficiency over threads and nodes, beside the thesis's published times."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench_core.report.blocks import Block, Figure, Text
from bench_core.report.charts import Axis, Chart
from bench_core.report.published_rows import MACHINE, published_rows
from bench_core.report.rows import Row
from bench_core.report.scaling_figures import scaling_figures
from bench_core.report.sections import Section
from bench_core.report.site_data import SiteData
from bench_core.report.units import seconds_text

_X = (
    Axis("threads of a node", "threads"),
    Axis("nodes", "nodes"),
    Axis("threads of all nodes", "cores"),
)
_Y = (
    Axis("time in seconds", "seconds", "seconds_low", "seconds_high"),
    Axis("SU: speed-up over one thread", "su", "su_low", "su_high", "x"),
    Axis("PE: SU over threads", "su", "su_low", "su_high", "1", over="threads"),
    Axis("DSU: speed-up over ridgecv 1 × 1", "dsu", "dsu_low", "dsu_high", "x"),
    Axis("time relative to ridgecv 1 × 1", "dsu", "dsu_low", "dsu_high", inverse=True),
)


def scaling_chart(data: SiteData) -> Chart:
    """Return the chart of all valid fits, and of what was published for the same problems."""
    measured = data.rows
    problems = {row.name for row in measured}
    thesis = [row for row in published_rows() if row.problem in problems]
    whole = {row.name for row in measured if row.scale == "1"}
    table = [*measured, *thesis]

    def texts(value: Callable[[Row], str]) -> Sequence[str | float | None]:
        """Return texts of a column; None where the thesis leaves the choice open."""
        return [*(value(row) or None for row in measured), *[None] * len(thesis)]

    def numbers(value: Callable[[Row], float | None]) -> Sequence[str | float | None]:
        return [value(row) for row in table]

    columns: dict[str, Sequence[str | float | None]] = {
        "machine": texts(lambda row: row.machine),
        "problem": [row.name for row in table],
        "scale": texts(lambda row: row.scale),
        "precision": texts(lambda row: row.dtype),
        "blas": [row.environment for row in measured]
        + [f"{row.environment}, thesis" for row in thesis],
        "strategy": [row.strategy for row in table],
        "subject": texts(lambda row: row.subject),
        "shape": [f"{row.nodes} × {row.threads}" for row in table],
        "time": [seconds_text(row.seconds) for row in table],
        "source": [row.suite for row in measured] + [f"thesis, {row.suite}" for row in thesis],
        "thesis": ["no"] * len(measured) + ["yes"] * len(thesis),
        "record": texts(lambda row: data.records.link(row.record)),
        "threads": numbers(lambda row: row.threads),
        "nodes": numbers(lambda row: row.nodes),
        "cores": numbers(lambda row: row.nodes * row.threads),
        # Where scales differ, times of the thesis are in the relative views alone.
        "seconds": [
            row.seconds if row.machine != MACHINE or row.problem in whole else None for row in table
        ],
        "seconds_low": numbers(lambda row: row.ci95 and row.ci95[0]),
        "seconds_high": numbers(lambda row: row.ci95 and row.ci95[1]),
        "su": numbers(lambda row: row.su),
        "su_low": numbers(lambda row: row.su_ci95 and row.su_ci95[0]),
        "su_high": numbers(lambda row: row.su_ci95 and row.su_ci95[1]),
        "dsu": numbers(lambda row: row.dsu),
        "dsu_low": numbers(lambda row: row.dsu_ci95 and row.dsu_ci95[0]),
        "dsu_high": numbers(lambda row: row.dsu_ci95 and row.dsu_ci95[1]),
    }
    shapes: dict[str, set[tuple[int, int]]] = {}
    for row in measured:
        shapes.setdefault(row.name, set()).add((row.nodes, row.threads))
    first = max(shapes, key=lambda name: len(shapes[name]))
    chosen = {"problem": first}
    if data.several_machines:
        chosen["machine"] = next(row.machine for row in measured if row.name == first)
    return Chart(
        "scaling",
        "All valid fits",
        "Points are medians, lines join equal strategies, BLAS and threads or nodes; bars are 95 % "
        "intervals. Dashed: as published (thesis 2025, scale 1, means over subjects).",
        columns,
        _X,
        _Y,
        filters={
            "machine": "Machine",
            "problem": "Problem",
            "scale": "Scale",
            "precision": "Precision",
            "blas": "BLAS",
            "strategy": "Strategy",
            "subject": "Subject",
            "thesis": "Published times",
        },
        chosen=chosen,
        series=("strategy", "blas", "machine", "scale", "precision", "subject"),
        hover={
            "problem": "problem",
            "scale": "scale",
            "precision": "precision",
            "strategy": "strategy",
            "shape": "nodes × threads",
            "blas": "BLAS",
            "machine": "machine",
            "time": "time",
            "source": "from",
        },
        reference="thesis",
    )


def _build(data: SiteData) -> Sequence[Block]:
    if not data.rows:
        return []
    blocks: list[Block] = [
        Text(
            "SU: over one thread of the same strategy and nodes; PE = SU / threads; DSU: over "
            "ridgecv on one node and one thread; all within one run of one environment.",
            "faint",
        ),
        scaling_chart(data),
    ]
    for name, title, caption, svg in scaling_figures(data.figure_rows):
        blocks.append(Figure(name, title, svg, caption))
    blocks.append(Text("The figures' data: ", "faint", ("all valid fits", data.address("fits"))))
    return blocks


SECTION = Section("Scaling", 10, _build)
