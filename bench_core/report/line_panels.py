"""Static figures of panels with lines, as SVG: as many rows of panels as there are, one legend.

seaborn and matplotlib are the ``report`` extra; they are imported when a figure is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench_core.report.figures import themed_pyplot, to_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3
PANEL = (3.4, 2.9)
"""Width and height of a panel in inches: its numbers stay readable, however many there are."""

MOST_PANELS = 12
_MOST_TICKS = 6
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f")
"""Okabe and Ito's colours, which the colour-blind tell apart; yellow, too faint here, is grey."""

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


@dataclass(frozen=True)
class LinePoint:
    """One point; ``low`` and ``high`` are the ends of its interval.

    Examples
    --------
    >>> LinePoint(2, 1.9).low is None
    True
    """

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class PanelLine:
    """A line of points under one name; a reference is drawn dashed.

    Examples
    --------
    >>> PanelLine("openblas", (LinePoint(1, 1.0),)).reference
    False
    """

    label: str
    points: tuple[LinePoint, ...]
    reference: bool = False


@dataclass(frozen=True)
class Panel:
    """Lines over one pair of logarithmic axes.

    Parameters
    ----------
    ideal : "x" (y is x), "1/x", "1", or none. ``names`` : texts of x from 0 on; then x is linear.

    Examples
    --------
    >>> Panel("parcels", "threads", "speed-up", (), "x").ideal
    'x'
    """

    title: str
    x: str
    y: str
    lines: tuple[PanelLine, ...]
    ideal: str = ""
    names: tuple[str, ...] = ()


def panels_figure(panels: Sequence[Panel]) -> str | None:
    """Return the figure of at most `MOST_PANELS` panels; None without any point."""
    panels = [one for one in panels if any(line.points for line in one.lines)][:MOST_PANELS]
    if not panels:
        return None
    columns = min(COLUMNS, len(panels))
    height = math.ceil(len(panels) / columns)
    labels = list(dict.fromkeys(line.label for one in panels for line in one.lines))
    legend = 0.18 * math.ceil((len(labels) + 1) / 2) + 0.2
    figure, axes = themed_pyplot(0.75).subplots(
        height,
        columns,
        figsize=(PANEL[0] * max(columns, 2), PANEL[1] * height + legend),
        squeeze=False,
        layout="none",
    )
    for place, axis in enumerate(axes.flat):
        if place < len(panels):
            _draw(axis, panels[place], labels)
        else:
            axis.set_visible(False)
    handles: dict[str, Any] = {}
    for axis in axes.flat:
        handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    figure.legend(
        handles.values(), handles.keys(), fontsize=8, loc="upper left", ncols=2, frameon=False
    )
    return to_svg(figure, above=legend)


def _draw(axis: Axes, panel: Panel, labels: list[str]) -> None:
    values: list[float] = []
    for line in panel.lines:
        points = sorted(line.points, key=lambda one: one.x)
        x, y = [one.x for one in points], [one.y for one in points]
        place = labels.index(line.label)
        colour = _COLOURS[place % len(_COLOURS)]
        axis.plot(
            x,
            y,
            linestyle="--" if line.reference else "-",
            marker=_MARKERS[(place // len(_COLOURS) + place) % len(_MARKERS)],
            markersize=4,
            markerfacecolor="white" if line.reference else colour,
            color=colour,
            linewidth=1.2,
            label=line.label,
        )
        for one in points:
            if one.low is not None and one.high is not None:
                axis.plot([one.x, one.x], [one.low, one.high], color=colour, alpha=0.5)
        values += x
    _axes(axis, panel, sorted(set(values)))


def _axes(axis: Axes, panel: Panel, x: list[float]) -> None:
    axis.set(title=panel.title, xlabel=panel.x, ylabel=panel.y, yscale="log")
    if panel.names:
        axis.set_xticks(range(len(panel.names)), panel.names, rotation=30, ha="right")
    else:
        axis.set_xscale("log")
        if len(x) > _MOST_TICKS:
            x = [2**n for n in range(13) if x[0] <= 2**n <= x[-1]] or x
        axis.set_xticks(x, [f"{one:g}" for one in x])
        axis.minorticks_off()
    ideals: dict[str, Any] = {"x": x, "1/x": [1 / one for one in x], "1": [1.0] * len(x)}
    if panel.ideal in ideals:
        axis.plot(x, ideals[panel.ideal], ":", color="#7f7f7f", label="ideal")
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.yaxis.set_minor_formatter(lambda value, _: "")
