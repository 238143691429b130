"""The shape of a fit, and the steps of either form with their flops and bytes.

A multiplication and an addition are two flops; a symmetric product is counted for its triangle,
an eigendecomposition as 9 n³.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench_core.ridge.formulas.quadratic_forms import FEW, PANEL

Form = Literal["dual", "primal"]
Selection = Literal["shared", "each"]


@dataclass(frozen=True)
class Step:
    """One part of a fit: its flops, their precision, and the bytes of Y and coefficients moved."""

    name: str
    flops: float
    dtype: str
    read: int = 0
    written: int = 0


@dataclass(frozen=True)
class FitShape:
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


def _diagonals(n: float, m: float, r: int) -> float:
    """Return the flops of `quadratic_diagonals` for n rows, m columns and well-spread spectra."""
    direct = r * n * m * (m + PANEL)
    return direct if r <= FEW else min(direct, 2 * n * m * m + 8 * r * n * m)


def dual_steps(shape: FitShape, selection: Selection) -> Iterator[Step]:
    """Yield the steps of the dual form."""
    t, p, s, r = float(shape.t), float(shape.p), shape.s, shape.r
    read = shape.t * s * shape.itemsize
    yield Step("kernel X Xᵀ", t * t * p, "float64")
    if selection == "shared":
        passes = max(1, len(shape.folds)) if shape.scaled else 1
        yield Step("target Gram Y Yᵀ", passes * t * t * s, shape.dtype, passes * read)
    if not shape.folds:
        yield Step("eigendecomposition", 9 * t**3, "float64")
        if selection == "shared":
            yield Step("scores", 3 * t**3 + _diagonals(t, t, r), shape.dtype)
        else:
            yield Step("scores", (1 + r) * 2 * t * t * s, shape.dtype, read)
    else:
        eigen = sum(9.0 * a**3 + 2.0 * b * a * a for a, b in shape.folds)
        yield Step("folds' eigendecompositions", eigen, "float64")
        if selection == "shared":
            scores = sum(3.0 * a**3 + 2.0 * b * a * a + _diagonals(b, a, r) for a, b in shape.folds)
            yield Step("scores", scores, "float64")
        else:
            scores = sum(2.0 * a * a * s + 2.0 * r * a * b * s for a, b in shape.folds)
            yield Step("scores", scores, shape.dtype, read * len(shape.folds))
        yield Step("eigendecomposition", 9 * t**3, "float64")
    written = int(p) * s * shape.itemsize
    if shape.per_target:
        yield Step("dual weights", 4 * t * t * s, shape.dtype, read)
        if shape.coef:
            yield Step("coefficients", 2 * t * p * s, shape.dtype, 0, written)
        return
    yield Step("inverse", t**3, "float64")
    if shape.coef:
        yield Step("solution Xᵀ A", 2 * p * t * t, "float64")
        yield Step("coefficients M Y", 2 * t * p * s, shape.dtype, read, written)


def keeps_coordinates(shape: FitShape, selection: Selection, width: int) -> bool:
    """Return whether C = Qᵀ Yc, formed to choose the penalty, serves for the coefficients too."""
    return selection == "shared" and not shape.folds and not shape.scaled and width >= shape.s


def primal_steps(shape: FitShape, selection: Selection, width: int) -> Iterator[Step]:
    """Yield the steps of the primal form, for blocks of ``width`` targets."""
    t, p, s, r = float(shape.t), float(shape.p), shape.s, shape.r
    read = shape.t * s * shape.itemsize
    yield Step("covariance Xᵀ X", t * p * p, "float64")
    yield Step("eigendecomposition", 9 * p**3, "float64")
    if not shape.folds:
        yield Step("rotation X V", 2 * t * p * p, shape.dtype)
        if selection == "shared":
            yield Step("target products", 4 * t * p * s + p * p * s, shape.dtype, read)
            yield Step("scores", _diagonals(t, p, r) + 4 * r * t * p, shape.dtype)
        else:
            yield Step("scores", (1 + r) * 2 * t * p * s, shape.dtype, read)
    else:
        k = len(shape.folds)
        eigen = sum(float(a) * p * p + 9 * p**3 for a, _ in shape.folds)
        yield Step("folds' eigendecompositions", eigen, "float64")
        rotations = sum(2.0 * (a + b) * p * p for a, b in shape.folds)
        yield Step("folds' rotations", rotations, shape.dtype)
        if selection == "shared":
            products = sum(2.0 * (a + b) * p * s + p * p * s for a, b in shape.folds)
            yield Step("target products", products, shape.dtype, k * read)
            scores = sum(_diagonals(b, p, r) for _, b in shape.folds)
            yield Step("scores", scores, "float64")
        else:
            scores = sum(2.0 * a * p * s + 2.0 * r * b * p * s for a, b in shape.folds)
            yield Step("scores", scores, shape.dtype, k * read)
    if not keeps_coordinates(shape, selection, width):
        yield Step("Xᵀ Y", 2 * t * p * s, shape.dtype, read)
    written = int(p) * s * shape.itemsize if shape.coef else 0
    yield Step("coefficients", 2 * p * p * s, shape.dtype, 0, written)
