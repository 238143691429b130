"""Predictions: interpolation, planted speeds, and the published times that a fit did not use."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_core import strategies
from bench_core.errors import InputError, UnknownNameError
from bench_core.records import codec
from bench_core.ridge.planning.flops import FitShape
from bench_core.scaling.calibration import (
    SHIPPED,
    Calibration,
    FitOverhead,
    KernelSpeed,
    MemorySpeed,
    read_calibration,
)
from bench_core.scaling.costs import ridgecv as costs
from bench_core.scaling.operations import OVERHEADS, gemm, resource
from bench_core.scaling.parameters import Observation, Parameters, fit_parameters, predicted
from bench_core.scaling.prediction import (
    amdahl,
    kernel_rate,
    memory_rate,
    operation_seconds,
    over_threads,
    overhead_factor,
    predict,
)
from bench_core.scaling.published_times import published_times
from bench_core.scaling.thesis import (
    PlainModel,
    plain_flops,
    published_points,
    thesis_calibration,
    thesis_shape,
)
from tests.scaling.prediction_tables import PAGE, filled
from tests.scaling.predictions import RECORD
from tests.scaling.published_errors import by_amdahl, by_equation, fitted, mape


@pytest.fixture(scope="module")
def table() -> Calibration:
    return read_calibration("xeon-6130-mkl")


@given(
    serial=st.floats(0.01, 10), parallel=st.floats(0.01, 100), threads=st.sampled_from([3, 8, 64])
)
def test_times_over_threads_follow_amdahls_law(serial, parallel, threads):
    counts = (1, 2, 4)
    times = [serial + parallel / n for n in counts]
    assert amdahl(counts, times) == pytest.approx((serial, parallel), rel=1e-6)
    assert over_threads(counts, times, threads) == pytest.approx(serial + parallel / threads)


def test_rates_between_sizes_are_linear_on_logarithmic_scales(table):
    kernels = (
        KernelSpeed("gemm", "float64", 1, 10, 1.0),
        KernelSpeed("gemm", "float64", 1, 1000, 100.0),
        KernelSpeed("gemm", "float64", 2, 1000, 150.0),
    )
    made = replace(table, kernels=kernels)
    assert kernel_rate(made, "gemm", "float64", 1, 100) == pytest.approx(10)
    assert kernel_rate(made, "gemm", "float64", 1, 1) == pytest.approx(1)
    assert kernel_rate(made, "gemm", "float64", 2, 5000) == pytest.approx(150)
    assert kernel_rate(made, "gemm", "float32", 1, 1000) == pytest.approx(200)
    assert kernel_rate(made, "svd", "float64", 1, 1000) == pytest.approx(100)


def test_a_product_is_no_faster_than_memory_feeds_it(table):
    made = replace(table, kernels=(KernelSpeed("gemm", "float64", 1, 1, 1000.0),))
    narrow = gemm("scores", 10_000, 1, 10_000)
    stream = next(one.gbytes_s for one in made.memory if one.kind == "stream")
    assert operation_seconds(narrow, made, 1) == pytest.approx(narrow.amount / stream / 1e9)
    moved = resource("scores", "stream", 4e9)
    assert operation_seconds(moved, made, 8) == pytest.approx(4 / stream)


@settings(max_examples=30, deadline=None)
@given(t=st.integers(50, 5000), p=st.integers(50, 5000), s=st.integers(1, 5000))
def test_more_threads_are_never_predicted_slower(table, t, p, s):
    for name in ("ridgecv", "multitarget", "bmor", "bmor-shared", "mor"):
        cost = strategies.get(name)().cost(t, p, s)
        times = [predict(cost, table, n).seconds for n in (1, 2, 7, 32, 64)]
        assert all(b <= a * (1 + 1e-9) for a, b in pairwise(times))


def test_a_prediction_adds_up(table):
    cost = strategies.get("bmor-shared")().cost(1000, 2000, 5000, nodes=4)
    found = predict(cost, table, 8, distributed=True)
    assert sum(found.phases.values()) == pytest.approx(found.seconds)
    assert sum(found.kinds.values()) == pytest.approx(found.seconds)
    assert found.high / found.seconds == pytest.approx(np.exp(1.96 * table.spread))
    assert found.total == found.seconds + found.start_s


def test_planted_speeds_are_found_again():
    truth = Parameters(gemm=80.0, gemm_serial=0.02, eigh=15.0, svd=40.0, memory=8.0)
    made = thesis_calibration(truth)
    observations = []
    for t, p, s in ((2000, 5000, 300), (2000, 5000, 60_000), (9000, 1000, 50), (4000, 900, 8000)):
        for form in ("gram", "svd"):
            cost = costs.ridgecv(FitShape(t, p, s, 11), form=form)
            observations += [
                Observation(cost, threads, predict(cost, made, threads).seconds)
                for threads in (1, 4, 16)
            ]
    found, spread = fit_parameters(observations, thesis_calibration)
    assert spread < 0.02
    for name in ("gemm", "svd"):
        assert getattr(found, name) == pytest.approx(getattr(truth, name), rel=0.1)


def test_shipped_calibrations_are_read_and_written(tmp_path):
    for name, blas in SHIPPED.items():
        found = read_calibration(name)
        assert (found.blas.name, found.source) == (blas, "published")
        path = codec.write(found, tmp_path / "one.json")
        assert codec.to_dict(read_calibration(path)) == codec.to_dict(found)
    with pytest.raises(UnknownNameError):
        read_calibration("nowhere")
    broken = tmp_path / "broken.json"
    broken.write_text("{}")
    with pytest.raises(InputError):
        read_calibration(broken)


def test_plain_equations():
    fitted_shape = thesis_shape("whole-brain-mor")
    shared, grown = plain_flops(fitted_shape)
    model = PlainModel(rate=50.0, serial=0.2)
    one = model.seconds("mor", fitted_shape, 1, 1)
    assert one == pytest.approx((grown + 2000 * shared) / 50e9)
    assert model.seconds("mor", fitted_shape, 4, 1) == pytest.approx(one / 4)
    bmor = model.seconds("bmor", fitted_shape, 4, 2)
    assert bmor == pytest.approx((grown / 4 + shared) / 50e9 * (0.2 + 0.8 / 2))


def test_held_out_published_times_are_predicted_as_the_record_says():
    """Fitted on at most two nodes; docs/scaling.json has the errors on 4, 6 and 8."""
    kept = json.loads(RECORD.read_text())["published"]["nodes"]
    points = [one for one in published_points(published_times()) if one.configuration.blas == "mkl"]
    known = [one for one in points if one.configuration.nodes <= 2]
    _, calibration = fitted(known)
    for strategy in ("bmor", "mor"):
        wanted = [
            one
            for one in points
            if one.configuration.nodes > 2 and one.configuration.strategy == strategy
        ]
        found = mape(wanted, predicted([one.observation for one in wanted], calibration))
        assert found < 0.10
        assert found == pytest.approx(kept[strategy]["mape"], abs=0.005)
        plain = mape(wanted, by_equation(known, wanted))
        assert plain == pytest.approx(kept[strategy]["plain_mape"], abs=0.005)
    curve = [one for one in points if one.configuration.threads <= 8]
    beyond = [
        one
        for one in points
        if one.configuration.threads > 8 and one.configuration.strategy == "ridgecv"
    ]
    kept_threads = json.loads(RECORD.read_text())["published"]["threads"]["ridgecv"]
    found = mape(beyond, by_amdahl(curve, beyond))
    assert found == pytest.approx(kept_threads["plain_mape"], abs=0.005)


def test_the_page_has_the_figures_of_the_record():
    page = PAGE.read_text()
    assert filled(page, json.loads(RECORD.read_text())) == page


def test_small_arrays_move_at_the_rate_of_their_size(table):
    speeds = (
        MemorySpeed("stream", 1, 4.0),
        MemorySpeed("stream", 1, 64.0, 2**14),
        MemorySpeed("stream", 1, 16.0, 2**20),
        MemorySpeed("stream", 2, 2.0),
    )
    made = replace(table, memory=speeds)
    assert memory_rate(made, "stream", 1) == pytest.approx(4)
    assert memory_rate(made, "stream", 1, 2**30) == pytest.approx(4)
    assert memory_rate(made, "stream", 1, 2**14) == pytest.approx(64)
    assert memory_rate(made, "stream", 1, 1) == pytest.approx(64)
    assert memory_rate(made, "stream", 1, 2**17) == pytest.approx(32)  # halfway, in logarithms
    assert memory_rate(made, "fresh", 1, 2**20) == pytest.approx(16)  # nothing better is known
    assert memory_rate(made, "stream", 2, 2**14) == pytest.approx(2)
    moved = resource("scores", "stream", 1e6, each=2**14)
    assert operation_seconds(moved, made, 1) == pytest.approx(1e6 / 64e9)


def test_overheads_scale_what_does_not_depend_on_sizes(table):
    timed = (
        FitOverhead("bmor", 1, 1, 0.1, 3.0),
        FitOverhead("bmor", 2, 1, 0.1, 5.0),
        FitOverhead("bmor", 2, 4, 0.1, 7.0),
    )
    made = replace(table, overheads=timed)
    expected = {(1, 1): 3.0, (1, 8): 3.0, (2, 1): 5.0, (2, 3): 5.0, (2, 4): 7.0, (9, 64): 7.0}
    for (nodes, threads), factor in expected.items():
        assert overhead_factor(made, "bmor", nodes, threads) == factor
    assert overhead_factor(made, "mor", 2, 1) == 1.0
    cost = strategies.get("bmor")().cost(200, 300, 400, nodes=2)
    plain, scaled = predict(cost, table, 1), predict(cost, made, 1)
    for kind, seconds in plain.kinds.items():
        times = 5.0 if kind in OVERHEADS else 1.0
        assert scaled.kinds[kind] == pytest.approx(times * seconds)
