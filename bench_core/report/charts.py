"""Charts that readers zoom and filter, drawn by Bokeh in the browser.

A chart is columns of values and what may be chosen: axes, filters. ``static/chart.js`` fills
Bokeh's sources from the columns. Bokeh's script is that of the installed package; without the
package the site has its figures and tables alone, and says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

SCRIPT = "bokeh.min.js"

_TICKS = [2**n for n in range(13)]
_MOST_TICKS = 16


@dataclass(frozen=True)
class Axis:
    """One thing that an axis may show.

    Parameters
    ----------
    label : in words, with the unit.
    column : of values. ``low``, ``high`` : columns of the interval's ends; empty for none.
    ideal : line of what is best possible: "x" (as much as on the other axis), "1", or none.
    over : column that all values are divided by; empty for none.
    inverse : shows one over every value; the ends of intervals change sides.
    relative : shows every value over that of the first point of its line, where both are positive.

    Examples
    --------
    >>> Axis("speed-up", "su", "su_low", "su_high", "x").ideal
    'x'
    """

    label: str
    column: str
    low: str = ""
    high: str = ""
    ideal: str = ""
    over: str = ""
    inverse: bool = False
    relative: bool = False


@dataclass(frozen=True)
class Chart:
    """Points with intervals, joined to lines, over chosen axes.

    Parameters
    ----------
    columns : name → values, a text, a number or None each, all of one length.
    x, y : axes to choose from, the first one chosen.
    filters : columns to choose a value of, with their words. Rows with None there always stay.
    chosen : values that are chosen at first; without one all rows are shown.
    series : columns whose values tell lines apart.
    hover : columns that are shown of a point, with their words.
    reference : column that is "yes" for points to compare with, drawn dashed; empty for none.
    link : column of the addresses of records.
    named : column whose value, if all shown points share it, names the first y axis by ``names``.
    y_choice : what the choice of a y axis is called.
    joined : whether lines join the points of a series.
    log_x, log_y : whether axes are logarithmic. ``ticks`` : x values with a text each.

    Examples
    --------
    >>> axis = Axis("threads", "threads")
    >>> Chart("c", "C", "", {"threads": [1, 2]}, (axis,), (axis,)).length
    2
    """

    kind: ClassVar[str] = "chart"
    name: str
    title: str
    caption: str
    columns: Mapping[str, Sequence[str | float | None]]
    x: tuple[Axis, ...]
    y: tuple[Axis, ...]
    filters: Mapping[str, str] = field(default_factory=dict)
    chosen: Mapping[str, str] = field(default_factory=dict)
    series: tuple[str, ...] = ()
    hover: Mapping[str, str] = field(default_factory=dict)
    reference: str = ""
    link: str = "record"
    named: str = ""
    names: Mapping[str, str] = field(default_factory=dict)
    y_choice: str = "Figure"
    joined: bool = True
    log_x: bool = True
    log_y: bool = True
    ticks: tuple[str, ...] = ()

    @property
    def length(self) -> int:
        """Number of points."""
        return len(next(iter(self.columns.values()), ()))

    @property
    def data(self) -> dict[str, Any]:
        """What the script in the page reads, as JSON's own types."""
        return {
            "name": self.name,
            "title": self.title,
            "columns": {name: pack(values) for name, values in self.columns.items()},
            "length": self.length,
            "x": [vars(one) for one in self.x],
            "y": [vars(one) for one in self.y],
            "filters": list(self.filters.items()),
            "chosen": dict(self.chosen),
            "series": list(self.series),
            "hover": list(self.hover.items()),
            "reference": self.reference,
            "link": self.link if self.link in self.columns else "",
            "named": self.named,
            "names": dict(self.names),
            "yChoice": self.y_choice,
            "joined": self.joined,
            "logX": self.log_x,
            "logY": self.log_y,
            "ticks": bool(self.ticks),
            "bokeh": _bokeh_item(self),
        }


def bokeh_script() -> Path | None:
    """Return the script in the installed package of Bokeh, None without the package."""
    try:
        import bokeh
    except ImportError:
        return None
    path = Path(bokeh.__file__).parent / "server" / "static" / "js" / SCRIPT
    return path if path.is_file() else None


def bokeh_version() -> str:
    """Return the version of the installed Bokeh."""
    import bokeh

    return str(bokeh.__version__)


def pack(values: Sequence[str | float | None]) -> dict[str, Any]:
    """Return texts as numbers of a list of different ones, and numbers as they are.

    A column without a value is empty.
    """
    if all(one is None for one in values):
        return {"values": []}
    if not any(isinstance(one, str) for one in values):
        return {"values": [_finite(one) for one in values]}
    levels = list(dict.fromkeys(one for one in values if one is not None))
    places = {one: n for n, one in enumerate(levels)}
    return {
        "levels": levels,
        "codes": [-1 if one is None else places[one] for one in values],
    }


def _finite(value: Any) -> float | None:
    """Return a number with nine significant digits, which halves a page; CSV files have all."""
    if value is None or not math.isfinite(value):
        return None
    return value if isinstance(value, int) else float(f"{value:.9g}")


def _bokeh_item(chart: Chart) -> dict[str, Any] | None:
    """Return an empty plot as Bokeh's JSON: sources by name, which the page's script fills."""
    if bokeh_script() is None:
        return None
    from bokeh import models
    from bokeh.embed import json_item
    from bokeh.plotting import figure

    hover = [(words, f"@h{n}") for n, words in enumerate(chart.hover.values())]
    plot = figure(
        name=f"{chart.name}-plot",
        height=430,
        sizing_mode="stretch_width",
        x_axis_type="log" if chart.log_x else "linear",
        y_axis_type="log" if chart.log_y else "linear",
        x_range=models.Range1d(0.5, 2.0),
        y_range=models.Range1d(0.5, 2.0),
        tools=[models.BoxZoomTool(), models.TapTool()],
        toolbar_location=None,
        background_fill_color="#ffffff",
        border_fill_color="#ffffff",
    )
    names = ("x", "y", "low", "high", "colour", "marker", "alpha")
    empty: dict[str, list[Any]] = {name: [] for name in (*names, "row")}
    empty |= {f"h{n}": [] for n in range(len(hover))}
    points = models.ColumnDataSource(empty, name=f"{chart.name}-points")
    for kind, dash in (("lines", "solid"), ("references", "dashed"), ("ideal", "dotted")):
        source = models.ColumnDataSource(
            {"xs": [], "ys": [], "colour": []}, name=f"{chart.name}-{kind}"
        )
        plot.multi_line("xs", "ys", source=source, line_color="colour", line_dash=dash)
    plot.segment("x", "low", "x", "high", source=points, line_color="colour", line_alpha=0.6)
    dots = plot.scatter(
        "x",
        "y",
        source=points,
        marker="marker",
        size=8,
        fill_color="colour",
        line_color="colour",
        fill_alpha="alpha",
        nonselection_fill_alpha=0.35,
        nonselection_line_alpha=0.35,
    )
    plot.add_tools(models.HoverTool(tooltips=hover, renderers=[dots]))
    if chart.ticks:
        every = -(-len(chart.ticks) // _MOST_TICKS)
        plot.xaxis.ticker = models.FixedTicker(ticks=list(range(0, len(chart.ticks), every)))
        plot.xaxis.major_label_overrides = dict(enumerate(chart.ticks))
        plot.xaxis.major_label_orientation = 0.6
    elif chart.log_x:
        plot.xaxis.ticker = models.FixedTicker(ticks=_TICKS, minor_ticks=[])
        plot.xaxis.formatter = models.BasicTickFormatter(use_scientific=False)
    if chart.log_y:
        plot.yaxis.formatter = models.PrintfTickFormatter(format="%.3g")
    plot.xaxis.axis_label, plot.yaxis.axis_label = chart.x[0].label, chart.y[0].label
    item: dict[str, Any] = json_item(plot, f"{chart.name}-canvas")
    return item
