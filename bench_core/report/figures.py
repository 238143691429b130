"""The figures of the page, as SVG: measured lines, and the published ones beside them.

seaborn and matplotlib are the ``report`` extra; they are imported when a figure is drawn.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from bench_core.report.rows import Row, environment_label
from bench_core.report.runs import EnvironmentRun
from bench_core.report.terminal import KERNELS
from bench_core.scaling.published_times import mean_seconds, published_times

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH = 10.0


def speed_up_figure(table: Iterable[Row]) -> str | None:
    """Return SU against threads per resolution, as figures 3.6 and 3.8 have it, and as published.

    None where nothing was measured with more than one thread.
    """
    found = [row for row in table if row.suite == "threads" and row.su is not None]
    if not any(row.threads > 1 for row in found):
        return None
    panels = sorted({(row.problem, row.size, row.scale) for row in found})
    figure, axes = _panels(len(panels))
    for axis, (problem, _, scale) in zip(axes, panels, strict=True):
        chosen = [row for row in found if (row.problem, row.scale) == (problem, scale)]
        for label in sorted({row.environment for row in chosen}):
            line = sorted(
                (row.threads, row.su or 0.0) for row in chosen if row.environment == label
            )
            axis.plot(*zip(*line, strict=True), marker="o", label=label)
        for blas in ("mkl", "openblas"):
            line = _published_speed_ups(problem, blas)
            if line:
                axis.plot(
                    *zip(*line, strict=True),
                    "--",
                    color="grey",
                    marker=_MARKERS[blas],
                    label=f"thesis, {blas} (scale 1)",
                )
        threads = [1, 2, 4, 8, 16, 32]
        axis.plot(threads, threads, ":", color="lightgrey", label="ideal")
        axis.set(
            title=f"{problem}, scale {scale}",
            xlabel="threads",
            ylabel="speed-up over one thread",
            xscale="log",
            yscale="log",
            xticks=threads,
            yticks=threads,
        )
        axis.set_xticklabels(map(str, threads))
        axis.set_yticklabels(map(str, threads))
        axis.minorticks_off()
    axes[0].legend(fontsize=8)
    return to_svg(figure)


def strategies_figure(table: Iterable[Row]) -> str | None:
    """Return the times of every strategy and configuration on whole-brain problems, as bars."""
    found = [row for row in table if row.suite in ("nodes_bmor", "nodes_mor")]
    if not found:
        return None
    panels = sorted({(row.problem, row.size, row.scale) for row in found})
    figure, axes = _panels(len(panels), height=0.9 + 0.22 * len(found) / len(panels))
    for axis, (problem, _, scale) in zip(axes, panels, strict=True):
        chosen = sorted(
            (row for row in found if (row.problem, row.scale) == (problem, scale)),
            key=lambda row: -row.seconds,
        )
        environments = sorted({row.environment for row in chosen})
        colours = dict(zip(environments, _palette(len(environments)), strict=True))
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
        axis.set(title=f"{problem}, scale {scale}", xlabel="seconds (×: DSU over ridgecv 1 × 1)")
        axis.margins(x=0.18)
        axis.grid(visible=False, axis="y")  # its lines would strike the ratios through
        handles = [patch(colour, label) for label, colour in colours.items()]
        axis.legend(handles=handles, fontsize=8, loc="upper right")
    return to_svg(figure)


def kernels_figure(runs: Iterable[EnvironmentRun]) -> str | None:
    """Return GFLOP/s of gemm, syrk, eigh and svd per BLAS, at the most threads and largest size."""
    import pandas as pd
    import seaborn as sns

    records = [
        {
            "BLAS": f"{environment_label(run)}",
            "precision": precision,
            "kernel": kernel,
            "threads": record.case.threads,
            "size": record.case.size,
            "GFLOP/s": rate.gflops,
        }
        for run in runs
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
    figure, axes = _panels(2)
    for axis, precision in zip(axes, ("float64", "float32"), strict=True):
        sns.barplot(
            frame[frame["precision"] == precision],
            x="kernel",
            y="GFLOP/s",
            hue="BLAS",
            order=KERNELS,
            hue_order=sorted(frame["BLAS"].unique()),
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
    panels = sorted({row.problem for row in found})
    figure, axes = _panels(len(panels))
    for axis, problem in zip(axes, panels, strict=True):
        chosen = sorted(
            (row for row in found if row.problem == problem),
            key=lambda row: (row.strategy, row.dtype, row.environment),
        )
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
    # Below the panels: points may lie anywhere in them.
    axes[0].legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3)
    return to_svg(figure)


_MARKERS = {"mkl": "^", "openblas": "v"}


def _published_speed_ups(resolution: str, blas: str) -> list[tuple[int, float]]:
    times = published_times()
    wanted = {"figure": "3.6", "blas": blas, "resolution": resolution}
    one = mean_seconds(times, threads=1, **wanted)
    line = []
    for threads in (1, 2, 4, 8, 16, 32):
        seconds = mean_seconds(times, threads=threads, **wanted)
        if one is not None and seconds is not None:
            line.append((threads, one / seconds))
    return line


def _errors(chosen: list[Row]) -> list[list[float]]:
    """Return the distances of the 95 % interval from each median, as matplotlib wants them."""
    low = [row.seconds - row.ci95[0] if row.ci95 else 0.0 for row in chosen]
    high = [row.ci95[1] - row.seconds if row.ci95 else 0.0 for row in chosen]
    return [low, high]


def _panels(count: int, height: float = 3.6) -> tuple[Figure, list[Axes]]:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(style="whitegrid", context="notebook", font_scale=0.8)
    figure, axes = plt.subplots(1, count, figsize=(_WIDTH, height), squeeze=False)
    return figure, list(axes[0])


def panel_rows(bars: list[int]) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels below each other, each high enough for so many bars."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import seaborn as sns

    sns.set_theme(style="whitegrid", context="notebook", font_scale=0.8)
    heights = [0.9 + 0.22 * count for count in bars]
    figure, axes = plt.subplots(
        len(bars),
        1,
        figsize=(_WIDTH, sum(heights) + 0.5),
        height_ratios=heights,
        squeeze=False,
    )
    return figure, list(axes[:, 0])


def _palette(count: int) -> list[Any]:
    import seaborn as sns

    return list(sns.color_palette(n_colors=count))


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
