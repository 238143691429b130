import pytest

from bench_core.measure import kernels
from bench_core.records import to_json


def test_rates_are_flops_over_seconds_next_to_a_gemm():
    rates = kernels.time_kernels(64, 2)
    assert set(rates) == {"float64", "float32"}
    for rate in rates.values():
        assert set(rate) == {"gemm", "syrk", "eigh", "svd"}
        for name, one in rate.items():
            n = 64 if name in ("gemm", "syrk") else 32
            assert one.gflops * one.seconds * 1e9 == pytest.approx(kernels.FLOPS[name](n))
            assert one.fraction_of_gemm == one.gflops / rate["gemm"].gflops


def test_flops_are_those_of_the_products():
    assert kernels.FLOPS["gemm"](10) == 2 * 10 * 10 * 10
    # The lower triangle with the diagonal: n (n + 1) / 2 inner products of n products and sums.
    assert kernels.FLOPS["syrk"](10) == 2 * 10 * (10 * 11 / 2)


def test_a_record_is_measured_once_per_store(tmp_path):
    first = kernels.measure_kernels(1, 64, repeats=1, store=tmp_path)
    assert first.status == "ok"
    assert first.blas.numpy.threads == 1
    assert first.variables.chosen["OMP_NUM_THREADS"] == "1"
    assert first.processor.products == ()
    assert not first.blas.numpy.file.startswith("/")  # records are published
    assert kernels.measure_kernels(1, 64, repeats=1, store=tmp_path) == first
    only = kernels.measure_kernels(1, 64, repeats=1, operations=["gemm"], store=tmp_path)
    assert set(only.rates["float64"]) == {"gemm"}
    assert len(list(tmp_path.iterdir())) == 2


def test_another_library_than_declared_gives_an_invalid_record():
    record = kernels.measure_kernels(1, 64, repeats=1, blas="accelerate")
    assert record.status == "invalid"
    assert "declared accelerate" in record.reason


def test_limits_of_the_caller_do_not_reach_the_kernels(monkeypatch):
    monkeypatch.setenv("OMP_THREAD_LIMIT", "1")
    monkeypatch.setattr("bench_core.machine.available_cores", lambda: 2)
    record = kernels.measure_kernels(2, 64, repeats=1, operations=["gemm"])
    assert record.variables.overridden["OMP_THREAD_LIMIT"] == "1"
    assert {one.asked for one in record.processor.products} == {2}


def test_more_threads_than_cores_are_skipped(monkeypatch):
    monkeypatch.setattr("bench_core.machine.available_cores", lambda: 2)
    record = kernels.measure_kernels(4, 64)
    assert (record.status, record.reason) == ("skipped", "4 threads, 2 cores")
    to_json(record)
