"""The cost model on the pages: predictions beside measurements, errors, and curves over nodes.

Figures as SVG, tables as headings and rows; all from `bench_core.records.model`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench_core.records.model import (
    LONG_S,
    WITHIN,
    ModelRecord,
    PredictedCurve,
    PredictedFit,
    PredictionErrors,
)
from bench_core.report.figures import panel_rows, to_svg
from bench_core.report.units import seconds_text

Table = tuple[list[str], list[list[str]]]

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


def validation_table(models: Iterable[ModelRecord]) -> Table:
    """Return the errors of every machine and BLAS, and the conditions under which they hold."""
    headings = [
        "machine",
        "calibration",
        "fits",
        "median error",
        "95th percentile",
        "largest",
        f"choices within {WITHIN:.0%} of the best",
        "left out",
    ]
    rows = []
    for one in models:
        within, choices = one.within
        parts = ((one.all_fits, "all"), (one.long_fits, f"from {LONG_S:g} s"))
        for number, (errors, which) in enumerate(parts):
            first = number == 0
            rows.append(
                [
                    one.machine,
                    f"{one.calibration.blas}, {one.calibration.started or one.calibration.source}",
                    f"{errors.fits} ({which})",
                    *_errors(errors),
                    f"{within} of {choices}" if first else "",
                    "; ".join(one.left_out) if first else "",
                ]
            )
    return headings, rows


def predictions_table(models: Iterable[ModelRecord]) -> Table:
    """Return every fit with its measured and its predicted time, the largest errors first."""
    headings = [
        "machine",
        "problem",
        "strategy",
        "form",
        "precision",
        "BLAS",
        "nodes × threads",
        "measured",
        "predicted",
        "95 % interval",
        "error",
        "from",
    ]
    rows = [
        [
            model.machine,
            fit.problem,
            _strategy(fit),
            fit.form,
            fit.dtype,
            model.blas,
            f"{fit.nodes} × {fit.threads}",
            seconds_text(fit.measured_s),
            seconds_text(fit.predicted_s),
            f"{seconds_text(fit.low_s)} – {seconds_text(fit.high_s)}",
            f"{fit.error:+.0%}",
            fit.source,
        ]
        for model in models
        for fit in sorted(model.fits, key=lambda one: -abs(one.error))
    ]
    return headings, rows


def choices_table(models: Iterable[ModelRecord]) -> Table:
    """Return what the model would have chosen of the measured ways of every problem."""
    headings = ["machine", "problem", "BLAS", "ways measured", "chosen", "fastest", "slower by"]
    rows = [
        [
            model.machine,
            one.problem,
            model.blas,
            str(one.ways),
            one.chosen,
            one.best,
            f"{one.excess:.0%}",
        ]
        for model in models
        for one in model.chosen
    ]
    return headings, rows


def curves_table(models: Iterable[ModelRecord]) -> Table:
    """Return the predicted times of every curve on some numbers of nodes, and where it stops."""
    shown = (1, 2, 8, 64, 1024)
    headings = [
        "machine",
        "BLAS",
        "strategy",
        *(f"{nodes:,} {'node' if nodes == 1 else 'nodes'}" for nodes in shown),
        "where it stops, and why",
    ]
    rows = [
        [model.machine, model.blas, curve.strategy, *_times(curve, shown), curve.reason]
        for model in models
        for curve in model.curves
    ]
    return headings, rows


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


def _errors(found: PredictionErrors) -> list[str]:
    return [f"{value:.1%}" for value in (found.median, found.p95, found.worst)]


def _times(curve: PredictedCurve, shown: Sequence[int]) -> list[str]:
    times = {point.nodes: seconds_text(point.seconds) for point in curve.points}
    return [times.get(nodes, "") for nodes in shown]


def _strategy(fit: PredictedFit) -> str:
    return " ".join([fit.strategy, *(f"{name}={value}" for name, value in fit.options.items())])


def _name(model: ModelRecord) -> str:
    return f"{model.machine}, {model.blas}"
