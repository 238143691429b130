"""Costs against what the libraries are really asked for, counted on small problems."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_core import strategies
from bench_core.ridge.planning.flops import KERNELS, FitShape
from bench_core.scaling.costs import ridgecv as costs
from bench_core.scaling.operations import FitCost
from tests.scaling.counting import count_himalaya, count_own, count_ridgecv

ALPHAS = (1.0, 10.0, 100.0, 1000.0)


def problem(t: int, p: int, s: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(t + p)
    return rng.standard_normal((t, p)), rng.standard_normal((t, s))


@pytest.mark.parametrize(
    ("t", "p", "s", "gcv_mode", "form"),
    [
        (60, 90, 50, None, "gram"),
        (90, 40, 30, None, "cov"),
        (90, 40, 30, "svd", "svd"),
        (40, 90, 30, "svd", "svd"),
    ],
)
def test_ridgecv_does_what_its_cost_says(monkeypatch, t, p, s, gcv_mode, form):
    model = strategies.get("ridgecv")(ALPHAS, gcv_mode=gcv_mode)
    cost = model.cost(t, p, s)
    assert cost.form == form
    work = count_ridgecv(monkeypatch)
    model.fit(*problem(t, p, s))
    for kernel in KERNELS:
        assert cost.flops(kernel) == work[kernel]
    # New memory: results of numpy's element-wise operations and products, X and Y besides.
    own = sum(
        operation.amount
        for operation, _ in cost.operations()
        if operation.kind == "fresh" and operation.phase not in ("centring", "factorisation")
    )
    assert own == pytest.approx(work["fresh"], rel=0.15)


@pytest.mark.parametrize(
    ("t", "p", "s", "options"),
    [
        (90, 150, 400, {}),
        (600, 650, 400, {"alpha_per_target": True}),  # triangles, in panels of 192 rows
        (160, 60, 300, {"solver": "primal"}),
        (160, 60, 300, {"solver": "primal", "alpha_per_target": True}),
        (90, 150, 400, {"coef": None}),
        (90, 150, 2000, {"dtype": "float32"}),
    ],
)
def test_multitarget_does_what_its_cost_says(monkeypatch, t, p, s, options):
    model = strategies.get("multitarget")(ALPHAS, **options)
    cost = model.cost(t, p, s)
    work = count_own(monkeypatch)
    model.fit(*problem(t, p, s))
    assert cost.flops("staged") == work["staged"]
    total = sum(work[kernel] for kernel in KERNELS)
    assert cost.flops() == pytest.approx(total, rel=0.15)


@pytest.mark.parametrize(("t", "p", "s"), [(60, 90, 50), (90, 40, 30)])
def test_himalaya_does_what_its_cost_says(monkeypatch, t, p, s):
    pytest.importorskip("himalaya")
    model = strategies.get("himalaya")(ALPHAS)
    cost = model.cost(t, p, s)
    work = count_himalaya(monkeypatch)
    model.fit(*problem(t, p, s))
    assert cost.flops("eigh") == work["eigh"]
    assert cost.flops("svd") == work["svd"]
    # The kernel, and the coefficients from it, are products outside the backend's functions.
    outside = 2 * t * p * s if cost.form == "kernel" else 0
    assert cost.flops("gemm") - outside == work["gemm"]


@pytest.mark.parametrize("name", ["bmor", "mor"])
def test_nodes_repeat_what_depends_on_x_alone(name):
    size = 300, 500, 24
    one, four = (strategies.get(name)(ALPHAS).cost(*size, nodes=count) for count in (1, 4))
    alone = strategies.get("ridgecv")(ALPHAS).cost(*size)
    repeats = 24 if name == "mor" else 4
    assert four.flops("eigh") == repeats * alone.flops("eigh")
    assert four.flops("syrk") == repeats * alone.flops("syrk")
    assert four.flops("gemm") == pytest.approx(one.flops("gemm"))
    assert len(four.node_bytes) == 4


def test_the_plan_and_the_cost_of_this_packages_ridge_are_one():
    for name in ("multitarget", "bmor-shared"):
        for options in ({}, {"alpha_per_target": True}, {"cv": 3}):
            model = strategies.get(name)(ALPHAS, **options)
            for size in ((200, 400, 600), (500, 100, 600)):
                for nodes in (1, 3) if name == "bmor-shared" else (1,):
                    plan = model.plan(*size, nodes=nodes)
                    cost = model.cost(*size, nodes=nodes)
                    assert cost.flops() == pytest.approx(plan.flops)
                    assert sum(cost.node_bytes) == plan.peak_bytes
                    assert cost.form == plan.form


def test_shared_nodes_send_what_the_plan_says():
    cost = strategies.get("bmor-shared")(ALPHAS).cost(200, 400, 600, nodes=2)
    plan = strategies.get("bmor-shared")(ALPHAS).plan(200, 400, 600, nodes=2)
    assert cost.amount("network") == plan.settings["sum_bytes"]


def test_memory_that_preflight_needs_is_the_costs():
    for name in ("ridgecv", "mor", "bmor"):
        kind = strategies.get(name)
        for nodes in (1, 3):
            cost = kind().cost(500, 200, 70, "float32", nodes)
            assert kind.bytes_needed(500, 200, 70, "f4", nodes) == cost.peak_bytes


def _split(fitted: FitShape, nodes: int) -> FitCost:
    return costs.bmor(fitted, nodes)


@settings(max_examples=50, deadline=None)
@given(
    t=st.integers(10, 3000),
    p=st.integers(10, 3000),
    s=st.integers(2, 5000),
    nodes=st.integers(1, 16),
)
def test_equation_3_7(t, p, s, nodes):
    """B-MOR: T_W / c + T_M, for targets that divide evenly over the nodes."""
    s = s * nodes
    one, many = _split(FitShape(t, p, s, 11), 1), _split(FitShape(t, p, s, 11), nodes)
    double = _split(FitShape(t, p, 2 * s, 11), 1)
    grown = double.flops() - one.flops()
    shared = one.flops() - grown
    assert many.flops() / nodes == pytest.approx(grown / nodes + shared, rel=1e-9)


@settings(max_examples=50, deadline=None)
@given(t=st.integers(10, 3000), p=st.integers(10, 3000), s=st.integers(1, 200))
def test_equation_3_6(t, p, s):
    """MOR: (T_W + s T_M) / c."""
    fitted = FitShape(t, p, s, 11)
    whole, double = costs.ridgecv(fitted), costs.ridgecv(FitShape(t, p, 2 * s, 11))
    grown = double.flops() - whole.flops()
    shared = whole.flops() - grown
    assert costs.mor(fitted, 1).flops() == pytest.approx(grown + s * shared, rel=1e-9)


def test_scikit_learn_before_1_9_formed_coefficients_once():
    fitted = FitShape(100, 300, 50, 11)
    new, old = costs.ridgecv(fitted), costs.ridgecv(fitted, release="before 1.9")
    assert new.flops() - old.flops() == 10 * 2 * 300 * 50 * 100
    assert costs.form_of(FitShape(300, 100, 50, 11), release="before 1.9") == "svd"
