"""Figures 4.2–4.7 in the thesis's form: r against a factor's levels, one line per subject.

Three panels, because the thesis names no statistic: mean, 95th percentile and maximum over targets.
The published values are grey lines in the panel of the maximum, which they behave like.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench_core.files import replace_file
from bench_core.study.cells import at_baseline
from bench_core.study.published_r import FIGURES, LABEL, published_r
from bench_core.study.settings import StudySettings
from bench_core.study.table import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STATISTICS = {"r_mean": "mean r", "r_p95": "95th percentile of r", "r_max": "largest r"}
LABELS = {
    "training_frames": "frames to train on",
    "hidden_dim": "hidden dimension",
    "layers": "layers",
    "heads": "attention heads",
    "precision": "precision of training",
    "layer": "layer that is read",
}
_MARKERS = "osD^vP*X"
_GAP = 1.0  # pixels between the labels of ticks
_SMALL = 7


def draw_figures(settings: StudySettings, rows: Sequence[Row], folder: Path) -> list[Path]:
    """Write ``figure-4.2-training_frames.svg`` and so on, for factors with figures to show."""
    written = []
    for factor, number in FIGURES.items():
        chosen = rows_of_factor(settings, rows, factor)
        if not any(row["status"] == "ok" for row in chosen):
            continue
        path = folder / f"figure-{number}-{factor}.svg"
        figure = _figure(settings.name, factor, number, chosen)
        written.append(replace_file(path, partial(_save, figure)))
    return written


def rows_of_factor(settings: StudySettings, rows: Iterable[Row], factor: str) -> list[Row]:
    """Return the rows in which ``factor`` is varied and the others are as in the baseline."""
    if settings.design == "one-factor":
        return [row for row in rows if row["factor"] == factor]
    if not getattr(settings.factors, factor):
        return []
    return [row for row in rows if at_baseline(settings, row, factor)]


def _figure(study: str, factor: str, number: str, rows: Sequence[Row]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    panels = figure.subplots(1, len(STATISTICS))
    published = [each for each in published_r() if each.factor == factor]
    order = _order(factor, rows, [each.level for each in published])
    subjects = list(dict.fromkeys(row["subject"] for row in rows))
    ends: dict[str, tuple[float, float]] = {}
    for axis, (column, words) in zip(panels, STATISTICS.items(), strict=True):
        if column == "r_max":
            for i, subject in enumerate(sorted({each.subject for each in published})):
                line = [(each.level, each.r) for each in published if each.subject == subject]
                places = [_place(level, order) for level, _ in line]
                label = LABEL if i == 0 else None
                axis.plot(places, [r for _, r in line], "--", color="0.7", lw=1, label=label)
                ends[subject] = (places[-1], line[-1][1])
        for i, subject in enumerate(subjects):
            found = [
                (_place(row[factor] or row["frames"], order), row[column])
                for row in rows
                if row["subject"] == subject and row[column] is not None
            ]
            found.sort()
            marker = _MARKERS[i % len(_MARKERS)]
            axis.plot(
                *zip(*found, strict=True) if found else ([], []), marker=marker, label=subject
            )
        _dress(axis, factor, order, words)
        axis.axhline(0, color="0.85", lw=0.8, zorder=0)
    _name_ends(panels[-1], ends)
    # Beside the panels: within them it would lie on points.
    handles, labels = panels[-1].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, loc="outside lower center", ncols=7)
    title = f"{study}: r on held-out runs against {LABELS[factor]} (as figure {number})"
    lost = {f"{row['level']} ({row['status']})" for row in rows if row["status"] != "ok"}
    if lost:
        title += f"\nwithout {', '.join(sorted(lost))}"
    figure.suptitle(title, fontsize=10)
    _part_labels(figure)
    return figure


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
    for axis in figure.axes:
        if all(_apart(figure, axis)):
            continue
        axis.tick_params(axis="x", labelrotation=90)
        words = [label.get_text() for label in axis.get_xticklabels()]
        axis.set_xticks(axis.get_xticks(), words, fontsize=_SMALL)
        kept = _apart(figure, axis)
        axis.set_xticks(
            axis.get_xticks(),
            [word if keep else "" for word, keep in zip(words, kept, strict=True)],
            fontsize=_SMALL,
        )


def _apart(figure: Any, axis: Axes) -> list[bool]:
    """Return for each label whether it keeps apart from the last one before it that does."""
    figure.draw_without_rendering()
    last, apart = -np.inf, []
    for label in axis.get_xticklabels():
        box = label.get_window_extent()
        apart.append(bool(box.x0 >= last + _GAP))
        last = box.x1 if apart[-1] else last
    return apart


def _order(factor: str, rows: Iterable[Row], published: Iterable[Any]) -> list[str] | None:
    """Return the places of text levels, None for numbers."""
    if factor not in ("precision", "layer"):
        return None
    return list(dict.fromkeys([*published, *(row[factor] for row in rows)]))


def _place(level: Any, order: list[str] | None) -> float:
    return float(level) if order is None else float(order.index(level))


def _dress(axis: Axes, factor: str, order: list[str] | None, words: str) -> None:
    axis.set(title=words, xlabel=LABELS[factor], ylabel="Pearson r")
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
