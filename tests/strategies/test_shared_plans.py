"""Plans of bmor-shared over nodes: every target once, and no way that takes less time."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench_core.ridge.planning.flops import FitShape, steps, useful_flops
from bench_core.ridge.planning.plan import make_plan
from bench_core.scaling.calibration import MemorySpeed
from bench_core.scaling.node_plans import ModelledTimes, nominal_calibration, plan_nodes


@settings(deadline=None)
@given(st.integers(2, 3000), st.integers(1, 3000), st.integers(1, 5000), st.integers(1, 9))
def test_plans_give_every_target_to_one_node(t, p, s, nodes):
    for factorise in ("one", "each", None):
        plan = plan_nodes(FitShape(t, p, s, 11, dtype="float32"), nodes, factorise=factorise)
        for shares in (plan.targets, plan.solved):
            assert len(shares) == nodes
            covered = [column for start, stop in shares for column in range(start, stop)]
            assert covered == list(range(s))
        assert min(plan.node_bytes) > 0


def test_the_node_that_factorises_multiplies_fewer_targets():
    plan = plan_nodes(FitShape(2250, 4096, 66_201, 11), 2)
    first, second = (stop - start for start, stop in plan.targets)
    assert plan.factorise == "one"
    times = ModelledTimes(nominal_calibration(), 1)
    factorised = times.steps(plan, ("factorise",))
    per_target = times.steps(plan, ("sum",)) / 66_201
    # Both nodes end at the same time, within what one target takes.
    assert abs(factorised + (first - second) * per_target) <= per_target
    even = [stop - start for start, stop in plan.solved]
    assert max(even) - min(even) <= 1


def test_the_nominal_node_has_the_rates_that_it_is_said_to_have():
    """9 n³ flops at 50 Gflop/s and n² p at 100, with 8 · 4 n² bytes of new memory at 5 GB/s."""
    n, p = 2250, 4096
    plan = plan_nodes(FitShape(n, p, 66_201, 11), 2, form="dual", selection="shared")
    found = ModelledTimes(nominal_calibration(), 1).steps(plan, ("factorise",))
    products = n**2 * p / 100e9 * (1 + 16 / n)
    by_hand = products + 9 * n**3 / 50e9 + 3 * 8 * n**2 / 5e9
    assert found == pytest.approx(by_hand, rel=0.02)


def test_nodes_factorise_each_where_that_is_cheaper_than_the_transfer():
    small, large = FitShape(100, 20_000, 100_000, 11), FitShape(2250, 4096, 66_201, 11)
    assert plan_nodes(small, 4).factorise == "each"
    assert plan_nodes(large, 4).factorise == "one"
    usual = nominal_calibration()
    memory = [one for one in usual.memory if one.kind != "file"]
    slow = replace(usual, memory=(*memory, MemorySpeed("file", 1, 1e-3)), network_gbytes_s=1e-3)
    assert plan_nodes(large, 4, calibration=slow).factorise == "each"


@given(st.integers(2, 2000), st.integers(1, 2000), st.integers(1, 3000), st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_no_other_plan_takes_less_time(t, p, s, nodes):
    shape = FitShape(t, p, s, 11)
    times = ModelledTimes(nominal_calibration(), 1)
    best = times.plan(plan_nodes(shape, nodes))
    for selection, factorise in product(("shared", "each"), ("one", "each")):
        other = plan_nodes(shape, nodes, selection=selection, factorise=factorise)
        assert best <= times.plan(other) * (1 + 1e-9)


@settings(deadline=None)
@given(st.integers(2, 3000), st.integers(1, 3000), st.integers(1, 5000))
def test_one_node_costs_what_one_process_does(t, p, s):
    shape = FitShape(t, p, s, 11, coef="file")
    for form, selection in product(("dual", "primal"), ("shared", "each")):
        # Nodes keep eigenvectors.
        options = {"form": form, "selection": selection, "tridiagonal": False}
        alone = make_plan(shape, **options, width=s)
        node = plan_nodes(shape, 1, form=form, selection=selection)
        useful = useful_flops(shape, form, selection, s, triangles=node.triangles)
        assert node.useful_flops == useful
        own = steps(shape, form, selection, triangles=node.triangles)
        assert node.flops == pytest.approx(sum(step.flops for step in own))
        if node.triangles == alone.triangles:  # the one is ranked by time, the other by flops
            assert node.useful_flops == alone.useful_flops
            kept = 2 * t * p * s if alone.keeps_coordinates else 0
            assert node.flops == pytest.approx(alone.flops + kept)
