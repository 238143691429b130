"""scikit-learn's time divided by the model: shares by hand, sums kept, and marked as modelled."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench_core import strategies
from bench_core.records import codec
from bench_core.records.phases import PhaseSeconds, PhasesRecord
from bench_core.runner.modelled_phases import own_calibration, phase_parts, with_modelled
from bench_core.runner.run import start_record
from bench_core.runner.spec import FitSpec, ProblemShape
from bench_core.scaling.calibration import read_calibration
from bench_core.scaling.node_plans import nominal_calibration
from bench_core.scaling.operations import FitCost, alone, eigh, gemm, resource


@pytest.fixture(autouse=True)
def _without_calibration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ASV_CONF_DIR", raising=False)


def case(strategy: str, **options):
    spec = FitSpec("parcels", strategy, options=options)
    made = start_record(spec, ProblemShape("parcels", 300, 60, 9, "float64")).case
    return replace(made, problem=replace(made.problem, t_train=270))


def phases(inside: float) -> PhasesRecord:
    path = PhaseSeconds("critical path", reading=0.5, sklearn=inside, transfers=0.25)
    return PhasesRecord(inside + 0.75, path, (replace(path, process="main"),))


def test_parts_are_the_times_of_the_operations():
    operations = (
        gemm("scores", 512, 512, 512),
        eigh(512),
        resource("reading", "fit", 1),
        resource("transfers", "stream", 1e12),  # not scikit-learn's
    )
    cost = FitCost("x", "gram", 1, alone(operations), (0,), 0, 0)
    table = nominal_calibration()
    found = phase_parts(cost, table, 1)
    products, factor = 2 * 512**3 / 100e9 * (1 + 16 / 512), 9 * 512**3 / 50e9
    total = products + factor + table.fit_s
    assert sum(found.values()) == pytest.approx(1)
    assert found["scores"] == pytest.approx(products / total, rel=1e-3)
    assert found["factorisation"] == pytest.approx(factor / total, rel=1e-3)
    assert found["other"] == pytest.approx(table.fit_s / total, rel=1e-3)
    assert "transfers" not in found


@pytest.mark.parametrize("strategy", ["ridgecv", "bmor", "mor"])
def test_the_sum_stays_and_the_rest_is_as_measured(strategy):
    made = with_modelled(phases(2.0), case(strategy), {}, "openblas")
    assert made.critical == phases(2.0).critical
    found = made.modelled
    assert found is not None
    assert found.critical.sklearn == 0
    assert found.critical.total == pytest.approx(made.critical.total)
    assert found.added.total == pytest.approx(2.0)
    assert found.critical.transfers == 0.25
    assert found.critical.reading == pytest.approx(0.5 + found.added.reading)
    assert found.critical.factorisation > 0
    assert "nominal" in found.calibration
    assert codec.from_json(PhasesRecord, codec.to_json(made), "here") == made


def test_the_machines_calibration_is_taken_and_named(tmp_path):
    other = replace(read_calibration("xeon-6130-mkl"), started="2026-01-01T00:00:00Z")
    codec.write(other, tmp_path / ".asv" / "calibration" / "mkl.json")
    _, name = own_calibration("mkl")
    assert "2026-01-01" in name
    assert "nominal" in own_calibration("openblas")[1]
    cost = strategies.get("ridgecv")().cost(270, 60, 9)
    made = with_modelled(phases(1.0), case("ridgecv"), {}, "mkl").modelled
    parts = phase_parts(cost, other, 1)
    assert made.added.scores == pytest.approx(parts["scores"])


def test_nothing_is_modelled_where_nothing_is_known():
    own = phases(0.0)
    assert with_modelled(own, case("multitarget"), {}, "openblas").modelled is None
    by_run = with_modelled(phases(1.0), case("ridgecv", cv="run"), {"cv": "run"}, "openblas")
    assert by_run.modelled is None
    unknown = replace(case("ridgecv"), problem=replace(case("ridgecv").problem, t_train=None))
    assert with_modelled(phases(1.0), unknown, {}, "openblas").modelled is None
