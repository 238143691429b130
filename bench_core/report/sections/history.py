"""Changes, lines over commits with their steps marked, and the measured commits."""

from __future__ import annotations

from collections.abc import Sequence

from bench_core.history.figures import TIME, Figure
from bench_core.history.regressions import Line, Regressions
from bench_core.records.runs import environment_texts
from bench_core.report.blocks import Block, Cell, Markup, Table, TableRow, Text
from bench_core.report.charts import Axis, Chart
from bench_core.report.history import HistoryView, history_view, value_text
from bench_core.report.sections import Section
from bench_core.report.site_data import SiteData
from bench_core.report.templating import render

_RELATIVE = "relative to the first commit of each line"


def _build(data: SiteData) -> Sequence[Block]:
    if data.history is None or not data.history.order.commits:
        return []
    view = history_view(data.history)
    blocks: list[Block] = [Text(view.answer), Text(view.method, "faint")]
    if view.changes:
        blocks.append(_changes(view))
    if data.history.lines:
        blocks.append(_chart(data, data.history))
    if view.drawings:
        blocks.append(Markup(render("lines.html", history=view)))
    blocks.append(_commits(view))
    blocks += [Text(note, "faint") for note in view.notes]
    return blocks


def _changes(view: HistoryView) -> Table:
    headings = ("state", "machine", "case", "BLAS", "figure", "change (95 %)")
    rows = tuple(
        TableRow(
            (
                *(
                    Cell(one[name])
                    for name in ("state", "machine", "case", "environment", "figure", "size")
                ),
                Cell(one["after"][:8], link=f"#{one['after']}"),
                Cell(one["last"][:8], link=f"#{one['last']}"),
                Cell(one["differs"]),
            ),
            status=one["regression"],
        )
        for one in view.changes
    )
    return Table("changes", (*headings, "after commit", "up to", "what else differs"), rows)


def _commits(view: HistoryView) -> Table:
    rows = tuple(
        TableRow((Cell(one["full"]), Cell(one["day"]), Cell(one["subject"])), name=one["full"])
        for one in view.commits
    )
    # All of them: changes, dots and asv's pages link to their rows.
    return Table(
        "commits",
        ("commit", "day", "subject"),
        rows,
        caption="Measured commits, newest first",
        most=len(rows),
    )


def _chart(data: SiteData, found: Regressions) -> Chart:
    commits = [one.name[:8] for one in found.order.commits]
    points = [
        (line, position, line.figure.from_scale(value))
        for line in found.lines
        for position, value in zip(line.positions, line.y, strict=True)
    ]
    links = data.case_links
    environments = environment_texts(line.history.environment for line in found.lines)
    figures = [line.figure.name for line in found.lines]
    details: dict[tuple[str, str, str], set[str]] = {}
    for line in found.lines:
        details.setdefault(_named(line), set()).add(line.history.detail)

    def record(line: Line, position: int) -> str:
        one = line.history
        key = (one.machine, commits[position], one.environment, one.case, one.detail)
        return links.get(key, f"#{found.order.commits[position].full}")

    return Chart(
        "history",
        "Figures over commits",
        "Commits stand in git's order. A point leads to the record of its case, or to its commit.",
        {
            "figure": [line.figure.name for line, _, _ in points],
            "machine": [line.history.machine for line, _, _ in points],
            "environment": [environments[line.history.environment] for line, _, _ in points],
            "case": [line.history.case for line, _, _ in points],
            # Seeds, split and penalties, where cases of the same words differ in them.
            "detail": [
                line.history.detail or None if len(details[_named(line)]) > 1 else None
                for line, _, _ in points
            ],
            "commit": [commits[position] for _, position, _ in points],
            "text": [value_text(line.figure, value) for line in found.lines for value in line.y],
            "record": [record(line, position) for line, position, _ in points],
            "position": [position for _, position, _ in points],
            "value": [value for _, _, value in points],
        },
        (Axis("commit", "position"),),
        (
            Axis("value, in the unit of its figure", "value"),
            Axis(_RELATIVE, "value", ideal="1", relative=True),
        ),
        filters={
            "figure": "Figure",
            "machine": "Machine",
            "environment": "Environment",
            "case": "Case",
        },
        chosen={"figure": TIME.name if TIME.name in figures else figures[0]},
        series=("case", "environment", "machine", "figure", "detail"),
        hover={
            "case": "case",
            "figure": "figure",
            "text": "value",
            "commit": "commit",
            "environment": "environment",
            "machine": "machine",
        },
        named="figure",
        names={line.figure.name: _axis(line.figure) for line in found.lines},
        y_choice="Shown",
        log_x=False,
        ticks=tuple(commits),
    )


def _named(line: Line) -> tuple[str, str, str]:
    return line.history.machine, line.history.environment, line.history.case


def _axis(figure: Figure) -> str:
    return f"{figure.name} ({figure.unit})" if figure.unit != figure.name else figure.name


SECTION = Section("History", 30, _build)
