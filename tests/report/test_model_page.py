"""The cost model on the page: predictions beside measurements, errors, choices and curves."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bench_core.records.model import (
    SCHEMA_MODEL,
    ChosenWay,
    CurvePoint,
    ModelRecord,
    PredictedCurve,
    PredictedFit,
    PredictionErrors,
    UsedCalibration,
    write_model,
)
from bench_core.records.phases import ModelledPhases, PhaseSeconds, PhasesRecord
from bench_core.report.model import (
    choices_table,
    curves_figure,
    curves_table,
    predictions_figure,
    predictions_table,
    summary_text,
    validation_table,
)
from bench_core.report.page import write_page
from bench_core.report.phases import HATCH, phase_rows, phases_figure, phases_text
from bench_core.report.runs import EnvironmentRun


@pytest.fixture
def model() -> ModelRecord:
    fits = tuple(
        PredictedFit(
            "parcels 1/24",
            strategy,
            "cov",
            "float64",
            {},
            1,
            2,
            seconds,
            told,
            told / 2,
            told * 2,
            "record",
        )
        for strategy, seconds, told in (("ridgecv", 1.0, 1.1), ("bmor", 0.5, 0.8))
    )
    points = tuple(CurvePoint(2**k, 8.0 / 2**k, "scores", 0.5, 2**30) for k in range(11))
    return ModelRecord(
        SCHEMA_MODEL,
        "here",
        "openblas",
        "2026-01-01T00:00:00Z",
        UsedCalibration("measured", None, "A CPU", 2, "openblas 1 Haswell", None, 60.0, 0.1, ()),
        fits,
        PredictionErrors(2, 0.35, 0.575, 0.6),
        PredictionErrors(2, 0.35, 0.575, 0.6),
        (ChosenWay("parcels 1/24 float64", 2, "bmor (cov) 1 × 2", "bmor (cov) 1 × 2", 0.0),),
        ("3 fits of mkl",),
        (PredictedCurve("bmor", 9000, 16_384, 264_805, 2, points, 64, "bmor stops at 64 nodes."),),
    )


def test_tables_have_the_records_figures(model):
    headings, rows = predictions_table([model])
    assert [dict(zip(headings, row, strict=True))["error"] for row in rows] == ["+60%", "+10%"]
    assert rows[0][headings.index("measured")] == "500 ms"
    headings, rows = validation_table([model])
    first = dict(zip(headings, rows[0], strict=True))
    assert first["median error"] == "35.0%"
    assert first["95th percentile"] == "57.5%"
    assert first["left out"] == "3 fits of mkl"
    assert "1 of 1" in rows[0]
    headings, rows = choices_table([model])
    assert dict(zip(headings, rows[0], strict=True))["slower by"] == "0%"
    headings, rows = curves_table([model])
    only = dict(zip(headings, rows[0], strict=True))
    assert only["8 nodes"] == "1 s"
    assert only["1,024 nodes"] == "7.81 ms"
    assert only["where it stops, and why"] == "bmor stops at 64 nodes."
    assert "35.0%" in summary_text([model])


def test_figures_draw_every_fit_and_every_number_of_nodes(model):
    svg = predictions_figure([model])
    assert svg is not None
    for strategy in ("ridgecv", "bmor"):
        assert f">{strategy}</text>" in svg
    svg = curves_figure([model])
    assert svg is not None
    assert len(re.findall(r"<use ", svg)) >= 11
    assert predictions_figure([]) is None
    assert curves_figure([replace(model, curves=())]) is None


def test_the_page_has_the_model(model, record, tmp_path):
    run = EnvironmentRun("here", "c0ffee00", "env-a", [record(2.5)])
    text = write_page([run], tmp_path / "page.html", models=[model]).read_text(encoding="utf-8")
    for part in ("<h2>Model</h2>", "<h2>Model over nodes</h2>", "bmor stops at 64 nodes.", "+60%"):
        assert part in text
    without = write_page([run], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h2>Model" not in without
    assert write_model(model, tmp_path).name == "openblas.model.jsonl"


@pytest.fixture
def divided(record):
    """A run with one fit of ridgecv, whose time inside scikit-learn is divided by the model."""
    path = PhaseSeconds("critical path", reading=1.0, sklearn=7.0)
    added = PhaseSeconds("critical path", factorisation=5.0, scores=2.0)
    whole = PhaseSeconds("critical path", reading=1.0, factorisation=5.0, scores=2.0)
    phases = PhasesRecord(
        8.0, path, (replace(path, process="main"),), ModelledPhases(whole, added, "a nominal node")
    )
    return EnvironmentRun("here", "c0ffee00", "env-a", [replace(record(8.0), phases=phases)])


def test_modelled_phases_are_a_row_of_their_own_and_hatched(divided, tmp_path):
    rows = phase_rows([divided])
    assert [row.modelled is not None for row in rows] == [False, True]
    assert rows[0].seconds.sklearn == 7.0
    assert rows[1].seconds.factorisation == 5.0
    svg = phases_figure(rows)
    assert "<pattern" in svg  # hatching
    assert "hatched: modelled" in svg
    assert "factorisation 62% (modelled)" in phases_text(rows)
    page = write_page([divided], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<td>critical path, modelled</td>" in page
    assert "<td>critical path</td>" in page
    measured = phase_rows([replace(divided, records=[_measured(divided)])])
    assert "<pattern" not in phases_figure(measured)
    assert HATCH


def _measured(run: EnvironmentRun):
    (record,) = run.fits
    return replace(record, phases=replace(record.phases, modelled=None))
