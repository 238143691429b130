"""The scaling figures of the thesis, with what was measured and what was published in one picture.

S. Ahmadi, "Scaling up Machine Learning Models for fMRI Brain Encoding" (Concordia University,
2025), figures 3.6 (times over threads), 3.8 (speed-up and efficiency), 3.9 (MOR over nodes), 3.10
(B-MOR over nodes) and 3.11 (distributed speed-up, by subject). Where the scale of what was measured
is not 1, times are relative on both sides: to one thread, or to RidgeCV on one node and one thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench_core.report.line_panels import LinePoint, Panel, PanelLine, panels_figure
from bench_core.report.published_rows import published_rows
from bench_core.report.rows import Row
from bench_core.scaling.published_times import published_times, select

Group = tuple[str, str, str]


def threads_time_panels(table: Iterable[Row]) -> list[Panel]:
    """Return figure 3.6: RidgeCV's time over threads, a panel per problem, scale and precision."""
    panels = []
    for (problem, scale, dtype), chosen in _groups(_threads(table)).items():
        whole = scale == "1"
        lines = [
            PanelLine(
                label,
                tuple(_time(row) if whole else _relative_to_one(row) for row in own),
                reference=thesis,
            )
            for label, own, thesis in _over_threads(chosen, problem)
        ]
        y = "seconds" if whole else "time relative to one thread"
        ideal = "" if whole else "1/x"
        panels.append(Panel(_title(problem, scale, dtype), "threads", y, tuple(lines), ideal))
    return panels


def threads_speed_up_panels(table: Iterable[Row]) -> list[Panel]:
    """Return figure 3.8: speed-up over one thread, then parallel efficiency, over threads."""
    groups = _groups(_threads(table))
    panels = []
    for name, ideal in (("speed-up", "x"), ("parallel efficiency", "1")):
        for (problem, scale, dtype), chosen in groups.items():
            lines = [
                PanelLine(label, tuple(_speed_up(row, name) for row in own), reference=thesis)
                for label, own, thesis in _over_threads(chosen, problem)
            ]
            title = _title(problem, scale, dtype)
            panels.append(Panel(title, "threads", name, tuple(lines), ideal))
    return panels


def nodes_panels(table: Iterable[Row], strategies: Sequence[str], figure: str) -> list[Panel]:
    """Return figure 3.9 or 3.10: time over nodes, a line per threads of a node.

    A panel per problem, scale, precision, strategy and BLAS, and one for each published BLAS. Times
    are relative to one node and one thread of the same strategy.
    """
    panels = []
    found: dict[tuple[str, str, str, str, str], list[Row]] = {}
    for row in table:
        if _family(row.strategy) in strategies:
            key = (row.problem, row.scale, row.dtype, row.strategy, row.environment)
            found.setdefault(key, []).append(row)
    for (problem, scale, dtype, strategy, environment), own in sorted(found.items()):
        if len({row.nodes for row in own}) > 1:
            title = f"{_title(problem, scale, dtype)}\n{strategy}, {environment}"
            panels.append(_over_nodes(title, own, reference=False))
    published: dict[str, list[Row]] = {}
    for row in published_rows():
        if row.suite.split()[-1] in _figures(figure) and row.strategy in strategies:
            published.setdefault(row.environment, []).append(row)
    if panels:
        for blas, own in sorted(published.items()):
            title = f"thesis, {own[0].problem}\n{own[0].strategy}, {blas}"
            panels.append(_over_nodes(title, own, reference=True))
    return panels


def distributed_panels(table: Iterable[Row]) -> list[Panel]:
    """Return figure 3.11: distributed speed-up over all threads of all nodes, and by subject."""
    found: dict[Group, list[Row]] = {}
    subjects: dict[Group, list[Row]] = {}
    for row in table:
        if row.dsu is not None and row.strategy != "ridgecv":
            key = (row.name, row.scale, row.dtype)
            found.setdefault(key, []).append(row)
            if row.suite == "subjects":
                subjects.setdefault(key, []).append(row)
    panels = []
    thesis = [row for row in published_rows() if row.dsu is not None and row.strategy == "bmor"]
    for (problem, scale, dtype), own in sorted(found.items()):
        lines = [
            PanelLine(f"{strategy}, {environment}", tuple(_best(mine)))
            for (strategy, environment), mine in _split(own).items()
        ]
        lines.append(PanelLine("thesis, bmor, mkl", tuple(_best(thesis)), reference=True))
        title = _title(problem, scale, dtype)
        panels.append(Panel(title, "nodes × threads", "distributed speed-up", tuple(lines), "x"))
    for (problem, scale, dtype), own in sorted(subjects.items()):
        panels.append(_by_subject(_title(problem, scale, dtype), own))
    return panels


def scaling_figures(table: Sequence[Row]) -> list[tuple[str, str, str, str]]:
    """Return name, title, caption and SVG of every figure that there is something to draw for."""
    grey = "Dashed: as published (420 times on Xeon Gold 6130, scale 1)."
    found = [
        (
            "figure-3-6",
            "RidgeCV over threads (thesis figure 3.6)",
            f"Training time, relative to one thread where the scale is not 1. {grey}",
            panels_figure(threads_time_panels(table)),
        ),
        (
            "figure-3-8",
            "Speed-up and efficiency (thesis figure 3.8)",
            f"SU over one thread, and PE = SU / threads. {grey}",
            panels_figure(threads_speed_up_panels(table)),
        ),
        (
            "figure-3-9",
            "MOR over nodes (thesis figure 3.9)",
            f"Time relative to one node and one thread; a line per threads of a node. {grey}",
            panels_figure(nodes_panels(table, ("mor",), "3.9")),
        ),
        (
            "figure-3-10",
            "B-MOR over nodes (thesis figure 3.10)",
            f"Time relative to one node and one thread; a line per threads of a node. {grey}",
            panels_figure(nodes_panels(table, ("bmor", "bmor-shared"), "3.10")),
        ),
        (
            "figure-3-11",
            "Distributed speed-up (thesis figure 3.11)",
            "DSU over ridgecv on one node and one thread, the best for so many threads of all "
            f"nodes. {grey}",
            panels_figure(distributed_panels(table)),
        ),
    ]
    return [(name, title, caption, svg) for name, title, caption, svg in found if svg is not None]


def _threads(table: Iterable[Row]) -> list[Row]:
    return [row for row in table if row.strategy == "ridgecv" and row.nodes == 1 and row.su]


def _groups(table: Iterable[Row]) -> dict[Group, list[Row]]:
    """Return the rows of every problem, scale and precision with more than one thread."""
    found: dict[Group, list[Row]] = {}
    for row in table:
        found.setdefault((row.problem, row.scale, row.dtype), []).append(row)
    return {key: own for key, own in sorted(found.items()) if max(row.threads for row in own) > 1}


def _over_threads(table: Iterable[Row], problem: str) -> list[tuple[str, list[Row], bool]]:
    """Return every line's label, rows, and whether the thesis published it: in figure 3.6."""
    measured = [(label, own, False) for label, own in _by_label(table).items()]
    return [*measured, *((f"thesis, {blas}", own, True) for blas, own in _published(problem))]


def _by_label(table: Iterable[Row]) -> dict[str, list[Row]]:
    """Return the rows of every BLAS, one for each number of threads."""
    found: dict[str, dict[int, Row]] = {}
    for row in table:
        found.setdefault(row.environment, {}).setdefault(row.threads, row)
    return {label: list(own.values()) for label, own in sorted(found.items())}


def _split(table: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = {}
    for row in table:
        found.setdefault((row.strategy, row.environment), []).append(row)
    return dict(sorted(found.items()))


def _best(table: Iterable[Row]) -> list[LinePoint]:
    """Return the largest DSU for every number of threads of all nodes together."""
    best: dict[int, Row] = {}
    for row in table:
        cores = row.nodes * row.threads
        if cores not in best or (row.dsu or 0) > (best[cores].dsu or 0):
            best[cores] = row
    return [
        LinePoint(cores, row.dsu, *(row.dsu_ci95 or (None, None)))
        for cores, row in sorted(best.items())
        if row.dsu
    ]


def _over_nodes(title: str, own: list[Row], *, reference: bool) -> Panel:
    first = min(own, key=lambda row: (row.nodes * row.threads, row.nodes))
    lines = []
    for threads in sorted({row.threads for row in own}):
        points = {row.nodes: row.seconds / first.seconds for row in own if row.threads == threads}
        label = f"{threads} thread{'s' if threads > 1 else ''} a node"
        if reference:
            label = f"thesis: {label}"
        lines.append(
            PanelLine(label, tuple(LinePoint(n, y) for n, y in points.items()), reference=reference)
        )
    start = f"{first.nodes} × {first.threads}"
    return Panel(title, "nodes", f"time relative to {start}", tuple(lines))


def _by_subject(title: str, own: list[Row]) -> Panel:
    names = sorted({row.subject for row in own} | {f"sub-{n:02}" for n in range(1, 7)})
    lines = []
    for (strategy, environment), mine in _split(own).items():
        best = {
            name: max((row.dsu or 0 for row in mine if row.subject == name), default=0)
            for name in names
        }
        points = [LinePoint(names.index(name), dsu) for name, dsu in best.items() if dsu]
        lines.append(PanelLine(f"{strategy}, {environment}", tuple(points)))
    times = published_times()
    one = {t.subject: t.seconds for t in select(times, figure="3.11", nodes=1, threads=1)}
    points = [
        LinePoint(names.index(t.subject), one[t.subject] / t.seconds)
        for t in select(times, figure="3.10", strategy="bmor", nodes=8, threads=32)
    ]
    lines.append(PanelLine("thesis, bmor, 8 × 32, mkl", tuple(points), reference=True))
    return Panel(title, "subject", "distributed speed-up", tuple(lines), names=tuple(names))


def _published(problem: str) -> list[tuple[str, list[Row]]]:
    """Return the rows of figure 3.6 for every BLAS."""
    found: dict[str, list[Row]] = {}
    for row in published_rows():
        if row.suite == "figure 3.6" and row.problem == problem:
            found.setdefault(row.environment, []).append(row)
    return sorted(found.items())


def _figures(figure: str) -> tuple[str, ...]:
    return ("3.10", "3.11") if figure == "3.10" else (figure,)


def _family(strategy: str) -> str:
    return strategy.split(" ")[0]


def _title(problem: str, scale: str, dtype: str) -> str:
    precision = "" if dtype == "float64" else dtype
    return ", ".join(word for word in (problem, scale and f"scale {scale}", precision) if word)


def _time(row: Row) -> LinePoint:
    return LinePoint(row.threads, row.seconds, *(row.ci95 or (None, None)))


def _relative_to_one(row: Row) -> LinePoint:
    """Return the time relative to one thread: the inverse of SU, and of its interval."""
    assert row.su is not None
    low, high = row.su_ci95 or (None, None)
    return LinePoint(row.threads, 1 / row.su, high and 1 / high, low and 1 / low)


def _speed_up(row: Row, name: str) -> LinePoint:
    assert row.su is not None
    by = row.threads if name == "parallel efficiency" else 1
    low, high = row.su_ci95 or (None, None)
    return LinePoint(row.threads, row.su / by, low and low / by, high and high / by)
