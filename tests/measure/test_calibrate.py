"""A quick calibration of the machine that the tests run on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench_core import strategies
from bench_core.measure import calibrate as module
from bench_core.measure.speeds import fits
from bench_core.measure.speeds.memory import ARRAY_BYTES
from bench_core.measure.speeds.timing import seconds_in_rounds
from bench_core.records import codec
from bench_core.ridge.planning.flops import KERNELS
from bench_core.scaling.calibration import read_calibration
from bench_core.scaling.node_plans import nominal_calibration
from bench_core.scaling.prediction import predict


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A calibration of one core, timed once at small sizes."""
    steps = []
    with pytest.MonkeyPatch.context() as patch:
        # Kernels are timed here, not in a process for every thread count.
        patch.setattr(module, "_timed", lambda job, *_: module.time_job(job))
        patch.setattr("bench_core.machine.available_cores", lambda: 1)
        found = module.calibrate(
            quick=True,
            scratch=tmp_path_factory.mktemp("scratch"),
            progress=lambda *step: steps.append(step),
        )
    assert steps
    return found


def test_a_calibration_has_every_kernel_and_resource(made, tmp_path):
    assert made.machine.cores == 1
    assert {one.kernel for one in made.kernels} == set(KERNELS)
    assert {one.dtype for one in made.kernels} == {"float64", "float32"}
    assert {one.kind for one in made.memory} == {"stream", "fresh", "pages", "file"}
    for kind in ("stream", "fresh"):
        sizes = {one.array_bytes for one in made.memory if one.kind == kind}
        assert sizes == {None, *ARRAY_BYTES}
    assert [(one.strategy, one.t) for one in made.checks] == [
        (name, t // 10) for name, t, _, _ in fits.CHECKS
    ]
    assert made.checked == len(made.checks)
    assert made.notes[0] == module.LOOPBACK
    assert len(made.notes) >= 2  # quick, and perhaps other work
    path = codec.write(made, tmp_path / "calibration.json")
    assert codec.to_dict(read_calibration(path)) == codec.to_dict(made)


def test_every_strategy_with_a_cost_is_timed_on_next_to_nothing(made):
    named = {one.strategy for one in made.overheads}
    assert {"ridgecv", "multitarget", "bmor", "mor", "bmor-shared"} <= named
    assert all(one.seconds > 0 for one in made.overheads)


@pytest.mark.parametrize(
    "empty",
    [
        fits.EmptyFit("ridgecv", 1, 1, 0.02),
        fits.EmptyFit("multitarget", 1, 1, 0.004),
        fits.EmptyFit("mor", 2, 1, 0.5),
        fits.EmptyFit("bmor", 1, 1, 0.06),
        fits.EmptyFit("bmor-shared", 2, 1, 0.09),
    ],
)
def test_fits_of_next_to_nothing_are_predicted_as_they_were_timed(empty):
    usual = nominal_calibration()
    table = replace(usual, overheads=fits.overheads([empty], usual))
    size = fits.empty_size(empty.strategy)
    cost = strategies.get(empty.strategy)().cost(*size, nodes=empty.nodes)
    assert predict(cost, usual, 1).seconds != pytest.approx(empty.seconds, rel=0.1)
    found = predict(cost, table, 1, nodes_per_machine=empty.nodes)
    assert found.seconds == pytest.approx(empty.seconds, rel=1e-6)


def test_rounds_leave_out_a_spell_of_other_work(monkeypatch):
    calls = []
    clock = {"now": 0.0}

    def call(name):
        calls.append(name)
        slow = name == "a" and calls.count("a") == 3
        clock["now"] += 50.0 if slow else 0.01

    monkeypatch.setattr("bench_core.measure.speeds.timing.perf_counter", lambda: clock["now"])
    times = seconds_in_rounds([lambda: call("a"), lambda: call("b")], 0.0)
    assert [len(one) for one in times] == [3, 3]
    assert max(times[0]) == pytest.approx(50.0)
    assert min(times[0]) == pytest.approx(0.01)
    assert times[1] == pytest.approx([0.01] * 3)


def test_long_calls_are_timed_twice(monkeypatch):
    clock = {"now": 0.0}
    seconds = iter([3.0, 2.0, 9.0])

    def long():
        clock["now"] += next(seconds)

    monkeypatch.setattr("bench_core.measure.speeds.timing.perf_counter", lambda: clock["now"])
    (times,) = seconds_in_rounds([long], 0.0)
    assert times == pytest.approx([3.0, 2.0])


def test_memory_is_timed_in_a_process_of_its_own():
    found = module._timed(module.CalibrationJob(1, False, quick=True), "default", None)
    assert found.status == "ok"
    assert {one.kind for one in found.memory} == {"stream", "fresh", "pages"}
    assert all(one.processes == 1 for one in found.memory)
