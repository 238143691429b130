"""Plans over nodes by the cost model: `bench_core.ridge.planning.nodes`, ranked by predicted time.

A plan follows from the shape alone, so that a fit is divided in the same way on every machine, and
its record can be compared with another machine's. Its times are therefore those of a nominal node
and not of a calibration that was measured here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

from bench_core.ridge.planning.flops import FitShape, Form, Phase, Selection
from bench_core.ridge.planning.nodes import Factorise, NodePlan, make_node_plan
from bench_core.scaling.calibration import (
    CalibratedBlas,
    CalibratedMachine,
    Calibration,
    MemorySpeed,
)
from bench_core.scaling.costs.own import bmor_shared, step_operations
from bench_core.scaling.parameters import Parameters, build_calibration
from bench_core.scaling.prediction import operation_seconds, predict

NODE = Parameters(
    gemm=100.0,
    eigh=50.0,
    svd=50.0,
    memory=10.0,
    fresh_part=0.5,
    pages=5.0,
    network=1.0,
    task_s=0.001,
    message_s=0.001,
    round_s=0.005,
    fit_s=0.001,
)
"""A nominal node: products at 100 Gflop/s, decompositions at half of that, a network of 1 GB/s."""

FILE_GBYTES_S = 1.0
"""Rate of the nominal file system that nodes share."""


@lru_cache(maxsize=1)
def nominal_calibration() -> Calibration:
    """Return the calibration of the nominal node, whose threads are all in its rates.

    >>> nominal_calibration().network_gbytes_s
    1.0
    """
    made = build_calibration(
        NODE,
        machine=CalibratedMachine("nominal", None, 1, 2**36, 1024),
        blas=CalibratedBlas("nominal", None, None),
        threads=(1,),
    )
    return replace(
        made,
        memory=(*made.memory, MemorySpeed("file", 1, FILE_GBYTES_S)),
        notes=("a nominal node: nothing was measured",),
    )


@dataclass(frozen=True)
class ModelledTimes:
    """Times of plans on the nodes of a calibration; a `bench_core.ridge.planning.nodes.PlanTimes`.

    threads : of every node.

    Examples
    --------
    >>> times = ModelledTimes(nominal_calibration(), 1)
    >>> plan = plan_nodes(FitShape(900, 2000, 5000, 11), 4)
    >>> 0 < times.steps(plan, ("factorise",)) < times.plan(plan)
    True
    """

    calibration: Calibration
    threads: int

    def plan(self, plan: NodePlan) -> float:
        """Return the elapsed time of a plan."""
        return predict(bmor_shared(plan), self.calibration, self.threads).seconds

    def steps(self, plan: NodePlan, phases: tuple[Phase, ...]) -> float:
        """Return the time of the steps of these phases on one node, for all targets."""
        return sum(
            operation_seconds(operation, self.calibration, self.threads)
            for step in plan.steps
            if step.phase in phases
            for operation in step_operations(plan, step, plan.shape.s)
        )


def plan_nodes(
    shape: FitShape,
    nodes: int,
    *,
    form: Form | None = None,
    selection: Selection | None = None,
    factorise: Factorise | None = None,
    joint: bool | None = None,
    memory_limit: int | None = None,
    calibration: Calibration | None = None,
) -> NodePlan:
    """Return the plan that takes the least predicted time on so many nominal nodes.

    Parameters
    ----------
    form, selection, factorise, joint : chosen unless given.
    memory_limit : bytes that each node may use; None for all there are.
    calibration : of other nodes, with one thread each; None for the nominal ones.

    Raises `ResourceError`, with the bytes that the leanest plan needs, where none fits.

    Examples
    --------
    >>> plan_nodes(FitShape(2250, 4096, 66_201, 11), 2).factorise
    'one'
    """
    return make_node_plan(
        shape,
        nodes,
        ModelledTimes(calibration or nominal_calibration(), 1),
        form=form,
        selection=selection,
        factorise=factorise,
        joint=joint,
        memory_limit=memory_limit,
    )
