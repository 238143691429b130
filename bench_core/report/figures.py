"""Bars and points of the pages, as SVG; figures of lines are those of `line_panels`.

seaborn and matplotlib are the ``report`` extra; they are imported when a figure is drawn.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from bench_core.report.rows import Row, environment_label
from bench_core.report.runs import EnvironmentRun
from bench_core.report.terminal import KERNELS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 10.0
MOST_BARS = 30
"""Bars of one panel: more are not readable, and the page's table has all."""

MOST_PANELS = 8


def strategies_figure(table: Iterable[Row]) -> str | None:
    """Return the fastest times of problems that several strategies fitted, as bars.

    A panel per problem, scale and precision, at most `MOST_PANELS` of them with `MOST_BARS` each.
    """
    groups: dict[tuple[str, Fraction, str, str], list[Row]] = {}
    for row in table:
        groups.setdefault((row.problem, row.size, row.scale, row.dtype), []).append(row)
    several = {
        key: sorted(own, key=lambda row: row.seconds)[:MOST_BARS][::-1]  # bars go up
        for key, own in sorted(groups.items())
        if len({row.strategy for row in own}) > 1
    }
    panels = dict(list(several.items())[:MOST_PANELS])
    if not panels:
        return None
    figure, axes = panel_rows([len(own) for own in panels.values()])
    labels = sorted({row.environment for own in panels.values() for row in own})
    colours = dict(zip(labels, _palette(len(labels)), strict=True))
    for axis, ((problem, _, scale, dtype), chosen) in zip(axes, panels.items(), strict=True):
        names = [f"{row.strategy}  {row.nodes} x {row.threads}" for row in chosen]
        places = range(len(chosen))
        axis.barh(
            places,
            [row.seconds for row in chosen],
            color=[colours[row.environment] for row in chosen],
            xerr=_errors(chosen),
            ecolor="grey",
        )
        axis.set_yticks(list(places), names, fontsize=8)
        for place, row in zip(places, chosen, strict=True):
            if row.dsu is not None:
                axis.annotate(
                    f" {row.dsu:.2f}×",
                    (row.ci95[1] if row.ci95 else row.seconds, place),  # past the interval's line
                    fontsize=8,
                    va="center",
                    xytext=(4, 0),
                    textcoords="offset points",
                )
        named = " ".join(word for word in (problem, scale, dtype) if word)
        more = len(groups[problem, Fraction(scale or 1), scale, dtype]) - len(chosen)
        title = f"{named} (the fastest {len(chosen)}; {more} more)" if more else named
        axis.set(title=title, xlabel="seconds (×: DSU over ridgecv 1 × 1)")
        axis.margins(x=0.18)
        axis.grid(visible=False, axis="y")  # its lines would strike the ratios through
    handles = [patch(colour, label) for label, colour in colours.items()]
    figure.legend(handles=handles, fontsize=8, loc="upper center", ncols=3)
    return to_svg(figure, above=0.15 + 0.2 * -(-len(labels) // 3))


def kernels_figure(runs: Iterable[EnvironmentRun]) -> str | None:
    """Return GFLOP/s of gemm, syrk, eigh and svd per BLAS, at the most threads and largest size.

    Of several machines each has its own bars.
    """
    import pandas as pd
    import seaborn as sns

    runs = list(runs)
    several = len({run.machine for run in runs}) > 1
    records = [
        {
            "BLAS": label,
            "precision": precision,
            "kernel": kernel,
            "threads": record.case.threads,
            "size": record.case.size,
            "GFLOP/s": rate.gflops,
        }
        for run in runs
        for label in [environment_label(run) + (f", {run.machine}" if several else "")]
        for record in run.kernels
        if record.status == "ok" and record.rates is not None
        for precision, rates in record.rates.items()
        if set(KERNELS) <= set(rates)  # a suite that wants a gemm rate times nothing else
        for kernel, rate in rates.items()
    ]
    if not records:
        return None
    frame = pd.DataFrame(records)
    for most in ("size", "threads"):
        frame = frame[frame[most] == frame[most].max()]
    threads = frame["threads"].iloc[0]
    figure, axes = themed_pyplot().subplots(1, 2, figsize=(_WIDTH, 3.6))
    for axis, precision in zip(axes, ("float64", "float32"), strict=True):
        sns.barplot(
            frame[frame["precision"] == precision],
            x="kernel",
            y="GFLOP/s",
            hue="BLAS",
            order=KERNELS,
            hue_order=sorted(frame["BLAS"].unique()),
            palette=_palette(frame["BLAS"].nunique()),
            ax=axis,
        )
        axis.set(title=f"{precision}, {threads} thread{'s' if threads > 1 else ''}", xlabel="")
        axis.legend(fontsize=8, title=None)
    return to_svg(figure)


def accuracy_figure(table: Iterable[Row]) -> str | None:
    """Return the largest and the mean held-out r beside the largest r of the shuffled null."""
    found = [row for row in table if row.suite == "accuracy" and row.r_max is not None]
    if not found:
        return None
    groups = {
        problem: sorted(
            (row for row in found if row.problem == problem),
            key=lambda row: (row.strategy, row.dtype, row.environment),
        )[:MOST_BARS]
        for problem in sorted({row.problem for row in found})[:MOST_PANELS]
    }
    figure, axes = panel_rows([len(own) for own in groups.values()])
    for axis, (problem, chosen) in zip(axes, groups.items(), strict=True):
        places = list(range(len(chosen)))
        kinds: list[tuple[str, str, Callable[[Row], float | None]]] = [
            ("largest r", "o", lambda row: row.r_max),
            ("mean r", "s", lambda row: row.r_mean),
            ("largest r, shuffled", "x", lambda row: row.null_max),
        ]
        for label, marker, value in kinds:
            axis.plot(np.array([value(row) for row in chosen], float), places, marker, label=label)
        names = [f"{row.strategy} {row.dtype}, {row.environment}" for row in chosen]
        axis.set_yticks(places, names, fontsize=7)
        axis.set(title=problem, xlabel="Pearson r on held-out samples", xlim=(-0.1, 1))
        axis.margins(y=0.1)
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, loc="upper center", ncols=3)
    return to_svg(figure, above=0.35)


def _errors(chosen: list[Row]) -> list[list[float]]:
    """Return the distances of the 95 % interval from each median, as matplotlib wants them."""
    low = [row.seconds - row.ci95[0] if row.ci95 else 0.0 for row in chosen]
    high = [row.ci95[1] - row.seconds if row.ci95 else 0.0 for row in chosen]
    return [low, high]


def themed_pyplot(font_scale: float = 0.8) -> Any:
    """Return ``matplotlib.pyplot``, which opens no window, with the look of all figures."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(style="whitegrid", context="notebook", font_scale=font_scale)
    return plt


def panel_rows(bars: list[int]) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels below each other, each high enough for so many bars."""
    heights = [0.9 + 0.22 * count for count in bars]
    figure, axes = themed_pyplot().subplots(
        len(bars),
        1,
        figsize=(_WIDTH, sum(heights) + 0.5),
        height_ratios=heights,
        squeeze=False,
    )
    return figure, list(axes[:, 0])


def _palette(count: int) -> list[Any]:
    import seaborn as sns

    return list(sns.color_palette("colorblind", n_colors=count))


def patch(colour: Any, label: str, hatch: str | None = None) -> Any:
    """Return the sample of a colour, hatched or not, for a legend."""
    from matplotlib.patches import Patch

    return Patch(facecolor=colour, edgecolor="white", linewidth=0, hatch=hatch, label=label)


def to_svg(figure: Figure, *, above: float = 0.0) -> str:
    """Return the figure as an ``<svg>`` element with text as text, and close it.

    above : inches to keep free above the panels.
    """
    import matplotlib.pyplot as plt

    figure.tight_layout(rect=(0, 0, 1, 1 - above / figure.get_figheight()))
    out = io.StringIO()
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ridgebench"}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    plt.close(figure)
    text = out.getvalue()
    return text[text.index("<svg") :]
