"""Figures of a study: r against a factor's levels, one line per subject, and what they cost.

Three panels of r, because the thesis names no statistic: mean, 95th percentile and maximum over
targets. Its values of figures 4.2–4.7 are grey lines in the panel of the maximum, which they behave
like. Factors whose levels are to be cheaper have panels of seconds and bytes beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench_core.files import replace_file
from bench_core.study.cells import at_baseline
from bench_core.study.factors import FACTORS, Factor, named
from bench_core.study.published_r import LABEL, PublishedR, published_r
from bench_core.study.settings import StudySettings
from bench_core.study.table import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STATISTICS = {"r_mean": "mean r", "r_p95": "95th percentile of r", "r_max": "largest r"}
COSTS = {
    "seconds_gpt": ("training of the GPT", "s", 1.0),
    "seconds_encode": ("features of all stimuli", "s", 1.0),
    "peak_memory_bytes": ("peak memory", "MiB", 2.0**20),
    "weight_bytes": ("weights of the GPT", "KiB", 2.0**10),
}
"""Title, unit and its size, of every column that may stand beside r."""

_MARKERS = "osD^vP*X"
_GAP = 1.0  # pixels between the labels of ticks
_SMALL = 7


def draw_figures(settings: StudySettings, rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write ``figure-4.2-training_frames.svg`` and so on, for factors with figures to show.

    Those of factors that the thesis does not vary have no number: ``figure-attention.svg``.
    """
    written = []
    for factor in FACTORS.values():
        chosen = rows_of_factor(settings, rows, factor.name)
        if not any(row["status"] == "ok" for row in chosen):
            continue
        words = ["figure", *([factor.figure] if factor.figure else []), factor.name]
        figure = _figure(settings.name, factor, chosen)
        written.append(replace_file(folder / f"{'-'.join(words)}.svg", partial(_save, figure)))
    return written


def rows_of_factor(settings: StudySettings, rows: Iterable[Row], factor: str) -> list[Row]:
    """Return the rows in which ``factor`` is varied and the others are as in the baseline."""
    if settings.design == "one-factor":
        return [row for row in rows if row["factor"] == factor]
    if factor not in settings.factors.levels:
        return []
    return [row for row in rows if at_baseline(settings, row, factor)]


def _figure(study: str, factor: Factor, rows: Sequence[Row]) -> Any:
    from matplotlib.figure import Figure

    count = len(STATISTICS) + len(factor.costs)
    figure = Figure(figsize=(4 * count, 4), layout="constrained")
    panels = figure.subplots(1, count)
    published = [each for each in published_r() if each.factor == factor.name]
    order = _order(factor, rows, [each.level for each in published])
    for axis, column in zip(panels[: len(STATISTICS)], STATISTICS, strict=True):
        drawn = published if column == "r_max" else []
        ends = _draw_published(axis, order, drawn)
        _draw_r(axis, factor, order, rows, column)
        _name_ends(axis, ends)
    for axis, column in zip(panels[len(STATISTICS) :], factor.costs, strict=True):
        _draw_cost(axis, factor, order, rows, column)
    # Beside the panels: within them it would lie on points.
    handles, labels = panels[len(STATISTICS) - 1].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, loc="outside lower center", ncols=7)
    title = f"{study}: r on held-out runs against {factor.label}"
    if factor.figure is not None:
        title += f" (as figure {factor.figure})"
    lost = {f"{row['level']} ({row['status']})" for row in rows if row["status"] != "ok"}
    if lost:
        title += f"\nwithout {', '.join(sorted(lost))}"
    figure.suptitle(title, fontsize=10)
    _part_labels(figure)
    return figure


def _draw_published(
    axis: Axes, order: list[str] | None, published: Sequence[PublishedR]
) -> dict[str, tuple[float, float]]:
    """Draw a grey line for every published subject, and return where they end."""
    ends = {}
    for i, subject in enumerate(sorted({each.subject for each in published})):
        line = [(each.level, each.r) for each in published if each.subject == subject]
        places = [_place(level, order) for level, _ in line]
        label = LABEL if i == 0 else None
        axis.plot(places, [r for _, r in line], "--", color="0.7", lw=1, label=label)
        ends[subject] = (places[-1], line[-1][1])
    return ends


def _draw_r(
    axis: Axes, factor: Factor, order: list[str] | None, rows: Sequence[Row], column: str
) -> None:
    """Draw a line for every subject."""
    for i, subject in enumerate(dict.fromkeys(row["subject"] for row in rows)):
        own = [row for row in rows if row["subject"] == subject]
        found = _points(factor, order, own, column)
        marker = _MARKERS[i % len(_MARKERS)]
        axis.plot(*zip(*found, strict=True) if found else ([], []), marker=marker, label=subject)
    _dress(axis, factor, order, STATISTICS[column], "Pearson r")
    axis.axhline(0, color="0.85", lw=0.8, zorder=0)


def _points(
    factor: Factor, order: list[str] | None, rows: Iterable[Row], column: str
) -> list[tuple[float, float]]:
    """Return place and value of the rows that have one, by place."""
    return sorted(
        (_place(_level(row, factor), order), row[column]) for row in rows if row[column] is not None
    )


def _draw_cost(
    axis: Axes, factor: Factor, order: list[str] | None, rows: Sequence[Row], column: str
) -> None:
    """Draw what a cell cost, whose rows of several subjects have one value."""
    title, unit, size = COSTS[column]
    # On a GPU the tensors there are what is scarce.
    on_gpu = column == "peak_memory_bytes" and any(row.get("peak_gpu_bytes") for row in rows)
    read = "peak_gpu_bytes" if on_gpu else column
    found = {
        _place(_level(row, factor), order): row[read] / size
        for row in rows
        if row.get(read) is not None
    }
    line = sorted(found.items())
    axis.plot(*zip(*line, strict=True) if line else ([], []), marker="o", color="0.3")
    _dress(axis, factor, order, f"{title} (GPU)" if on_gpu else title, unit)
    axis.set_ylim(bottom=0)


def _level(row: Row, factor: Factor) -> Any:
    """Return the row's level; of all frames their number."""
    return row["frames"] if row[factor.name] is None else row[factor.name]


def _name_ends(axis: Axes, ends: dict[str, tuple[float, float]]) -> None:
    """Write names right of the lines' ends, with room between them."""
    if ends:
        axis.margins(x=0.18)
    low, high = axis.get_ylim()
    room, last = (high - low) * 0.045, -np.inf
    for name, (x, y) in sorted(ends.items(), key=lambda each: each[1][1]):
        last = max(y, last + room)
        axis.annotate(
            name,
            (x, last),
            xytext=(4, 0),
            textcoords="offset points",
            color="0.5",
            fontsize=7,
            va="center",
        )


def _part_labels(figure: Any) -> None:
    """Turn labels of ticks that run into each other, and leave out those that still do."""
    figure.draw_without_rendering()
    crowded = [axis for axis in figure.axes if not all(_apart(axis))]
    if not crowded:
        return
    for axis in crowded:
        axis.tick_params(axis="x", labelrotation=90)
        words = [label.get_text() for label in axis.get_xticklabels()]
        axis.set_xticks(axis.get_xticks(), words, fontsize=_SMALL)
    figure.draw_without_rendering()
    for axis in crowded:
        words = [label.get_text() for label in axis.get_xticklabels()]
        kept = [word if keep else "" for word, keep in zip(words, _apart(axis), strict=True)]
        axis.set_xticks(axis.get_xticks(), kept, fontsize=_SMALL)


def _apart(axis: Axes) -> list[bool]:
    """Return for each label, as it was drawn, whether it keeps apart from the last that does."""
    last, apart = -np.inf, []
    for label in axis.get_xticklabels():
        box = label.get_window_extent()
        apart.append(bool(box.x0 >= last + _GAP))
        last = box.x1 if apart[-1] else last
    return apart


def _order(factor: Factor, rows: Iterable[Row], published: Iterable[Any]) -> list[str] | None:
    """Return the places of levels that are no numbers, None for numbers."""
    if factor.kind is int:
        return None
    levels = [*published, *(row[factor.name] for row in rows)]
    return list(dict.fromkeys(named(level) for level in levels))


def _place(level: Any, order: list[str] | None) -> float:
    return float(level) if order is None else float(order.index(named(level)))


def _dress(axis: Axes, factor: Factor, order: list[str] | None, title: str, unit: str) -> None:
    axis.set(title=title, xlabel=factor.label, ylabel=unit)
    if order is not None:
        axis.set_xticks(range(len(order)), order)
        axis.margins(x=0.15)
        return
    axis.set_xscale("log")
    drawn = [np.asarray(line.get_xdata(), dtype=float) for line in axis.get_lines()]
    levels = sorted({float(x) for xs in drawn for x in xs})
    axis.set_xticks(levels, [_words(level) for level in levels], fontsize=8)
    axis.minorticks_off()
    axis.margins(x=0.1)


def _words(level: float) -> str:
    """Return "10K" for 10,000, as the thesis writes it."""
    for unit, size in (("M", 1e6), ("K", 1e3)):
        if level >= size:
            return f"{level / size:.3g}{unit}"
    return f"{level:.4g}"


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path)
