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
from bench_core.report.model import curves_figure, predictions_figure
from bench_core.report.phases import drawn_rows, phase_rows, phases_figure, phases_text
from bench_core.report.runs import EnvironmentRun
from tests.report.site_html import site_of


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


def test_the_page_has_the_models_figures_and_says_where_curves_stop(model, record, tmp_path):
    run = EnvironmentRun("here", "c0ffee00", "env-a", [record(2.5)])
    page = site_of([run], tmp_path / "site.html", models=[model])["model"]
    rows = [row for row in page.rows if row[:1] == ["here"]]
    assert ["here", "openblas 1 Haswell", "measured", "all", "2", "35.0%", "57.5%", "60.0%"] in [
        row[:8] for row in rows
    ]
    errors = [row[-2] for row in rows if row[-1] == "record"]
    assert errors == ["+60%", "+10%"]
    (choice,) = [row for row in rows if row[1] == "parcels 1/24 float64"]
    assert choice[-1] == "0.0%"
    (curve,) = [row for row in rows if row[-1] == "bmor stops at 64 nodes."]
    assert curve[3:8] == ["8 s", "4 s", "1 s", "125 ms", "7.81 ms"]
    for words in ("left out: 3 fits of mkl", "35.0%"):
        assert words in page.text
    assert page.unnamed_figures == 0
    assert "model" not in site_of([run], tmp_path / "site.html")
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
    page = site_of([divided], tmp_path / "site.html")["phases"]
    assert [row[4] for row in page.rows if len(row) > 5][1:] == [
        "critical path",
        "critical path, modelled",
    ]
    assert drawn_rows(rows) == [rows[1]]
    assert phases_figure(drawn_rows(rows)) == svg
    measured = phase_rows([replace(divided, records=[_measured(divided)])])
    assert "<pattern" not in phases_figure(measured)


def _measured(run: EnvironmentRun):
    (record,) = run.fits
    return replace(record, phases=replace(record.phases, modelled=None))
