"""What a fit will do, cost and need, from shapes alone: asked before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from bench_core.errors import ResourceError, readable_bytes
from bench_core.ridge.planning.flops import (
    FitShape,
    Form,
    Selection,
    Step,
    dual_steps,
    primal_steps,
)
from bench_core.ridge.planning.memory import peak_bytes

DEFAULT_WIDTH = 8192
"""Columns per block where memory allows: wide enough for products at full speed."""

SMALLEST_WIDTH = 16


@dataclass(frozen=True)
class Plan:
    """How a fit will be done and what it takes.

    form : "dual" (t × t matrices) or "primal" (p × p). selection : "shared" (cost per penalty
    does not depend on s) or "each" (every target and penalty is predicted). width : columns of Y
    per block. peak_bytes : memory beyond X, Y and the process as it was; in the GPU's memory
    where there is one. slowed : how many times the shape that this plan is of the quickest one's,
    for want of memory, and the bytes that the quickest would need; None where it is that one.
    """

    shape: FitShape
    form: Form
    selection: Selection
    width: int
    steps: tuple[Step, ...]
    peak_bytes: int
    slowed: tuple[float, int] | None = None

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
        w = self.shape
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
            "dtype": self.shape.dtype,
            "width": self.width,
            "flops": self.flops,
            "useful_flops": self.useful_flops,
            "bytes_read": self.bytes_read,
            "bytes_written": self.bytes_written,
            "peak_bytes": self.peak_bytes,
            "slowed": None
            if self.slowed is None
            else {"times": self.slowed[0], "needed_bytes": self.slowed[1]},
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
        w = self.shape
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
        if self.slowed is not None:
            times, needed = self.slowed
            lines.append(
                f"  the memory limit makes this {times:.1f} times the shape: with "
                f"{readable_bytes(needed)} ({needed} bytes) a quicker way is open"
            )
        return "\n".join(lines)


def make_plan(
    shape: FitShape,
    *,
    memory_limit: int | None = None,
    width: int | None = None,
    form: Form | None = None,
    selection: Selection | None = None,
) -> Plan:
    """Return the quickest plan for ``shape`` within ``memory_limit`` bytes.

    ``width``, ``form`` and ``selection`` are chosen unless given. Float32 flops count half.
    Raises `ResourceError`, with the bytes that the leanest plan needs, when none fits.
    """
    candidates = []
    leanest: Plan | None = None
    quickest: Plan | None = None
    for candidate in _candidates(shape, form, selection):
        fitted = _fit_width(candidate, memory_limit, width)
        if fitted is not None:
            candidates.append(fitted)
        smallest = _with_width(candidate, width or min(SMALLEST_WIDTH, shape.s))
        if leanest is None or smallest.peak_bytes < leanest.peak_bytes:
            leanest = smallest
        if quickest is None or _seconds(smallest) < _seconds(quickest):
            quickest = smallest
    if candidates:
        chosen = min(candidates, key=_seconds)
        assert quickest is not None
        times = _seconds(chosen) / _seconds(quickest)
        return replace(chosen, slowed=(times, quickest.peak_bytes)) if times > 1 else chosen
    assert leanest is not None
    assert memory_limit is not None
    raise ResourceError(
        f"this fit needs {readable_bytes(leanest.peak_bytes)} of memory beyond X and Y "
        f"({leanest.peak_bytes} bytes) and the limit is {readable_bytes(memory_limit)}: raise "
        "memory_limit, use dtype='float32', or stream the coefficients to a file (coef=path)"
    )


def _candidates(shape: FitShape, form: Form | None, selection: Selection | None) -> Iterator[Plan]:
    # With t ≤ p a primal leverage comes near 1 and its complement loses its digits.
    usual: tuple[Form, ...] = ("dual",) if shape.t <= shape.p else ("dual", "primal")
    forms: tuple[Form, ...] = (form,) if form else usual
    selections: tuple[Selection, ...] = (selection,) if selection else ("shared", "each")
    if shape.each:
        selections = ("each",)
    for a, b in product(forms, selections):
        yield Plan(shape, a, b, 1, (), 0)


def _seconds(plan: Plan) -> float:
    """Return a plan's flops as a time in units of float64 flops."""
    return sum(s.flops * (0.5 if s.dtype == "float32" else 1.0) for s in plan.steps)


def _fit_width(plan: Plan, limit: int | None, width: int | None) -> Plan | None:
    """Return the plan with the widest blocks that its memory allows, or None."""
    wanted = min(width or DEFAULT_WIDTH, plan.shape.s)
    while True:
        candidate = _with_width(plan, wanted)
        if limit is None or candidate.peak_bytes <= limit:
            return candidate
        if width is not None or wanted <= SMALLEST_WIDTH:
            return None
        wanted = max(SMALLEST_WIDTH, wanted // 2)


def _with_width(plan: Plan, width: int) -> Plan:
    """Return the plan for blocks of ``width`` targets: its steps, and its peak memory."""
    shape, selection = plan.shape, plan.selection
    if plan.form == "dual":
        steps = tuple(dual_steps(shape, selection))
    else:
        steps = tuple(primal_steps(shape, selection, width))
    return replace(
        plan,
        width=width,
        steps=steps,
        peak_bytes=peak_bytes(shape, plan.form, selection, width),
    )
