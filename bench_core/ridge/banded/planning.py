"""Flops and memory of a banded ridge, known from its shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench_core.errors import ResourceError, counted, readable_bytes
from bench_core.ridge.banded.skeleton import FEW, MEMBERS

WIDTH = 1024
"""Targets that are predicted at once: their residuals stay in the cache."""

SOLVED = 4096
"""Targets whose coefficients are formed at once."""

SMALLEST_WIDTH = 16

OVERHEAD = 16 * 2**20
"""Bytes of small arrays, of what BLAS keeps for itself, and of Python."""

FACTOR_BYTES = 256 * 2**20
"""Bytes of Cholesky factors that are kept for further blocks of targets."""

FILE_BYTES = 256 * 2**20
"""Bytes of operators that are held at once where every pass reads the targets from a file."""


LEAST_PILOT = 64
"""Fewest targets that are predicted with every candidate to find a skeleton."""

LEAST_CANDIDATES = 24
"""Fewest candidates, weights × penalties, of which some may give the others' scores."""


@dataclass(frozen=True)
class BandedShape:
    """The shape of a fit, all that a plan depends on.

    t, p, s, spaces : samples, features, targets, feature spaces. candidates : weights of the
    spaces, each tried with r penalties. folds : held-out rows of each. dtype : of products with Y.
    per_target : every target chooses for itself. scoring : "r2" needs a Gram matrix of the targets
    for each fold, "pearson" predictions. coef : "memory", "file" or None. in_file : the targets
    are read from a file in every pass. permuted : the folds' rows do not lie together.
    loo : leave-one-out, in one fold of all rows. on_gpu : memory is the GPU's, where coefficients
    are never kept.
    """

    t: int
    p: int
    s: int
    spaces: int
    candidates: int
    r: int
    folds: tuple[int, ...]
    dtype: str = "float64"
    per_target: bool = False
    scoring: str = "r2"
    coef: str | None = "memory"
    in_file: bool = False
    permuted: bool = False
    loo: bool = False
    on_gpu: bool = False

    @property
    def itemsize(self) -> int:
        """Bytes of one value of a product with Y."""
        return np.dtype(self.dtype).itemsize

    @property
    def tried(self) -> int:
        """Candidates: weights × penalties, one factorisation each."""
        return self.candidates * self.r


@dataclass(frozen=True)
class BandedPlan:
    """Method of a banded ridge, its flops and its memory.

    selection : "shared" (from sums over targets) or "each" (every target is predicted).
    together : candidates that one pass over the targets scores. width, solved : targets per block
    when scoring and when solving. factors : Cholesky factors kept when solving. whole : the dual
    weights of all targets are held, so that targets of one choice are solved together.
    interpolate : some candidates may give the scores of the others
    (`bench_core.ridge.banded.skeleton`); how many depends on the data, and ``flops`` counts all of
    them. peak_bytes : memory beyond X, Y and the process as it was.

    Examples
    --------
    >>> shape = BandedShape(500, 2000, 10_000, 3, 60, 11, (100,) * 5)
    >>> make_plan(shape).selection
    'shared'
    """

    shape: BandedShape
    selection: str
    together: int
    width: int
    solved: int
    factors: int
    flops: float
    peak_bytes: int
    whole: bool = False
    interpolate: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values, for a record."""
        return {
            "selection": self.selection,
            "dtype": self.shape.dtype,
            "spaces": self.shape.spaces,
            "candidates": self.shape.candidates,
            "factorisations": self.shape.tried,
            "together": self.together,
            "width": self.width,
            "solved": self.solved,
            "factors": self.factors,
            "whole": self.whole,
            "interpolate": self.interpolate,
        }

    def __str__(self) -> str:
        w = self.shape
        how = (
            "from sums over targets: cost per candidate does not depend on s"
            if self.selection == "shared"
            else "by predicting every target with every candidate"
        )
        if self.interpolate:
            how = "by predicting every target, with the candidates that give the others' scores"
        where = {"memory": "kept in memory", "file": "streamed to a file", None: "not formed"}
        criterion = "leave-one-out" if w.loo else counted(len(w.folds), "fold")
        whose = "for every target" if w.per_target else "for all targets"
        return "\n".join(
            [
                f"banded ridge, dual form, {w.dtype}: {counted(w.t, 'sample')} × "
                f"{counted(w.p, 'feature')} in {counted(w.spaces, 'space')} × "
                f"{counted(w.s, 'target')}",
                f"selection by {criterion} {whose}, {how}",
                f"{counted(w.candidates, 'weighting')} × {w.r} penalties: "
                f"{w.tried:,} factorisations of {w.t:,} × {w.t:,}",
                f"coefficients {where[w.coef]}; blocks of {counted(self.solved, 'target')}",
                f"  {'total':<26}{self.flops / 1e9:>12,.1f} Gflop, "
                f"peak memory {readable_bytes(self.peak_bytes)} beyond X and Y",
            ]
        )


def make_plan(shape: BandedShape, *, memory_limit: int | None = None) -> BandedPlan:
    """Return the fastest plan within ``memory_limit`` bytes.

    Raises `ResourceError`, with the bytes that the leanest plan needs, when none fits.
    """
    plans = [_planned(shape, selection) for selection in _selections(shape)]
    plans.sort(key=lambda plan: plan.flops)
    if memory_limit is None:
        return plans[0]
    leanest = plans[0]
    for plan in plans:
        for lean in _leaner(plan):
            if lean.peak_bytes <= memory_limit:
                return lean
            leanest = min(leanest, lean, key=lambda one: one.peak_bytes)
    place = "of the GPU's memory" if shape.on_gpu else "of memory beyond X and Y"
    remedies = ["use device='cpu' or a larger GPU" if shape.on_gpu else "raise memory_limit"]
    remedies.append("merge feature spaces")
    if shape.coef == "memory" and not shape.on_gpu:
        remedies.append("stream the coefficients to a file (coef=path)")
    raise ResourceError(
        f"this fit needs {readable_bytes(leanest.peak_bytes)} {place} "
        f"({leanest.peak_bytes} bytes) and the limit is {readable_bytes(memory_limit)}: "
        + ", or ".join(remedies)
    )


def _selections(shape: BandedShape) -> Sequence[str]:
    each = shape.per_target or shape.scoring == "pearson"
    return ("each",) if each else ("shared", "each")


def _planned(shape: BandedShape, selection: str) -> BandedPlan:
    together = shape.r
    if shape.in_file:
        together = max(together, FILE_BYTES // (shape.t * shape.t * shape.itemsize))
    together = min(together, shape.tried)
    width, solved = (min(n, shape.s) for n in (WIDTH, SOLVED))
    factors = 1
    if shape.per_target:
        factors = max(1, min(shape.tried, shape.s, FACTOR_BYTES // (8 * shape.t**2)))
    flops = _flops(shape, selection)
    interpolate = shape.per_target and shape.scoring != "pearson"
    return _with_memory(
        BandedPlan(
            shape,
            selection,
            together,
            width,
            solved,
            factors,
            flops,
            0,
            whole=shape.per_target
            and shape.tried > 1
            and solved < shape.s
            and not (shape.in_file or shape.on_gpu),
            interpolate=interpolate
            and interpolation_pays(shape.t, shape.s, shape.tried, shape.folds, loo=shape.loo),
        )
    )


def _leaner(plan: BandedPlan) -> Sequence[BandedPlan]:
    """Return the plan and leaner ones of the same flops, the leanest last."""
    found = [plan]
    if (plan.whole or plan.interpolate) and not plan.shape.on_gpu:
        plan = _with_memory(replace(plan, whole=False, interpolate=False))
        found.append(plan)
    smallest = min(SMALLEST_WIDTH, plan.shape.s)
    while plan.together > 1 or plan.factors > 1 or max(plan.width, plan.solved) > smallest:
        plan = _with_memory(
            replace(
                plan,
                together=max(1, plan.together // 2),
                factors=max(1, plan.factors // 2),
                width=max(smallest, plan.width // 2),
                solved=max(smallest, plan.solved // 2),
            )
        )
        found.append(plan)
    return found


def pilot_targets(candidates: int, folds: int) -> int:
    """Return how many targets are predicted with so many candidates to find their skeleton.

    Each gives a loss in every fold, and candidates are told apart by twice as many as they are.
    """
    return max(LEAST_PILOT, -(-2 * candidates // folds))


def interpolation_pays(t: int, s: int, candidates: int, folds: Sequence[int], *, loo: bool) -> bool:
    """Return True if half of the candidates may be left out at less than a quarter of the cost.

    The pilot targets take float64 products with all candidates; operators of those that are then
    predicted are formed a second time, in smaller steps than a product's.
    """
    if candidates < LEAST_CANDIDATES:
        return False
    operator, product = _candidate_flops(t, folds, loo=loo)
    pilot = pilot_targets(candidates, len(folds))
    return s * product > 8 * pilot * product + 6 * operator


def _candidate_flops(t: int, folds: Sequence[int], *, loo: bool) -> tuple[float, float]:
    """Return the flops of a candidate's operators, and of their products with one target."""
    operator, product = float(t) ** 3, 2.0 * t * t
    if not loo:
        operator += sum(n**3 / 3 + 2 * n * n * (t - n) for n in folds)
        product = float(sum(2 * n * (t - n) for n in folds))
    return operator, product


def _flops(shape: BandedShape, selection: str) -> float:
    t, p, s = float(shape.t), float(shape.p), float(shape.s)
    operator, product = _candidate_flops(shape.t, shape.folds, loo=shape.loo)
    passes = len(shape.folds) if shape.scoring == "r2" else 1
    scores = shape.tried * product * (t if selection == "shared" else s)
    if selection == "shared":
        scores += passes * t * t * s
    coefficients = 2 * t * p * s if shape.coef else 0.0
    factors = min(shape.tried, s) if shape.per_target else 1
    return (
        t * t * p
        + shape.tried * operator
        + scores
        + factors * t**3 / 3
        + 2 * t * t * s
        + coefficients
    )


def _with_memory(plan: BandedPlan) -> BandedPlan:
    w = plan.shape
    t, z = w.t, w.itemsize
    square = 8 * t * t
    held = max(w.folds, default=t)
    small = OVERHEAD + 16 * w.s + 8 * w.candidates * (w.spaces + w.r)
    kept = z * t * w.p + w.spaces * square * (1 + w.permuted)
    # K of the spaces, its inverse and the operators of one candidate, before they are cast.
    one = 4 * square
    form = 8 * t * min(w.p, max(1024, t // 4)) + square
    if plan.selection == "shared":
        grams = (len(w.folds) if w.scoring == "r2" else 1) * square
        search = one + grams + square + 8 * held * t * 2 + 3 * z * t * plan.width
    else:
        blocks = 4 * z * t * plan.width + 3 * z * held * plan.width
        scores = 24 * plan.together * len(w.folds) * plan.width
        search = one + plan.together * z * t * t + blocks + scores
        if plan.interpolate:
            pilot = pilot_targets(w.tried, len(w.folds))
            search += 16 * pilot * t + square
            if not w.on_gpu:
                search += z * min(w.tried, MEMBERS) * w.s + 24 * w.s + int(FEW * z * t * w.s)
                search += 64 * w.tried * w.tried
    rows = w.s if w.coef == "memory" and not w.on_gpu else plan.solved
    coefficients = z * w.p * (rows if w.coef else 0)
    if w.coef is None:
        coefficients = z * t * w.s
    solve = (1 + plan.factors) * square + (4 * 8 + 2 * z) * t * plan.solved + coefficients
    if plan.whole:  # without coefficients the dual weights are what is kept, and counted
        solve += z * t * (plan.solved + (w.s if w.coef else 0))
    return replace(plan, peak_bytes=int(small + kept + max(form, search, solve)))
