"""Plan of a fit over nodes: division of the targets, messages and files, from its shape alone.

Steps, flops and memory are those of a fit in one process. "sum" and "coefficients" divide over the
nodes by targets; what depends on X alone does not. What a plan takes is said by the project's cost
model, which the caller passes as `PlanTimes` (`bench_core.scaling.node_plans`). The node that
factorises gets fewer targets to multiply meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import Any, Literal, Protocol

from bench_core.errors import counted, readable_bytes
from bench_core.ridge.planning import memory
from bench_core.ridge.planning.flops import (
    JOINT,
    TRIANGLES,
    FitShape,
    Form,
    Phase,
    Selection,
    Step,
    fold_ways,
    scheme_name,
    selection_rule,
    size_text,
    steps,
    triangles_serve,
    useful_flops,
)
from bench_core.ridge.planning.plan import DEFAULT_WIDTH, SMALLEST_WIDTH, no_room

Factorise = Literal["one", "each"]
Bounds = tuple[tuple[int, int], ...]

DIVIDED: tuple[Phase, ...] = ("sum", "coefficients")


@dataclass(frozen=True)
class NodePlan:
    """Division of a fit over nodes, what travels between them, and the memory of each.

    form : "dual" (G, t × t, is summed) or "primal" (r numbers for each sample, and B, p × p).
    selection : "shared" (penalties are scored from that sum) or "each" (nodes predict their own
        targets with every penalty, and r numbers for each target are gathered).
    factorise : "one" (node 0 factorises X, and its result is broadcast by file) or "each" (every
        node does the same, and nothing is broadcast). Folds that need X of a node are factorised
        by every node in either case, as the others would only wait.
    targets : the columns [start, stop) of Y that each node scores; ``solved`` those whose
        coefficients it forms.
    sum_bytes : bytes that nodes send each other in messages. file_bytes : bytes that one node
        writes for the others, and each reads once.
    node_bytes : peak memory of each node beyond the files of X and Y; on its GPU where it has one.
    triangles, joint : as in `bench_core.ridge.planning.plan.Plan`. block : most columns of Y that
        are read at once.
    """

    shape: FitShape
    nodes: int
    form: Form
    selection: Selection
    factorise: Factorise
    targets: Bounds
    solved: Bounds
    steps: tuple[Step, ...]
    sum_bytes: int
    file_bytes: int
    node_bytes: tuple[int, ...]
    triangles: bool = False
    joint: bool = False
    block: int = DEFAULT_WIDTH

    @property
    def width(self) -> int:
        """Columns of Y per block."""
        return min(self.block, self.shape.s)

    @property
    def sums_need_x(self) -> bool:
        """True where sums over targets need X factorised: all but Gram matrices of targets."""
        return not (self.form == "dual" and self.selection == "shared")

    @property
    def passes(self) -> int:
        """Number of passes over the targets that scoring takes."""
        if self.joint:
            once = self.selection == "each" or not self.shape.scaled
        else:
            once = not self.sums_need_x and not self.shape.scaled
        return 1 if once else max(1, len(self.shape.folds))

    @property
    def holders(self) -> int:
        """Number of nodes, from the first, that hold X and factorise it."""
        own_folds = self.by_fold and self.sums_need_x
        return self.nodes if self.factorise == "each" or own_folds else 1

    @property
    def used_nodes(self) -> list[int]:
        """Nodes that have targets to score or to solve, and node 0."""
        shares = enumerate(zip(self.targets, self.solved, strict=True))
        busy = [node for node, both in shares if any(stop > start for start, stop in both)]
        return sorted({0, *busy})

    @property
    def nodes_with_x(self) -> list[int]:
        """Nodes that X is sent to."""
        return self.used_nodes if self.holders > 1 else [0]

    @property
    def by_fold(self) -> bool:
        """True where every fold has a factorisation of its own."""
        return bool(self.shape.folds) and not self.joint

    @property
    def flops(self) -> float:
        """Flops of all nodes together."""
        return sum(step.flops * self._times(step) for step in self.steps)

    @property
    def useful_flops(self) -> float:
        """Flops that the result needs, as for one process and one block of targets."""
        return useful_flops(
            self.shape,
            self.form,
            self.selection,
            self.shape.s,
            triangles=self.triangles,
            joint=self.joint,
        )

    def _times(self, step: Step) -> int:
        """Return how many nodes carry out a step as a whole."""
        if step.phase in DIVIDED or step.phase == "select":
            return 1
        if step.name == TRIANGLES or (step.name == JOINT and step.phase == "validate"):
            return min(self.nodes, self.shape.s)
        if step.phase == "validate":
            return self.holders
        return self.nodes if self.factorise == "each" else 1

    def _place(self, step: Step) -> str:
        if step.phase in DIVIDED:
            return "divided"
        return "node 0" if self._times(step) == 1 else "every node"

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values, for a record."""
        return {
            "form": self.form,
            "selection": self.selection,
            "factorise": self.factorise,
            "dtype": self.shape.dtype,
            "exact": self.shape.exact,
            "triangles": self.triangles,
            "joint": self.joint,
            "nodes": self.nodes,
            "width": self.width,
            "flops": self.flops,
            "useful_flops": self.useful_flops,
            "targets": [list(share) for share in self.targets],
            "sum_bytes": self.sum_bytes,
            "file_bytes": self.file_bytes,
            "peak_bytes": sum(self.node_bytes),
            "node_bytes": list(self.node_bytes),
            "steps": [
                {
                    "name": step.name,
                    "flops": step.flops,
                    "dtype": step.dtype,
                    "where": self._place(step),
                }
                for step in self.steps
            ],
        }

    def __str__(self) -> str:
        w = self.shape
        scheme = scheme_name(w, joint=self.joint)
        rule = selection_rule(w, self.selection, sums="from a sum over all nodes")
        who = {"one": "node 0", "each": "every node, cheaper than to broadcast"}[self.factorise]
        shares = [stop - start for start, stop in self.targets]
        lines = [
            f"ridge on {counted(self.nodes, 'node')}, {self.form} form, {w.dtype}: {size_text(w)}",
            f"selection by {scheme}, {rule}",
            f"factorised by {who}; targets per node {', '.join(map(str, shares))}",
        ]
        lines += [
            f"  {step.name:<26}{step.flops / 1e9:>12,.1f} Gflop {step.dtype}, {self._place(step)}"
            for step in self.steps
        ]
        if w.exact:
            lines.append("X itself is decomposed: its square would be too inexact")
        lines.append(
            f"  messages {readable_bytes(self.sum_bytes)}, by file "
            f"{readable_bytes(self.file_bytes)}; peak memory of a node "
            f"{readable_bytes(max(self.node_bytes))} beyond X and Y"
        )
        return "\n".join(lines)


class PlanTimes(Protocol):
    """Times of plans by a cost model, in seconds."""

    def plan(self, plan: NodePlan) -> float:
        """Return the elapsed time of a plan; its ``node_bytes`` are not known yet."""

    def steps(self, plan: NodePlan, phases: tuple[Phase, ...]) -> float:
        """Return the time of the steps of these phases on one node, for all targets."""


def make_node_plan(
    shape: FitShape,
    nodes: int,
    times: PlanTimes,
    *,
    form: Form | None = None,
    selection: Selection | None = None,
    factorise: Factorise | None = None,
    joint: bool | None = None,
    memory_limit: int | None = None,
) -> NodePlan:
    """Return the plan that takes the least time; all but the shape and nodes is chosen or given.

    Each node repeats the factorisation where the time that this adds (node 0's share of the
    targets is then no smaller than the others') is below the time to move the solution.

    memory_limit : bytes that each node may use. Raises `ResourceError`, with the bytes that the
    leanest plan needs, where none fits.
    """
    usual: tuple[Form, ...] = ("dual",) if shape.t <= shape.p else ("dual", "primal")
    selections: tuple[Selection, ...] = (selection,) if selection else ("shared", "each")
    if shape.each:
        selections = ("each",)
    ways: tuple[Factorise, ...] = (factorise,) if factorise else ("one", "each")
    if factorise is None and min(nodes, shape.s) == 1:
        ways = ("one",)  # there is nobody to send anything to
    candidates = [
        _candidate(shape, nodes, times, a, b, c, triangles, together)
        for a, b, c in product((form,) if form else usual, selections, ways)
        for together in fold_ways(shape, a, joint)
        for triangles in {False, triangles_serve(shape, a, b, joint=together)}
    ]
    if memory_limit is None:
        return _with_memory(min(candidates, key=times.plan))
    limited = [_narrowed(_with_memory(plan), memory_limit) for plan in candidates]
    fitting = [plan for plan in limited if max(plan.node_bytes) <= memory_limit]
    if not fitting:
        needed = min(max(plan.node_bytes) for plan in limited)
        raise no_room(shape, needed, memory_limit, whose="a node of this fit")
    return min(fitting, key=times.plan)


def _narrowed(plan: NodePlan, limit: int) -> NodePlan:
    """Return the plan with blocks as wide as every node's memory allows, or the narrowest."""
    while max(plan.node_bytes) > limit and plan.width > SMALLEST_WIDTH:
        plan = _with_memory(replace(plan, block=max(SMALLEST_WIDTH, plan.width // 2)))
    return plan


def _with_memory(plan: NodePlan) -> NodePlan:
    """Return the plan with the memory of its nodes."""
    busy = range(min(plan.nodes, plan.shape.s))
    return replace(plan, node_bytes=tuple(_node_bytes(plan, node) for node in busy))


def even_shares(s: int, nodes: int) -> Bounds:
    """Return contiguous shares [⌊i·s/n⌋, ⌊(i+1)·s/n⌋) for n = min(s, nodes), empty ones after."""
    n = min(s, nodes)
    bounds = [i * s // n for i in range(n + 1)]
    return (*pairwise(bounds), *(((s, s),) * (nodes - n)))


def _balanced_shares(s: int, nodes: int, per_target: float, head_start: float) -> Bounds:
    """Return shares that end at the same time, node 0 having ``head_start`` seconds to do first."""
    n = min(s, nodes)
    if n == 1:
        return even_shares(s, nodes)
    first = (s * per_target + head_start) / n - head_start
    # Every other node has at least one target.
    count = min(round(max(first / per_target, 0)), s - (n - 1))
    return ((0, count), *((count + a, count + b) for a, b in even_shares(s - count, nodes - 1)))


def _candidate(
    shape: FitShape,
    nodes: int,
    times: PlanTimes,
    form: Form,
    selection: Selection,
    factorise: Factorise,
    triangles: bool,
    joint: bool,
) -> NodePlan:
    own = steps(shape, form, selection, triangles=triangles, joint=joint)
    solved = even_shares(shape.s, nodes)
    plan = NodePlan(
        shape,
        nodes,
        form,
        selection,
        factorise,
        solved,
        solved,
        own,
        0,
        0,
        (),
        triangles,
        joint,
    )
    if not plan.sums_need_x and factorise == "one":
        prepared = times.steps(plan, ("factorise", "validate"))
        per_target = times.steps(plan, ("sum",)) / shape.s
        plan = replace(plan, targets=_balanced_shares(shape.s, nodes, per_target, prepared))
    there = plan.targets[0][1] > 0
    return replace(
        plan,
        sum_bytes=sum(
            _tree_bytes(part, joined=selection == "each", there=there)
            for part in part_bytes(plan, plan.targets)
        ),
        file_bytes=_file_bytes(plan) if factorise == "one" and min(nodes, shape.s) > 1 else 0,
    )


def part_bytes(plan: NodePlan, targets: Bounds) -> Iterator[list[int]]:
    """Yield the bytes of every node's part of the sums, pass by pass."""
    w = plan.shape
    shares = [stop - start for start, stop in targets if stop > start]
    if plan.selection == "each":
        folds = len(w.folds) if plan.joint and not plan.triangles else 1
        yield from [[folds * 8 * w.r * (share + 2) for share in shares]] * plan.passes
    elif plan.form == "dual":
        yield from [[8 * w.t * w.t] * len(shares)] * plan.passes
    elif plan.joint:
        held = [test for _, test in w.folds]
        for some in [held] if plan.passes == 1 else [[rows] for rows in held]:
            yield [8 * (sum(n * (n + w.p) for n in some) + w.p * w.p)] * len(shares)
    else:
        for rows in [test for _, test in w.folds] or [w.t]:
            yield [8 * ((w.r + 1) * rows + w.p * w.p)] * len(shares)


def _tree_bytes(parts: list[int], *, joined: bool, there: bool) -> int:
    """Return the bytes sent to node 0 when parts are added, or joined, in pairs of neighbours.

    ``there`` : the first part is node 0's.
    """
    sent = 0
    while len(parts) > 1:
        pairs = list(zip(parts[::2], parts[1::2], strict=False))
        sent += sum(right for _, right in pairs)
        rest = parts[len(parts) - len(parts) % 2 :]
        parts = [left + right if joined else left for left, right in pairs] + rest
    return sent if there else sent + parts[0]


def _file_bytes(plan: NodePlan) -> int:
    """Return the bytes that node 0 writes: factors to score with, if needed, and the solution."""
    t, p, z = plan.shape.t, plan.shape.p, plan.shape.itemsize
    if plan.form == "primal":
        return t * p * z + p * p * z + 8 * p
    own = t * t * z + 8 * t
    factors = 0
    if plan.sums_need_x and not plan.by_fold:
        factors = t * t * (8 if plan.joint else z) + 8 * t
    # With a penalty per target the solution is the basis, and the vectors beside it.
    return factors + t * p * z + (own if plan.shape.per_target else 0)


def _node_bytes(plan: NodePlan, node: int) -> int:
    """Return the most memory that a node holds at one time, beyond X and Y as files."""
    start, stop = plan.targets[node]
    first, last = plan.solved[node]
    share = replace(plan.shape, s=max(stop - start, last - first, 1), coef="file")
    width = min(plan.width, share.s)
    phases = memory.phase_bytes(
        share, plan.form, plan.selection, width, triangles=plan.triangles, joint=plan.joint
    )
    part = max(max(parts) for parts in part_bytes(plan, plan.targets))
    received = part if min(plan.nodes, plan.shape.s) > 1 else 0
    factors = memory.factor_bytes(plan.shape, plan.form)
    if node > 0 and not plan.sums_need_x and plan.factorise == "one":
        phases["sum"] -= factors
    phases["sum"] += received
    if node >= plan.holders:
        phases.pop("factorise")
    if node > 0:
        phases.pop("select", None)
        if plan.factorise == "one":
            phases.pop("solution", None)
            # The solution, X's size, is all that is held; with a penalty per target it is more.
            if plan.form == "dual" and not plan.shape.per_target:
                phases["coefficients"] -= factors + 8 * plan.shape.t**2
    every_fold = plan.joint and plan.selection == "each" and not plan.triangles
    small = memory.small_bytes(share, plan.selection, every_fold=every_fold)
    return max(phases.values()) + small
