"""Plans of the ridge package in the terms common to all strategies."""

from __future__ import annotations

from bench_core.records.fit_plan import FitPlan
from bench_core.ridge.planning.nodes import NodePlan
from bench_core.ridge.planning.plan import Plan

COMMON = ("form", "flops", "useful_flops", "peak_bytes", "node_bytes", "nodes", "slowdown")


def common_plan(
    strategy: str,
    plan: Plan | NodePlan,
    *,
    nodes: int = 1,
    peak: int,
    node_bytes: tuple[int, ...] = (),
    slowdown: float | None = None,
) -> FitPlan:
    """Return a plan of the ridge package as a `FitPlan`; what is not common goes to settings."""
    return FitPlan(
        strategy=strategy,
        nodes=nodes,
        form=plan.form,
        flops=plan.flops,
        useful_flops=plan.useful_flops,
        peak_bytes=peak,
        node_bytes=node_bytes,
        slowdown=slowdown,
        settings={name: value for name, value in plan.to_dict().items() if name not in COMMON},
        text=str(plan),
    )
