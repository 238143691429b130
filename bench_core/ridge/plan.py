"""What a fit will do, cost and need, from shapes alone: asked before anything runs.

Floating-point operations are counted by the usual rule (a multiplication and an addition are
two), a symmetric product once for its triangle, and an eigendecomposition as 9 n³.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

import numpy as np

from bench_core.errors import NotEnough, readable_bytes
from bench_core.ridge.quadratic import PANEL, TOGETHER
from bench_core.ridge.streaming import BUFFERS

Form = Literal["dual", "primal"]
Selection = Literal["shared", "each"]

DEFAULT_WIDTH = 4096
"""Columns per block where memory allows: wide enough for products at full speed."""

SMALLEST_WIDTH = 16


@dataclass(frozen=True)
class Step:
    """One part of a fit: its flops, their precision, and the bytes of Y and coefficients moved."""

    name: str
    flops: float
    dtype: str
    read: int = 0
    written: int = 0


@dataclass(frozen=True)
class Work:
    """The shape of a fit, all that a plan depends on.

    t, p, s, r : samples, features, targets, penalties. folds : (n_train, n_test) of every fold,
    empty for leave-one-out. dtype : of the products. each : whether every target is scored for
    itself (Pearson's r, or a penalty per target). scaled : whether targets are scaled by their
    variance (r2). coef : "memory", "file" or None. copies : whether blocks of Y are copies.
    """

    t: int
    p: int
    s: int
    r: int
    folds: tuple[tuple[int, int], ...] = ()
    dtype: str = "float64"
    each: bool = False
    scaled: bool = False
    per_target: bool = False
    coef: str | None = "memory"

    @property
    def itemsize(self) -> int:
        """Bytes of one value of Y or of a coefficient."""
        return np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Plan:
    """How a fit will be done and what it takes.

    form : "dual" (t × t matrices) or "primal" (p × p). selection : "shared" (cost per penalty
    does not depend on s) or "each" (every target and penalty is predicted). width : columns of Y
    per block. peak_bytes : memory beyond X, Y and the process as it was; in the GPU's memory
    where there is one.
    """

    work: Work
    form: Form
    selection: Selection
    width: int
    steps: tuple[Step, ...]
    peak_bytes: int

    @property
    def flops(self) -> float:
        """Floating-point operations of all steps."""
        return sum(step.flops for step in self.steps)

    @property
    def bytes_read(self) -> int:
        """Bytes of Y read, once per pass."""
        return sum(step.read for step in self.steps)

    @property
    def bytes_written(self) -> int:
        """Bytes of coefficients written."""
        return sum(step.written for step in self.steps)

    @property
    def useful_flops(self) -> float:
        """Flops by the formula that solvers of this problem are compared with.

        t²p + t²s + 2tps + 9t³ + 2rt³ + 2pt² for the shared-penalty dual form, without 2tps where
        no coefficients are formed; what the steps do otherwise.
        """
        w = self.work
        if self.form == "dual" and self.selection == "shared" and not w.folds:
            t, p = float(w.t), float(w.p)
            coefficients = 2 * t * p * w.s if w.coef else 0.0
            return t * t * (p + w.s) + coefficients + (9 + 2 * w.r) * t**3 + 2 * p * t * t
        return self.flops

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values, for a record."""
        return {
            "form": self.form,
            "selection": self.selection,
            "dtype": self.work.dtype,
            "width": self.width,
            "flops": self.flops,
            "useful_flops": self.useful_flops,
            "bytes_read": self.bytes_read,
            "bytes_written": self.bytes_written,
            "peak_bytes": self.peak_bytes,
            "steps": [
                {
                    "name": s.name,
                    "flops": s.flops,
                    "dtype": s.dtype,
                    "read": s.read,
                    "written": s.written,
                }
                for s in self.steps
            ],
        }

    def __str__(self) -> str:
        w = self.work
        scheme = f"{len(w.folds)} folds" if w.folds else "leave-one-out"
        rule = {
            "shared": "from sums over targets: cost per penalty does not depend on s",
            "each": "by predicting every target with every penalty",
        }[self.selection]
        where = {"memory": "kept in memory", "file": "streamed to a file", None: "not formed"}
        lines = [
            f"ridge, {self.form} form, {w.dtype}: {w.t} samples × {w.p} features × {w.s} targets, "
            f"{w.r} penalties",
            f"selection by {scheme}, {rule}",
            f"coefficients {where[w.coef]}; blocks of {self.width} targets",
        ]
        for step in self.steps:
            moved = "".join(
                f", {verb} {readable_bytes(count)}"
                for verb, count in (("reads", step.read), ("writes", step.written))
                if count
            )
            lines.append(f"  {step.name:<26}{step.flops / 1e9:>12,.1f} Gflop {step.dtype}{moved}")
        lines.append(
            f"  {'total':<26}{self.flops / 1e9:>12,.1f} Gflop, "
            f"peak memory {readable_bytes(self.peak_bytes)} beyond X and Y"
        )
        return "\n".join(lines)


def make_plan(
    work: Work,
    *,
    memory_limit: int | None = None,
    width: int | None = None,
    form: Form | None = None,
    selection: Selection | None = None,
) -> Plan:
    """Return the quickest plan for ``work`` within ``memory_limit`` bytes.

    ``width``, ``form`` and ``selection`` are chosen unless given. Float32 flops count half.
    Raises `NotEnough`, with the bytes that the leanest plan needs, when none fits.
    """
    candidates = []
    leanest: Plan | None = None
    for candidate in _candidates(work, form, selection):
        fitted = _fit_width(candidate, memory_limit, width)
        if fitted is not None:
            candidates.append(fitted)
        smallest = replace(candidate, width=width or min(SMALLEST_WIDTH, work.s))
        smallest = replace(smallest, peak_bytes=peak_bytes(smallest))
        if leanest is None or smallest.peak_bytes < leanest.peak_bytes:
            leanest = smallest
    if candidates:
        return min(candidates, key=_seconds)
    assert leanest is not None
    assert memory_limit is not None
    raise NotEnough(
        f"this fit needs {readable_bytes(leanest.peak_bytes)} of memory beyond X and Y "
        f"({leanest.peak_bytes} bytes) and the limit is {readable_bytes(memory_limit)}: raise "
        "memory_limit, use dtype='float32', or stream the coefficients to a file (coef=path)"
    )


def _candidates(work: Work, form: Form | None, selection: Selection | None) -> Iterator[Plan]:
    # With t ≤ p a primal leverage comes near 1 and its complement loses its digits.
    usual: tuple[Form, ...] = ("dual",) if work.t <= work.p else ("dual", "primal")
    forms: tuple[Form, ...] = (form,) if form else usual
    selections: tuple[Selection, ...] = (selection,) if selection else ("shared", "each")
    if work.each:
        selections = ("each",)
    for a, b in product(forms, selections):
        steps = dual_steps(work, b) if a == "dual" else primal_steps(work, b)
        yield Plan(work, a, b, 1, tuple(steps), 0)


def _seconds(plan: Plan) -> float:
    """Return a plan's flops as a time in units of float64 flops."""
    return sum(s.flops * (0.5 if s.dtype == "float32" else 1.0) for s in plan.steps)


def _fit_width(plan: Plan, limit: int | None, width: int | None) -> Plan | None:
    """Return the plan with the widest blocks that its memory allows, or None."""
    wanted = min(width or DEFAULT_WIDTH, plan.work.s)
    while True:
        candidate = replace(plan, width=wanted)
        candidate = replace(candidate, peak_bytes=peak_bytes(candidate))
        if limit is None or candidate.peak_bytes <= limit:
            return candidate
        if width is not None or wanted <= SMALLEST_WIDTH:
            return None
        wanted = max(SMALLEST_WIDTH, wanted // 2)


def _diagonals(n: float, m: float, r: int) -> float:
    """Return the flops of `quadratic_diagonals` for n rows, m columns and well-spread spectra."""
    direct = r * n * m * (m + PANEL)
    return direct if r <= 3 else min(direct, 2 * n * m * m + 2 * r * n * m * min(m, PANEL))


def dual_steps(work: Work, selection: Selection) -> Iterator[Step]:
    """Yield the steps of the dual form."""
    t, p, s, r = float(work.t), float(work.p), work.s, work.r
    read = work.t * s * work.itemsize
    yield Step("kernel X Xᵀ", t * t * p, "float64")
    if selection == "shared":
        passes = max(1, len(work.folds)) if work.scaled else 1
        yield Step("target Gram Y Yᵀ", passes * t * t * s, work.dtype, passes * read)
    if not work.folds:
        yield Step("eigendecomposition", 9 * t**3, "float64")
        if selection == "shared":
            yield Step("scores", 3 * t**3 + _diagonals(t, t, r), "float64")
        else:
            yield Step("scores", (1 + r) * 2 * t * t * s, work.dtype, read)
    else:
        eigen = sum(9.0 * a**3 + 2.0 * b * a * a for a, b in work.folds)
        yield Step("folds' eigendecompositions", eigen, "float64")
        if selection == "shared":
            scores = sum(3.0 * a**3 + 2.0 * b * a * a + _diagonals(b, a, r) for a, b in work.folds)
            yield Step("scores", scores, "float64")
        else:
            scores = sum(2.0 * a * a * s + 2.0 * r * a * b * s for a, b in work.folds)
            yield Step("scores", scores, work.dtype, read * len(work.folds))
        yield Step("eigendecomposition", 9 * t**3, "float64")
    written = int(p) * s * work.itemsize
    if work.per_target:
        yield Step("dual weights", 4 * t * t * s, work.dtype, read)
        if work.coef:
            yield Step("coefficients", 2 * t * p * s, work.dtype, 0, written)
        return
    yield Step("inverse", t**3, "float64")
    if work.coef:
        yield Step("solution Xᵀ A", 2 * p * t * t, "float64")
        yield Step("coefficients M Y", 2 * t * p * s, work.dtype, read, written)


def primal_steps(work: Work, selection: Selection) -> Iterator[Step]:
    """Yield the steps of the primal form."""
    t, p, s, r = float(work.t), float(work.p), work.s, work.r
    read = work.t * s * work.itemsize
    yield Step("covariance Xᵀ X", t * p * p, "float64")
    yield Step("eigendecomposition", 9 * p**3, "float64")
    if not work.folds:
        yield Step("rotation X V", 2 * t * p * p, work.dtype)
        if selection == "shared":
            inner = min(p * p * s, 2 * t * p * p)
            yield Step("target products", 4 * t * p * s + inner, work.dtype, read)
            yield Step("scores", _diagonals(t, p, r) + 4 * r * t * p, "float64")
        else:
            yield Step("scores", (1 + r) * 2 * t * p * s, work.dtype, read)
    else:
        k = len(work.folds)
        eigen = sum(float(a) * p * p + 9 * p**3 for a, _ in work.folds)
        yield Step("folds' eigendecompositions", eigen, "float64")
        rotations = sum(2.0 * (a + b) * p * p for a, b in work.folds)
        yield Step("folds' rotations", rotations, work.dtype)
        if selection == "shared":
            products = sum(2.0 * (a + b) * p * s + 2 * p * p * s for a, b in work.folds)
            yield Step("target products", products, work.dtype, k * read)
            scores = sum(_diagonals(b, p, r) for _, b in work.folds)
            yield Step("scores", scores, "float64")
        else:
            scores = sum(2.0 * a * p * s + 2.0 * r * b * p * s for a, b in work.folds)
            yield Step("scores", scores, work.dtype, k * read)
    yield Step("Xᵀ Y", 2 * t * p * s, work.dtype, read)
    written = int(p) * s * work.itemsize if work.coef else 0
    yield Step("coefficients", 2 * p * p * s, work.dtype, 0, written)


def peak_bytes(plan: Plan) -> int:
    """Return the most memory that ``plan`` holds at one time, beyond X and Y."""
    work = plan.work
    t, p, s, r, b, z = work.t, work.p, work.s, work.r, plan.width, work.itemsize
    n = t if plan.form == "dual" else p
    square = 8 * n * n
    X = t * p * z
    buffers = BUFFERS * t * b * z
    test = max((b for _, b in work.folds), default=t)
    coef = s * p * z if work.coef == "memory" else b * p * z
    scores = 2 * 8 * r * s if plan.selection == "each" else 0
    some = min(r, TOGETHER)
    if plan.form == "dual":
        kept = square * (2 if work.folds else 1) + X
        kept += square if plan.selection == "shared" else 0
        eigen = kept + 3 * square
        products = X + 2 * square + max(square, 0) + buffers + 8 * t * min(p, 4096) * 2
        diagonal = kept + 4 * square + 8 * test * PANEL * 2 * some + 8 * t * PANEL * some
        solution = X + 3 * square + X + 3 * 8 * t * min(p, 4096)
        final = 2 * X + square + buffers + coef
        rows = t
    else:
        Q = t * p * z
        kept = X + square + Q
        eigen = X + 3 * square + (8 * 4096 * p if z == 4 else 0) + (2 * X if work.folds else 0)
        rotated = 8 * t * p
        products = kept + buffers + p * b * z * 2 + (rotated if plan.selection == "shared" else 0)
        products += 2 * square + (rotated if z == 4 else 0)
        diagonal = kept + 3 * rotated + 4 * square + 8 * test * PANEL * 2 * some
        solution = kept
        final = X + 3 * square + buffers + coef + 2 * b * p * z
        rows = t
    if work.folds:
        diagonal += 8 * test * n * 3
    peak = [eigen, products, solution, final]
    if plan.selection == "shared":
        peak.append(diagonal)
    else:
        peak.append(kept + buffers + (8 + 2) * rows * b * z + scores + square)
    return int(max(peak)) + 2 * 8 * (s + r * t) + 2**20
