"""How ``bmor-shared`` divides its work over nodes: decided from shapes, before anything runs.

Costs are compared in float64 flops. Float32 flops count half, an eigendecomposition counts twice
its flops (it runs at about half the rate of a product), and a byte between nodes counts
`FLOPS_PER_BYTE`. Work on targets divides by the nodes, the factorisation does not; the node that
factorises therefore gets fewer targets to multiply meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise, product
from math import ceil, log2
from typing import Any, Literal

import numpy as np

from bench_core.errors import readable_bytes
from bench_core.ridge.planning.plan import DEFAULT_WIDTH, FitShape, Form, Selection

Factorise = Literal["one", "each"]
Bounds = tuple[tuple[int, int], ...]

FLOPS_PER_BYTE = 100.0
"""What moving a byte costs: a node's 100 Gflop/s against 1 GB/s of a network or file system."""

EIGH_FLOPS = 9.0


@dataclass(frozen=True)
class SharedStep:
    """One part of a fit. ``where`` is "node 0", "every node" or "divided".

    ``flops`` are of all nodes together where divided, else of one node.
    """

    name: str
    flops: float
    dtype: str
    where: str


@dataclass(frozen=True)
class SharedPlan:
    """Who does what in a fit of ``shape`` on ``nodes`` nodes, and what travels.

    form : "dual" (G, t × t, is summed) or "primal" (r numbers for each sample, and B, p × p).
    selection : "shared" (penalties are scored from that sum) or "each" (nodes predict their own
        targets with every penalty, and r numbers are summed).
    factorise : "one" (node 0 does, and its result is broadcast by file) or "each" (every node
        does the same, and nothing is broadcast).
    targets : the columns [start, stop) of Y that each node scores; ``solved`` those whose
        coefficients it forms.
    sum_bytes : what nodes send each other in messages. file_bytes : what one node writes for the
        others, and each reads once.
    node_bytes : peak memory of each node beyond Y's pages.
    """

    shape: FitShape
    nodes: int
    form: Form
    selection: Selection
    factorise: Factorise
    targets: Bounds
    solved: Bounds
    steps: tuple[SharedStep, ...]
    sum_bytes: int
    file_bytes: int
    node_bytes: tuple[int, ...]
    cost: float

    @property
    def width(self) -> int:
        """Columns of Y per block."""
        return min(DEFAULT_WIDTH, self.shape.s)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values, for a record."""
        return {
            "form": self.form,
            "selection": self.selection,
            "factorise": self.factorise,
            "nodes": self.nodes,
            "targets": [list(share) for share in self.targets],
            "sum_bytes": self.sum_bytes,
            "file_bytes": self.file_bytes,
            "node_bytes": list(self.node_bytes),
            "steps": [vars(step) for step in self.steps],
        }

    def __str__(self) -> str:
        w = self.shape
        rule = {
            "shared": "from a sum over all nodes: cost per penalty does not depend on s",
            "each": "by predicting every target with every penalty",
        }[self.selection]
        who = {"one": "node 0", "each": "every node, cheaper than to broadcast"}[self.factorise]
        shares = [stop - start for start, stop in self.targets]
        lines = [
            f"ridge on {self.nodes} nodes, {self.form} form, {w.dtype}: {w.t} samples × {w.p} "
            f"features × {w.s} targets, {w.r} penalties",
            f"selection by leave-one-out, {rule}",
            f"factorised by {who}; targets per node {', '.join(map(str, shares))}",
        ]
        lines += [
            f"  {step.name:<26}{step.flops / 1e9:>12,.1f} Gflop {step.dtype}, {step.where}"
            for step in self.steps
        ]
        lines.append(
            f"  messages {readable_bytes(self.sum_bytes)}, by file "
            f"{readable_bytes(self.file_bytes)}; peak memory of a node "
            f"{readable_bytes(max(self.node_bytes))} beyond X and Y"
        )
        return "\n".join(lines)


def shared_plan(
    shape: FitShape,
    nodes: int,
    *,
    form: Form | None = None,
    selection: Selection | None = None,
    factorise: Factorise | None = None,
) -> SharedPlan:
    """Return the cheapest plan; ``form``, ``selection`` and ``factorise`` are chosen unless given.

    The rule for ``factorise``: each node repeats the factorisation where the time that this adds
    (node 0's share of the targets is then no smaller than the others') is below the time to move
    the solution, `FLOPS_PER_BYTE` flops per byte.
    """
    usual: tuple[Form, ...] = ("dual",) if shape.t <= shape.p else ("dual", "primal")
    candidates = [
        _candidate(shape, min(nodes, shape.s), nodes, a, b, c)
        for a, b, c in product(
            (form,) if form else usual,
            (selection,) if selection else ("shared", "each"),
            (factorise,) if factorise else ("one", "each"),
        )
    ]
    return min(candidates, key=lambda plan: plan.cost)


def even_shares(s: int, nodes: int) -> Bounds:
    """Return contiguous shares [⌊i·s/n⌋, ⌊(i+1)·s/n⌋) for n = min(s, nodes), empty ones after."""
    n = min(s, nodes)
    bounds = [i * s // n for i in range(n + 1)]
    return (*pairwise(bounds), *(((s, s),) * (nodes - n)))


def _balanced_shares(s: int, nodes: int, per_target: float, head_start: float) -> Bounds:
    """Return shares that end at the same time when node 0 has ``head_start`` flops to do first."""
    n = min(s, nodes)
    if n == 1:
        return even_shares(s, nodes)
    first = (s * per_target + head_start) / n - head_start
    # Every other node has at least one target.
    count = min(round(max(first / per_target, 0)), s - (n - 1))
    return ((0, count), *((count + a, count + b) for a, b in even_shares(s - count, nodes - 1)))


@dataclass(frozen=True)
class _Costs:
    """Flops, in float64, of the parts of one form and selection, and the bytes that travel."""

    factor: float
    per_target: float
    select: float
    solve: float
    per_solved: float
    part: int
    basis: int
    solution: int


def _candidate(
    shape: FitShape, n: int, nodes: int, form: Form, selection: Selection, factorise: Factorise
) -> SharedPlan:
    costs = _dual_costs(shape, selection) if form == "dual" else _primal_costs(shape, selection)
    single = shape.dtype == "float32"
    half = 0.5 if single else 1.0
    one = factorise == "one"
    solved = even_shares(shape.s, nodes)
    # G needs nothing of X; all other scores need the factorisation first.
    early = form == "dual" and selection == "shared"
    if one and early:
        targets = _balanced_shares(shape.s, nodes, half * costs.per_target, costs.factor)
    else:
        targets = solved
    shares = [stop - start for start, stop in targets]
    scoring = [half * costs.per_target * share for share in shares]
    first = max([costs.factor + scoring[0], *scoring])
    if not (one and early):
        first = costs.factor + max(scoring)
    sent = costs.part * sum(share > 0 for share in shares[1:])
    filed = 0
    if one and n > 1:
        filed = costs.solution + (0 if early else costs.basis)
    cost = first + costs.select + costs.solve + half * costs.per_solved * ceil(shape.s / n)
    cost += FLOPS_PER_BYTE * (costs.part * ceil(log2(n)) if n > 1 else 0)
    cost += FLOPS_PER_BYTE * 2 * filed  # written once, read by the others at the same time
    return SharedPlan(
        shape,
        nodes,
        form,
        selection,
        factorise,
        targets,
        solved,
        tuple(_steps(shape, form, selection, factorise)),
        sent,
        filed,
        tuple(_node_bytes(shape, form, selection, i == 0 or not one, n) for i in range(n)),
        cost,
    )


def _dual_costs(shape: FitShape, selection: Selection) -> _Costs:
    t, p, r, z = float(shape.t), float(shape.p), shape.r, shape.itemsize
    shared = selection == "shared"
    return _Costs(
        factor=t * t * p + 2 * EIGH_FLOPS * t**3,
        per_target=t * t if shared else (1 + r) * 2 * t * t,
        select=_scoring(t, t, r) + 3 * t**3 if shared else 0.0,
        solve=t**3 + 2 * p * t * t,
        per_solved=2 * t * p,
        part=int(8 * t * t) if shared else 0,
        basis=int(t * t * z + 8 * t),
        solution=int(t * p * z),
    )


def _primal_costs(shape: FitShape, selection: Selection) -> _Costs:
    t, p, r, z = float(shape.t), float(shape.p), shape.r, shape.itemsize
    shared = selection == "shared"
    return _Costs(
        factor=3 * t * p * p + 2 * EIGH_FLOPS * p**3,
        per_target=4 * t * p + p * p if shared else (1 + r) * 2 * t * p,
        select=_scoring(t, p, r) if shared else 0.0,
        solve=0.0,
        per_solved=2 * t * p + 2 * p * p,
        part=int(8 * ((r + 1) * t + p * p)) if shared else 0,
        basis=int(t * p * z + p * p * z + 8 * p),
        solution=0,
    )


def _scoring(n: float, m: float, r: int) -> float:
    """Return the flops of all penalties' scores from the sum: n rows, m columns."""
    return min(r, 2) * n * m * m


def _steps(
    shape: FitShape, form: Form, selection: Selection, factorise: Factorise
) -> Iterator[SharedStep]:
    t, p, s, r = float(shape.t), float(shape.p), float(shape.s), shape.r
    dual = form == "dual"
    who = "node 0" if factorise == "one" else "every node"
    n = t if dual else p
    name = "kernel X Xᵀ" if dual else "covariance Xᵀ X"
    yield SharedStep(name, t * p * n, "float64", who)
    yield SharedStep("eigendecomposition", EIGH_FLOPS * n**3, "float64", who)
    if not dual:
        yield SharedStep("rotation X V", 2 * t * p * p, shape.dtype, who)
    costs = _dual_costs(shape, selection) if dual else _primal_costs(shape, selection)
    if selection == "shared":
        name = "target Gram Y Yᵀ" if dual else "target products"
        yield SharedStep(name, costs.per_target * s, shape.dtype, "divided")
        yield SharedStep("scores", costs.select, "float64", "node 0")
    else:
        yield SharedStep(f"scores of {r} penalties", costs.per_target * s, shape.dtype, "divided")
    if dual:
        yield SharedStep("solution Xᵀ A", costs.solve, "float64", who)
    yield SharedStep("coefficients", costs.per_solved * s, shape.dtype, "divided")


def _node_bytes(shape: FitShape, form: Form, selection: Selection, factorises: bool, n: int) -> int:
    """Return the most memory that a node holds at one time, beyond X and Y as files."""
    t, p, r, z = shape.t, shape.p, shape.r, shape.itemsize
    b = min(DEFAULT_WIDTH, shape.s)
    blocks = 2 * t * b * z
    X = t * p * z
    dual = form == "dual"
    square = 8 * (t * t if dual else p * p)
    part = square if dual else 8 * (r + 1) * t + square
    scoring = part * (2 if n > 1 else 1) + blocks + (0 if dual else X + 2 * square + p * b * z)
    if selection == "each":
        scoring = 2 * square + 3 * blocks + X + 8 * r * t * 2
    final = blocks + b * p * z * 2 + X
    if not factorises:
        return max(scoring, final)
    kept = X + square + (part if selection == "shared" else 0)
    eigen = kept + 3 * square
    select = kept + 4 * square + 16 * t * 128 * min(r, 16)
    return max(eigen, select, kept + part + blocks, X + 2 * square + final)


def floats(dtype: Any) -> np.dtype[Any]:
    """Return the floating-point type in which values of ``dtype`` are fitted."""
    found = np.dtype(dtype)
    return found if found in (np.float32, np.float64) else np.dtype(np.float64)
