"""The cost model: its predictions beside measurements, how far off they are, and over nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench_core.records.model import LONG_S, WITHIN, ModelRecord, PredictedCurve, PredictedFit
from bench_core.report.blocks import (
    Block,
    Cell,
    Figure,
    Heading,
    Table,
    Text,
    number,
    rows_of,
    seconds_cell,
)
from bench_core.report.model import curves_figure, predictions_figure, summary_text
from bench_core.report.sections import Section
from bench_core.report.site_data import SiteData

_NODES = (1, 2, 8, 64, 1024)
"""Numbers of nodes that the table of curves shows; its picture has all."""


def _build(data: SiteData) -> Sequence[Block]:
    models = data.models
    blocks: list[Block] = []
    predictions = predictions_figure(models)
    if predictions is not None:
        words = summary_text(models)
        caption = (
            "Times by the cost model beside measurements that it was not made from; the band is "
            "within 40 %."
        )
        blocks += [
            Text(words),
            Figure("predictions", "Predictions beside measurements", predictions, caption, words),
            Heading("How far off", "errors"),
            _errors(models),
            _choices(models),
            *_conditions(models),
            _fits(models),
        ]
    curves = curves_figure(models)
    if curves is not None:
        reasons = " ".join(curve.reason for model in models for curve in model.curves)
        caption = (
            "The whole brain on nodes like these. Rings mark where twice as many nodes take off "
            "less than a tenth. The model has no contention for the network."
        )
        blocks += [
            Figure("curves", "Predicted over nodes", curves, caption, reasons),
            _ends(models),
        ]
    return blocks


def _errors(models: Iterable[ModelRecord]) -> Table:
    headings = (
        "machine",
        "BLAS",
        "calibrated",
        "fits",
        "number",
        "median error",
        "95th percentile",
        "largest",
        f"choices within {WITHIN:.0%} of the best",
    )
    rows: list[list[str | Cell]] = []
    for one in models:
        within, choices = one.within
        parts = ((one.all_fits, "all"), (one.long_fits, f"from {LONG_S:g} s"))
        for errors, which in parts:
            rows.append(
                [
                    one.machine,
                    one.calibration.blas,
                    one.calibration.started or one.calibration.source,
                    which,
                    number(errors.fits, ".0f"),
                    number(errors.median, ".1%"),
                    number(errors.p95, ".1%"),
                    number(errors.worst, ".1%"),
                    f"{within} of {choices}" if which == "all" else "",
                ]
            )
    return Table("errors-table", headings, rows_of(rows))


def _choices(models: Iterable[ModelRecord]) -> Table:
    headings = ("machine", "problem", "BLAS", "ways", "chosen", "fastest measured", "slower by")
    rows: list[list[str | Cell]] = [
        [
            model.machine,
            one.problem,
            model.blas,
            number(one.ways, ".0f"),
            one.chosen,
            one.best,
            number(one.excess, ".1%"),
        ]
        for model in models
        for one in model.chosen
    ]
    caption = "What the model would have chosen of the ways that were measured."
    return Table("choices", headings, rows_of(rows), caption)


def _conditions(models: Iterable[ModelRecord]) -> list[Block]:
    """Return what was left out, and what speaks against a calibration."""
    return [
        Text(f"{model.machine}, {model.blas}: {'; '.join(notes)}.", "faint")
        for model in models
        if (notes := [*(f"left out: {one}" for one in model.left_out), *model.calibration.notes])
    ]


def _fits(models: Iterable[ModelRecord]) -> Table:
    headings = (
        "machine",
        "problem",
        "strategy",
        "form",
        "precision",
        "BLAS",
        "nodes",
        "threads",
        "measured",
        "predicted",
        "from",
        "to",
        "error",
        "source",
    )
    rows: list[list[str | Cell]] = [
        [
            model.machine,
            fit.problem,
            _strategy(fit),
            fit.form,
            fit.dtype,
            model.blas,
            number(fit.nodes, ".0f"),
            number(fit.threads, ".0f"),
            seconds_cell(fit.measured_s),
            seconds_cell(fit.predicted_s),
            seconds_cell(fit.low_s),
            seconds_cell(fit.high_s),
            number(fit.error, "+.0%"),
            fit.source,
        ]
        for model in models
        for fit in sorted(model.fits, key=lambda one: -abs(one.error))
    ]
    return Table("fits", headings, rows_of(rows), folded="Every fit, the largest errors first")


def _ends(models: Iterable[ModelRecord]) -> Table:
    headings = (
        "machine",
        "BLAS",
        "strategy",
        *(f"{nodes:,} {'node' if nodes == 1 else 'nodes'}" for nodes in _NODES),
        "where it stops, and why",
    )
    rows: list[list[str | Cell]] = [
        [model.machine, model.blas, curve.strategy, *_times(curve), curve.reason]
        for model in models
        for curve in model.curves
    ]
    return Table("curves-table", headings, rows_of(rows))


def _times(curve: PredictedCurve) -> list[Cell]:
    times = {point.nodes: seconds_cell(point.seconds) for point in curve.points}
    return [times.get(nodes, Cell("")) for nodes in _NODES]


def _strategy(fit: PredictedFit) -> str:
    return " ".join([fit.strategy, *(f"{name}={value}" for name, value in fit.options.items())])


SECTION = Section("Model", 78, _build)
