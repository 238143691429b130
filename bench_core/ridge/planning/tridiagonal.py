"""Steps and memory of the primal form without eigenvectors.

See `bench_core.ridge.formulas.block_tridiagonal`: where a factorisation is dear beside the rest, as
in tall data with few targets.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench_core.ridge.arrays import band_reduction, reflections
from bench_core.ridge.arrays.band_reduction import BLOCK
from bench_core.ridge.formulas import block_tridiagonal
from bench_core.ridge.planning import memory
from bench_core.ridge.planning.flops import FitShape, Form, Selection, Step

SMALLEST = 2048
"""Features below which this way is not looked at: an eigendecomposition takes few seconds."""

TALL = 1.5
"""Samples per feature below which it is not: leverages near 1 would ask for eigenvectors."""

REDUCTION_COST = 2.5
"""Time of a flop of the reduction in those of a product, and of what surrounds it.

2 to 2.2 were measured; with this the way is taken where it was quicker, for 2,048 to 4,096 features
on one thread (`tests/measure/tall_problems.py`).
"""

ROTATION_COST = 1.2
"""The same of X H, by groups of reflections."""

LEVERAGES_COST = 2.0
"""The same of leverages, products of order `BLOCK`: 1.5 on one thread, more on several."""


def serves(shape: FitShape, form: Form, selection: Selection) -> bool:
    """Return True if targets can be scored from systems with B + λ instead of eigenvectors.

    They can in leave-one-out, where every target is predicted with every penalty.
    """
    left_out = not (shape.folds or shape.gcv or shape.exact or shape.on_gpu)
    return left_out and form == "primal" and selection == "each" and shape.t > shape.p


def may_pay(shape: FitShape) -> bool:
    """Return True if the plan is to compare the cost of this way with that of others."""
    return shape.p >= SMALLEST and shape.t >= TALL * shape.p


def steps(shape: FitShape) -> Iterator[Step]:
    """Yield the steps of a fit in the order in which they run."""
    t, p, s, r = float(shape.t), float(shape.p), shape.s, shape.r
    read = shape.t * s * shape.itemsize
    yield Step("covariance Xᵀ X", t * p * p, "float64", "factorise")
    reduction = 4 / 3 * p**3
    yield Step("reduction to blocks", reduction, "float64", "factorise", weight=REDUCTION_COST)
    rotation = 2 * t * p * (p + band_reduction.GROUP)
    yield Step("rotation X H", rotation, shape.dtype, "factorise", weight=ROTATION_COST)
    leverages = 4 * BLOCK * r * t * p
    yield Step("leverages", leverages, shape.dtype, "validate", weight=LEVERAGES_COST)
    yield Step("block systems", 8 * BLOCK * r * p * s, "float64", "sum")
    yield Step("scores", (1 + r) * 2 * t * s * p, shape.dtype, "sum", read)
    yield Step("Xᵀ Y", 2 * t * p * s, shape.dtype, "coefficients", read)
    written = shape.p * s * shape.itemsize if shape.coef else 0
    yield Step("coefficients", 2 * p * p * s, shape.dtype, "coefficients", 0, written)


def peak_bytes(shape: FitShape, width: int) -> int:
    """Return the bytes that a fit needs beyond X and Y, eigenvectors included, should they be.

    ``width`` is the number of targets per block.
    """
    t, p, r, z = shape.t, shape.p, shape.r, shape.itemsize
    usual = memory.phase_bytes(shape, "primal", "each", width)
    X, square = z * t * p, 8 * p * p
    held = X + square  # Z in the place of X, and the reflections
    # What is left of the matrix, twice while it is copied together, its panels beside it.
    reduced = held + 2 * square + 6 * 8 * p * BLOCK
    group = 4 * 8 * p * band_reduction.GROUP
    rows = z * min(t, reflections.ROWS) * (p + band_reduction.GROUP)
    rotated = held + z * p * p + group + rows
    factors = 2 * 8 * r * p * BLOCK
    some = z * min(t, block_tridiagonal.ROWS) * (p + 2 * r * BLOCK)
    # Blocks' own factors, and their products, at last in the data's precision.
    leverages = held + factors + (8 + 2 * z) * r * p * BLOCK + some
    scored = memory.scored_columns(shape, width)
    predicted = z * (t + 2 * p) * scored + 8 * p * (scored + 2 * width)
    blocks = memory.buffer_bytes(shape, width)
    summed = held + factors + blocks + 9 * z * t * width + predicted
    solved = usual["coefficients"] + factors + group + 3 * 8 * p * width
    found = max(*usual.values(), reduced, rotated, leverages, summed, solved)
    return found + memory.small_bytes(shape, "each")
