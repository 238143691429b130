"""Where the time of fits goes: phases along the critical path, and of every process."""

from __future__ import annotations

from collections.abc import Sequence

from bench_core.errors import counted
from bench_core.records.phases import PHASE_NAMES
from bench_core.report.blocks import Block, Cell, Figure, Table, rows_of, seconds_cell
from bench_core.report.phases import drawn_rows, phase_rows, phases_figure, phases_text, used_phases
from bench_core.report.sections import Section
from bench_core.report.site_data import SiteData


def _build(data: SiteData) -> Sequence[Block]:
    rows = phase_rows(data.runs)
    drawn = drawn_rows(rows)
    svg = phases_figure(drawn)
    if svg is None:
        return []
    more = sum(row.critical for row in rows) - len(drawn)
    names = used_phases(rows)
    headings = ("problem", "strategy", "BLAS", "nodes × threads", "process", "fit")
    cells: list[list[str | Cell]] = [
        [
            row.title,
            row.strategy,
            row.environment,
            f"{row.nodes} × {row.threads}",
            row.seconds.process + (", modelled" if row.modelled is not None else ""),
            seconds_cell(row.whole),
            *(seconds_cell(row.seconds.seconds[name]) for name in names),
        ]
        for row in rows
    ]
    table = Table(
        "phases",
        (*headings, *(PHASE_NAMES[name] for name in names)),
        rows_of(cells),
        folded="Its data as a table",
    )
    caption = (
        "Phases along the critical path of the fit of median time, as measured "
        "(docs/measurements.md, phases). scikit-learn's own time cannot be measured by phase: "
        "hatched is its division by the cost model (docs/scaling.md)."
        + (f" The table has {counted(more, 'fit')} more." if more else "")
    )
    title = "Where the time goes"
    return [Figure("phases", title, svg, caption, phases_text(drawn), table)]


SECTION = Section("Phases", 75, _build)
