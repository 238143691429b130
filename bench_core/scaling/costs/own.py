"""Cost of this package's own ridge: ``multitarget`` in one process and ``bmor-shared`` over nodes.

Flops, passes and memory are those of the plan that the fit carries out
(`bench_core.ridge.planning`): the cost here is that plan, step by step, with the memory traffic
that surrounds the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby
from math import ceil, log2

from bench_core.ridge.planning.flops import TRIANGLES, FitShape, Step
from bench_core.ridge.planning.flops import Phase as StepPhase
from bench_core.ridge.planning.nodes import NodePlan, part_bytes
from bench_core.ridge.planning.plan import Plan
from bench_core.scaling.costs.ridgecv import problem_bytes
from bench_core.scaling.operations import (
    FitCost,
    Load,
    Operation,
    Phase,
    Stage,
    alone,
    driver,
    resource,
    waiting,
)

_PHASES: dict[StepPhase, Phase] = {
    "factorise": "factorisation",
    "validate": "factorisation",
    "sum": "scores",
    "select": "scores",
    "solution": "solution",
    "coefficients": "solution",
}
DIVIDED = ("sum", "coefficients")


def multitarget(plan: Plan) -> FitCost:
    """Return the cost of a plan in one process."""
    shape = plan.shape
    operations = [*_prepared(shape)]
    for step in plan.steps:
        operations += step_operations(plan, step, shape.s)
    operations += _targets_read(shape, plan.steps)
    operations += _coefficients(shape, memory=shape.coef == "memory")
    needed = (plan.peak_bytes,)
    held = problem_bytes(shape)
    # Y stays in its file, whose pages the system can take back.
    resident = shape.t * shape.p * shape.itemsize
    return FitCost("multitarget", plan.form, 1, alone(operations), needed, held, resident)


def bmor_shared(plan: NodePlan) -> FitCost:
    """Return the cost of a plan over nodes, stage by stage."""
    shape, n = plan.shape, min(plan.nodes, plan.shape.s)
    scored = _shares(plan.targets)
    solved = _shares(plan.solved)
    one = plan.factorise == "one"

    def steps(phases: tuple[StepPhase, ...], targets: int) -> list[Operation]:
        chosen = [step for step in plan.steps if step.phase in phases]
        return [each for step in chosen for each in step_operations(plan, step, targets)]

    factorised = [*_prepared(shape), *steps(("factorise",), shape.s)]
    # Triangles are of the nodes that score, folds of those that hold X.
    folds = steps(("validate",), shape.s) if shape.folds else []
    holders = plan.holders if shape.folds or not one else 1
    stages: list[Stage] = []
    if not plan.sums_need_x and one:
        # Node 0 factorises X while the others multiply their targets, and then its own.
        first = Load((*factorised, *folds, *_scoring(plan, scored[0], steps)))
        others = [
            Load(tuple(_scoring(plan, share, steps)), count)
            for share, count in _grouped(scored[1:n])
        ]
        stages.append(Stage((first, *others, driver(n))))
    else:
        stages.append(Stage((Load((*factorised, *folds), holders),)))
        if one and n > 1 and holders == 1:
            stages.append(_filed(plan))
        loads = [
            Load(tuple(_scoring(plan, share, steps)), count)
            for share, count in _grouped(scored[:n])
        ]
        stages.append(Stage((*loads, driver(n))))
    stages.append(_summed(plan, n))
    solution = steps(("solution",), shape.s)
    chosen = [*steps(("select",), shape.s), *(solution if one else [])]
    stages.append(Stage((Load(tuple(chosen)),)))
    if one and n > 1:
        stages.append(_filed(plan))
    ends = []
    for share, count in _grouped(solved[:n]):
        operations = [
            *([] if one else solution),
            *steps(("coefficients",), share),
            *_coefficients(replace(shape, s=share), memory=False),
            resource("transfers", "task", 3),
        ]
        ends.append(Load(tuple(operations), count))
    stages.append(Stage((*ends, driver(2 * n))))
    # Folders and files are made, factors, sums, scores and solutions waited for.
    stages.append(waiting(4 + plan.passes))
    shared = problem_bytes(shape) + shape.s * shape.p * shape.itemsize
    resident = shape.t * shape.p * shape.itemsize
    return FitCost("bmor-shared", plan.form, n, tuple(stages), plan.node_bytes, shared, resident)


def _scoring(
    plan: NodePlan, share: int, steps: Callable[[tuple[StepPhase, ...], int], list[Operation]]
) -> Iterator[Operation]:
    """Yield the operations of a node that sums over ``share`` targets."""
    yield from steps(("validate", "sum") if plan.triangles else ("sum",), share)
    shape = replace(plan.shape, s=max(share, 1))
    once = shape.t * shape.s * shape.itemsize
    yield resource("reading", "stream", plan.passes * once, each=once)


def _summed(plan: NodePlan, n: int) -> Stage:
    """Return the tree that adds the nodes' sums, in pairs of neighbours."""
    rounds = ceil(log2(n)) if n > 1 else 0
    sent = sum(max(parts) for parts in part_bytes(plan, plan.targets))
    operations = (
        resource("transfers", "network", rounds * sent),
        resource("transfers", "task", rounds * plan.passes),
    )
    return Stage((Load(operations), driver(n if rounds else 0)))


def _filed(plan: NodePlan) -> Stage:
    """Return what node 0 writes for the others, who read it at the same time."""
    return Stage(
        (
            Load(
                (
                    resource("transfers", "file", plan.file_bytes),
                    resource("transfers", "stream", plan.file_bytes),
                )
            ),
        )
    )


def _shares(bounds: tuple[tuple[int, int], ...]) -> list[int]:
    return [stop - start for start, stop in bounds]


def _grouped(shares: list[int]) -> list[tuple[int, int]]:
    return [(share, len(list(group))) for share, group in groupby(sorted(shares)) if share]


def step_operations(plan: Plan | NodePlan, step: Step, targets: int) -> Iterator[Operation]:
    """Yield a step of a plan, for ``targets`` of its targets where it divides over them."""
    shape = plan.shape
    order = shape.t if plan.form == "dual" else min(shape.t, shape.p)
    divided = step.phase in DIVIDED
    share = targets / shape.s if divided else 1.0
    size = min(order, targets, plan.width) if divided else order
    kernel = step.kernel
    phase: Phase = _PHASES[step.phase]
    if kernel == "syrk" and step.phase in ("factorise", "solution") and step.name != "inverse":
        phase = "Gram or covariance"
    flops = step.flops * step.weight * share
    yield Operation(phase, kernel, flops, float(size), 0.0, step.dtype)
    order_bytes = 8.0 * order * order
    if step.name == TRIANGLES:
        yield resource(phase, "fresh", shape.r * 4 * order_bytes, each=order_bytes)
    elif kernel in ("staged", "svd"):
        many = max(1, len(shape.folds)) if step.name.startswith("folds'") else 1
        yield resource(phase, "fresh", many * 3 * order_bytes, each=order_bytes)
    elif step.phase in ("select", "solution"):
        yield resource(phase, "fresh", 2 * order_bytes, each=order_bytes)
    elif step.name == "scores" and plan.selection == "each":
        # Damped coordinates, residuals, their division, squares and sums, for every penalty.
        held = shape.t * targets * shape.itemsize
        passes = 2 if plan.triangles else 1 if shape.gcv else 6
        block = shape.t * min(targets, plan.width) * shape.itemsize
        moved = passes * (1 if shape.gcv else shape.r) * held
        yield resource(phase, "stream", moved, each=block)


def _prepared(shape: FitShape) -> Iterator[Operation]:
    """Yield the reading of X, its means and its centred copy."""
    values = float(shape.t) * shape.p * shape.itemsize
    yield resource("reading", "fit", 1)
    yield resource("reading", "stream", 2 * values, each=values)
    yield resource("centring", "fresh", values, each=values)
    yield resource("centring", "stream", values, each=values)


def _targets_read(shape: FitShape, steps: tuple[Step, ...]) -> Iterator[Operation]:
    """Yield the passes over Y, and one more for its means."""
    once = shape.t * shape.s * shape.itemsize
    read = sum(step.read for step in steps) + once
    yield resource("reading", "stream", float(read), each=once)


def _coefficients(shape: FitShape, *, memory: bool) -> Iterator[Operation]:
    """Yield the memory or the file that coefficients go to."""
    if shape.coef is None:
        return
    held = float(shape.p) * shape.s * shape.itemsize
    if memory:
        yield resource("solution", "pages", held)
    else:
        yield resource("solution", "fresh", held, each=held)
        yield resource("transfers", "stream", 2 * held, each=held)
        yield resource("transfers", "file", held)
