"""Figures of the cost model: predictions beside measurements, and curves over nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench_core.records.model import WITHIN, ModelRecord
from bench_core.report.figures import panel_rows, to_svg

AIMS = "aims: median 15 %, 95th percentile 40 %, choices in 90 % of problems"

_COLOURS = {
    "ridgecv": "#1b6ca8",
    "mor": "#7a5195",
    "bmor": "#d1495b",
    "bmor-shared": "#edae49",
    "multitarget": "#2e8b57",
    "himalaya": "#5f5f5f",
}
_OTHER = "#a8a8a8"

_HEIGHT = 15
"""Height of a panel, in bars."""


def predictions_figure(models: Sequence[ModelRecord]) -> str | None:
    """Return predicted against measured times, a panel for each machine and BLAS.

    The band is within 40 % of the measured time. None without a fit.
    """
    drawn = [one for one in models if one.fits]
    if not drawn:
        return None
    figure, axes = panel_rows([_HEIGHT] * len(drawn))
    for axis, model in zip(axes, drawn, strict=True):
        times = [value for fit in model.fits for value in (fit.measured_s, fit.predicted_s)]
        ends = [min(times) / 1.5, max(times) * 1.5]
        axis.fill_between(ends, [0.6 * x for x in ends], [1.4 * x for x in ends], color="#eef2f5")
        axis.plot(ends, ends, color="grey", linewidth=0.8)
        for strategy in sorted({fit.strategy for fit in model.fits}):
            own = [fit for fit in model.fits if fit.strategy == strategy]
            axis.errorbar(
                [fit.measured_s for fit in own],
                [fit.predicted_s for fit in own],
                yerr=[
                    [fit.predicted_s - fit.low_s for fit in own],
                    [fit.high_s - fit.predicted_s for fit in own],
                ],
                fmt="o",
                markersize=4,
                elinewidth=0.5,
                color=_COLOURS.get(strategy, _OTHER),
                label=strategy,
            )
        axis.set(
            title=_name(model),
            xlabel="measured (s)",
            ylabel="predicted (s), 95 % interval",
            xscale="log",
            yscale="log",
            xlim=ends,
            ylim=ends,
        )
        axis.legend(fontsize=7)
    return to_svg(figure)


def curves_figure(models: Sequence[ModelRecord]) -> str | None:
    """Return predicted times over nodes; rings mark where a strategy stops. None without curves."""
    drawn = [one for one in models if one.curves]
    if not drawn:
        return None
    figure, axes = panel_rows([_HEIGHT] * len(drawn))
    for axis, model in zip(axes, drawn, strict=True):
        for curve in model.curves:
            colour = _COLOURS.get(curve.strategy, _OTHER)
            nodes = [point.nodes for point in curve.points]
            seconds = [point.seconds for point in curve.points]
            axis.plot(nodes, seconds, marker="o", markersize=3, color=colour, label=curve.strategy)
            stop = [point for point in curve.points if point.nodes == curve.stops_at]
            axis.plot(
                [point.nodes for point in stop],
                [point.seconds for point in stop],
                "o",
                markersize=10,
                fillstyle="none",
                color=colour,
            )
        first = model.curves[0]
        axis.set(
            title=f"{_name(model)}: {first.t:,} × {first.p:,} × {first.s:,}",
            xlabel=f"nodes of {first.threads} threads",
            ylabel="predicted (s)",
            yscale="log",
        )
        axis.set_xscale("log", base=2)
        axis.legend(fontsize=7)
    return to_svg(figure)


def summary_text(models: Iterable[ModelRecord]) -> str:
    """Return the errors in words."""
    sentences = []
    for one in models:
        within, choices = one.within
        sentences.append(
            f"{_name(one)}: median error {one.all_fits.median:.1%} and 95th percentile "
            f"{one.all_fits.p95:.1%} of {one.all_fits.fits} fits, the choice within {WITHIN:.0%} "
            f"of the best for {within} of {choices} problems"
        )
    return f"{'; '.join(sentences)}; {AIMS}."


def _name(model: ModelRecord) -> str:
    return f"{model.machine}, {model.blas}"
