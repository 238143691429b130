"""Processor time, threads and quota of timed fits; variables and kernels of the fit's process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench_core.blas import detect
from bench_core.blas.kernels import kernel_names
from bench_core.blas.threads import ProductThreads
from bench_core.measure import FitSpec, measure
from bench_core.runner.processor import FitMeter, ProcessTimes, process_times, processor_record


def meter(cpu: float, busiest: float, wall: float, throttled: float | None = 0.0) -> FitMeter:
    return FitMeter(cpu_s=[cpu], busiest_s=[busiest], wall_s=[wall], throttled_s=throttled)


TWO = ProductThreads("numpy", asked=2, used=2, busy=1.9, gflops=50.0)
ONE = replace(TWO, used=1, busy=1.0, gflops=25.0)


def test_threads_that_did_not_run_are_said() -> None:
    found = processor_record(meter(2.0, 2.0, 2.0), {"main": [TWO, ONE]}, threads=2, flops=None)
    assert found.note is not None
    assert "1 thread where 2" in found.note
    assert [one.used for one in found.products] == [2, 1]


@pytest.mark.parametrize(
    ("fit", "flops", "doubted"),
    [
        # 100 GFLOP at 50 GFLOP/s are 2 s of products: a fit on one thread takes 4 s.
        (meter(4.0, 4.0, 4.0), 100e9, True),
        (meter(3.9, 2.0, 2.0), 100e9, False),
        # Both threads worked, each on half a core: a busy machine is no missing thread.
        (meter(2.0, 1.0, 2.0), 100e9, False),
        # Too short, of other work than products, or without a plan.
        (meter(0.1, 0.1, 0.1), 5e9, False),
        (meter(10.0, 10.0, 10.0), 1e9, False),
        (meter(4.0, 4.0, 4.0), None, False),
    ],
)
def test_a_fit_on_one_thread_is_doubted_only_where_products_take_its_time(
    fit: FitMeter, flops: float | None, doubted: bool
) -> None:
    found = processor_record(fit, {"main": [TWO]}, threads=2, flops=flops)
    assert (found.note is not None) == doubted


@pytest.mark.parametrize(
    ("throttled", "doubted"), [(None, False), (0.0, False), (0.01, False), (1.5, True)]
)
def test_fits_that_a_quota_stopped_are_not_trusted(throttled: float | None, doubted: bool) -> None:
    found = processor_record(meter(1.0, 1.0, 2.0, throttled), {}, threads=1, flops=None)
    assert found.throttled_s == throttled
    assert (found.note is not None) == doubted
    assert found.busy == 0.5


def test_the_meter_adds_processes_and_what_the_quota_took() -> None:
    reads = iter(
        [
            [ProcessTimes(1.0, {1: 1.0}), ProcessTimes(0.0, {})],
            [ProcessTimes(2.0, {1: 2.0}), ProcessTimes(3.0, {5: 2.0, 6: 1.0})],
        ]
    )
    stops = iter([10.0, 10.25])
    found = FitMeter(read=lambda: next(reads), throttled=lambda: next(stops))
    found.begin()
    found.end()
    assert found.cpu_s == [4.0]
    assert found.busiest_s == [3.0]
    assert found.throttled_s == 0.25


def test_work_of_this_process_is_counted() -> None:
    before = process_times()
    while process_times().total - before.total < 0.1:
        sum(range(10_000))
    total, busiest = process_times().since(before)
    assert total >= 0.1
    assert 0 < busiest <= total


def test_limits_of_the_caller_are_left_out_and_recorded(
    problem_folder: Path, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_THREAD_LIMIT", "1")
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    spec = FitSpec(str(problem_folder), "ridgecv", null="skip")
    record = measure(spec, store=tmp_path, scratch=scratch)
    assert record.status == "ok", record.reason
    assert record.variables is not None
    assert record.variables.overridden["OMP_THREAD_LIMIT"] == "1"
    assert record.variables.overridden["MKL_CBWR"] == "COMPATIBLE"
    assert record.variables.chosen["OMP_NUM_THREADS"] == "1"
    assert record.processor is not None
    assert record.processor.products == ()


def test_kernels_by_name_run_and_are_recorded(
    problem_folder: Path, scratch: Path, tmp_path: Path
) -> None:
    report = detect()
    names = set(kernel_names(report.numpy)) & set(kernel_names(report.scipy))
    other = sorted(names & {"haswell", "sandybridge", "nehalem"})
    if report.numpy.name != "openblas" or not other:
        pytest.skip("needs OpenBLAS with kernels to choose")
    spec = FitSpec(str(problem_folder), "ridgecv", null="skip", kernels=other[-1].upper())
    record = measure(spec, store=tmp_path, scratch=scratch)
    assert record.status == "ok", record.reason
    assert record.case.kernels == other[-1]
    assert record.blas is not None
    for library in (record.blas.numpy, record.blas.scipy):
        assert str(library.architecture).lower() == other[-1]
    refused = measure(replace(spec, kernels="haswel"), store=tmp_path, scratch=scratch)
    assert refused.status == "skipped"
    assert "haswel" in str(refused.reason)
    assert other[-1] in str(refused.reason)
