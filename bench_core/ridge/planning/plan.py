"""Plan of a fit in one process: its form, cost and memory, from its shape alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from bench_core.errors import ResourceError, counted, readable_bytes
from bench_core.ridge.planning import tridiagonal as without_eigenvectors
from bench_core.ridge.planning.flops import (
    FitShape,
    Form,
    Selection,
    Step,
    coordinates_serve,
    fold_ways,
    scheme_name,
    selection_rule,
    size_text,
    steps,
    triangles_serve,
    useful_flops,
)
from bench_core.ridge.planning.memory import peak_bytes

DEFAULT_WIDTH = 8192
"""Columns per block where memory allows: wide enough for products at full speed."""

SMALLEST_WIDTH = 16


@dataclass(frozen=True)
class Plan:
    """Method of a fit, its flops and its memory.

    form : "dual" (t × t matrices) or "primal" (p × p). selection : "shared" (cost per penalty
    does not depend on s) or "each" (every target and penalty is predicted). width : columns of Y
    per block. peak_bytes : memory beyond X, Y and the process as it was; in the GPU's memory
    where there is one. slowdown : cost relative to the fastest plan, which the memory limit rules
    out; None if this is the fastest. fastest_bytes : memory that the fastest plan needs.
    triangles : squared residuals come from a triangle for each penalty. joint : folds follow from
    the factorisation of all samples. tridiagonal : systems with a block-tridiagonal matrix take the
    place of eigenvectors.

    Examples
    --------
    >>> plan = make_plan(FitShape(t=1000, p=4000, s=20_000, r=11))
    >>> plan.form, plan.selection, plan.slowdown
    ('dual', 'shared', None)
    """

    shape: FitShape
    form: Form
    selection: Selection
    width: int
    steps: tuple[Step, ...]
    peak_bytes: int
    slowdown: float | None = None
    fastest_bytes: int | None = None
    triangles: bool = False
    joint: bool = False
    tridiagonal: bool = False

    @property
    def keeps_coordinates(self) -> bool:
        """True where products formed to score the penalties serve for the coefficients too."""
        return self.form == "primal" and coordinates_serve(
            self.shape, self.selection, self.width, joint=self.joint
        )

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
        """Flops that the result needs, by `bench_core.ridge.planning.flops.useful_flops`."""
        if self.tridiagonal:
            return self.flops
        return useful_flops(
            self.shape,
            self.form,
            self.selection,
            self.width,
            triangles=self.triangles,
            joint=self.joint,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values, for a record."""
        return {
            "form": self.form,
            "selection": self.selection,
            "dtype": self.shape.dtype,
            "exact": self.shape.exact,
            "triangles": self.triangles,
            "joint": self.joint,
            "tridiagonal": self.tridiagonal,
            "width": self.width,
            "flops": self.flops,
            "useful_flops": self.useful_flops,
            "bytes_read": self.bytes_read,
            "bytes_written": self.bytes_written,
            "peak_bytes": self.peak_bytes,
            "slowdown": self.slowdown,
            "fastest_bytes": self.fastest_bytes,
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
        scheme = scheme_name(w, joint=self.joint)
        rule = selection_rule(w, self.selection, sums="from sums over targets")
        where = {
            "memory": "kept in memory",
            "given": "written into the caller's array",
            "file": "streamed to a file",
            None: "not formed",
        }
        lines = [
            f"ridge, {self.form} form, {w.dtype}: {size_text(w)}",
            f"selection by {scheme}, {rule}",
            f"coefficients {where[w.coef]}; blocks of {counted(self.width, 'target')}",
            *(["no eigenvectors: systems with a block-tridiagonal matrix"] * self.tridiagonal),
            *(["X itself is decomposed: its square would be too inexact"] if w.exact else []),
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
        if self.slowdown is not None and self.fastest_bytes is not None:
            lines.append(
                f"  the memory limit makes this {self.slowdown:.1f} times the work of the fastest "
                f"plan, which needs {readable_bytes(self.fastest_bytes)} "
                f"({self.fastest_bytes} bytes)"
            )
        return "\n".join(lines)


def make_plan(
    shape: FitShape,
    *,
    memory_limit: int | None = None,
    width: int | None = None,
    form: Form | None = None,
    selection: Selection | None = None,
    joint: bool | None = None,
    tridiagonal: bool | None = None,
) -> Plan:
    """Return the fastest plan for ``shape`` within ``memory_limit`` bytes.

    ``width``, ``form``, ``selection``, ``joint`` and ``tridiagonal`` are chosen unless given; True
    for the last counts where that way serves. Float32 flops count half.
    Raises `ResourceError`, with the bytes that the leanest plan needs, when none fits.
    """
    candidates = []
    leanest: Plan | None = None
    fastest: Plan | None = None
    for candidate in _candidates(shape, form, selection, joint, tridiagonal):
        fitted = _fit_width(candidate, memory_limit, width)
        if fitted is not None:
            candidates.append(fitted)
        smallest = _with_width(candidate, width or min(SMALLEST_WIDTH, shape.s))
        if leanest is None or smallest.peak_bytes < leanest.peak_bytes:
            leanest = smallest
        if fastest is None or _cost(smallest) < _cost(fastest):
            fastest = smallest
    if candidates:
        chosen = min(candidates, key=_cost)
        assert fastest is not None
        times = _cost(chosen) / _cost(fastest)
        if times > 1:
            return replace(chosen, slowdown=times, fastest_bytes=fastest.peak_bytes)
        return chosen
    assert leanest is not None
    assert memory_limit is not None
    raise no_room(shape, leanest.peak_bytes, memory_limit)


def no_room(shape: FitShape, needed: int, limit: int, *, whose: str = "this fit") -> ResourceError:
    """Return the error for a fit that needs more bytes than its limit, with what may be done.

    whose : what needs them.
    """
    remedies = ["use device='cpu' or a larger GPU" if shape.on_gpu else "raise memory_limit"]
    if shape.dtype == "float64" and not shape.exact:
        remedies.append("use dtype='float32'")
    if shape.coef == "memory" and not shape.on_gpu:
        remedies.append("stream the coefficients to a file (coef=path)")
    place = "of the GPU's memory" if shape.on_gpu else "of memory beyond X and Y"
    return ResourceError(
        f"{whose} needs {readable_bytes(needed)} {place} ({needed} bytes) and the limit is "
        f"{readable_bytes(limit)}: " + ", or ".join(remedies)
    )


def _candidates(
    shape: FitShape,
    form: Form | None,
    selection: Selection | None,
    joint: bool | None,
    tridiagonal: bool | None,
) -> Iterator[Plan]:
    # With t ≤ p a primal leverage comes near 1 and its complement loses its digits.
    usual: tuple[Form, ...] = ("dual",) if shape.t <= shape.p else ("dual", "primal")
    forms: tuple[Form, ...] = (form,) if form else usual
    selections: tuple[Selection, ...] = (selection,) if selection else ("shared", "each")
    if shape.each:
        selections = ("each",)
    ways = ((a, b, c) for a, b in product(forms, selections) for c in fold_ways(shape, a, joint))
    if tridiagonal is None and not without_eigenvectors.may_pay(shape):
        tridiagonal = False
    for a, b, c in ways:
        if tridiagonal is not False and without_eigenvectors.serves(shape, a, b):
            yield Plan(shape, a, b, 1, (), 0, tridiagonal=True)
            if tridiagonal:
                continue
        yield Plan(shape, a, b, 1, (), 0, joint=c)
        if triangles_serve(shape, a, b, joint=c):
            yield Plan(shape, a, b, 1, (), 0, triangles=True, joint=c)


def _cost(plan: Plan) -> float:
    """Return the time of a plan in float64 flops."""
    return sum(step.cost for step in plan.steps)


def _fit_width(plan: Plan, limit: int | None, width: int | None) -> Plan | None:
    """Return the plan with the widest blocks that its memory allows, or None."""
    columns = min(width or DEFAULT_WIDTH, plan.shape.s)
    while True:
        candidate = _with_width(plan, columns)
        if limit is None or candidate.peak_bytes <= limit:
            return candidate
        if width is not None or columns <= SMALLEST_WIDTH:
            return None
        columns = max(SMALLEST_WIDTH, columns // 2)


def _with_width(plan: Plan, width: int) -> Plan:
    """Return the plan for blocks of ``width`` targets: its steps, and its peak memory."""
    candidate = replace(plan, width=width)
    if plan.tridiagonal:
        return replace(
            candidate,
            steps=tuple(without_eigenvectors.steps(plan.shape)),
            peak_bytes=without_eigenvectors.peak_bytes(plan.shape, width),
        )
    keeps = candidate.keeps_coordinates
    return replace(
        candidate,
        steps=steps(
            plan.shape,
            plan.form,
            plan.selection,
            keeps_coordinates=keeps,
            triangles=plan.triangles,
            joint=plan.joint,
        ),
        peak_bytes=peak_bytes(
            plan.shape,
            plan.form,
            plan.selection,
            width,
            triangles=plan.triangles,
            joint=plan.joint,
        ),
    )
