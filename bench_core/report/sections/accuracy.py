"""Held-out r beside its shuffled null, and the agreement with scikit-learn's Ridge."""

from __future__ import annotations

from collections.abc import Sequence

from bench_core.records import Record
from bench_core.report.blocks import Block, Cell, Figure, Table, Text, number, rows_of
from bench_core.report.figures import accuracy_figure
from bench_core.report.fit_cells import FIT_HEADINGS, fit_cells
from bench_core.report.rows import environment_label
from bench_core.report.sections import Section
from bench_core.report.site_data import SiteData

_HEADINGS = (
    *FIT_HEADINGS,
    "mean r",
    "median r",
    "95 % r",
    "largest r",
    "targets",
    "null, mean",
    "null, largest",
    "disagreement",
    "tolerance",
    "same penalty as RidgeCV",
)


def _build(data: SiteData) -> Sequence[Block]:
    cells = [
        _cells(data, run.machine, label, one)
        for run in data.runs
        for label in [environment_label(run)]
        for one in run.fits
        if one.accuracy is not None
    ]
    if not cells:
        return []
    blocks: list[Block] = [
        Text(
            "Pearson's r between held-out data and predictions, over targets; the null is r after "
            "training on shuffled rows. Disagreement: the largest difference of a prediction from "
            "scikit-learn's Ridge at the chosen penalties, in units of its target's spread; below "
            "the tolerance the answers are the same. What was invalid is here too.",
            "faint",
        )
    ]
    svg = accuracy_figure(data.figure_rows)
    if svg is not None:
        caption = (
            "Held-out correlation beside its shuffled null: a fast answer must be the same answer."
        )
        blocks.append(Figure("accuracy", "Held-out r", svg, caption))
    blocks.append(Table("accuracy-table", _HEADINGS, rows_of(cells)))
    return blocks


def _cells(data: SiteData, machine: str, label: str, record: Record) -> list[str | Cell]:
    accuracy, null, agreement = record.accuracy, record.null, record.agreement
    assert accuracy is not None
    same = None if agreement is None else agreement.same_penalty
    tied = agreement is not None and agreement.tie
    return [
        *fit_cells(machine, label, record, data.records.link(record.id)),
        number(accuracy.mean, ".3f"),
        number(accuracy.median, ".3f"),
        number(accuracy.p95, ".3f"),
        number(accuracy.max, ".3f"),
        number(accuracy.defined, "d"),
        number(None if null is None else null.mean, ".3f"),
        number(None if null is None else null.max, ".3f"),
        number(None if agreement is None else agreement.worst, ".1e"),
        number(None if agreement is None else agreement.tolerance, ".0e"),
        "tied" if tied else {None: "", True: "yes", False: "no"}[same],
    ]


SECTION = Section("Accuracy", 40, _build)
