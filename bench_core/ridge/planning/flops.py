"""Cost model of a fit: its shape, and the steps of either form with their flops and bytes.

A multiplication and an addition are two flops; a symmetric product is counted for its triangle,
an eigendecomposition as 9 n³. Plans of one process and of many nodes are made from these steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench_core.errors import counted
from bench_core.ridge.formulas.quadratic_forms import FEW, PANEL

Form = Literal["dual", "primal"]
Selection = Literal["shared", "each"]
Phase = Literal["factorise", "validate", "sum", "select", "solution", "coefficients"]

Kernel = Literal["gemm", "transposed", "syrk", "eigh", "staged", "svd"]
"""Kinds of floating-point work: products, symmetric products and decompositions.

"transposed" are products of transposed blocks of targets, as coefficients are formed. "eigh" is
LAPACK's divide and conquer in one call, "staged" that of `bench_core.ridge.arrays.eigh`.
"""

KERNELS: tuple[Kernel, ...] = ("gemm", "transposed", "syrk", "eigh", "staged", "svd")

FLOAT32_COST = 0.5
"""Time of a float32 flop, in float64 flops."""

TRIANGLES = "triangles of residuals"
"""Name of the step that forms `bench_core.ridge.formulas.residual_factors`."""

JOINT = "folds' residual maps"
"""Name of the step that forms `bench_core.ridge.formulas.joint_folds`."""

EIGH_FLOPS = 9.0
"""Flops of an eigendecomposition of order n, in n³."""


_KERNELS: dict[str, Kernel] = {
    "kernel X Xᵀ": "syrk",
    "covariance Xᵀ X": "syrk",
    "target Gram Y Yᵀ": "syrk",
    "inverse": "syrk",
    "coefficients": "transposed",
    "coefficients M Y": "transposed",
    "eigendecomposition": "staged",
    "folds' eigendecompositions": "staged",
    "singular value decomposition": "svd",
    "folds' singular value decompositions": "svd",
}
"""Kernels of steps that are not products."""


@dataclass(frozen=True)
class Step:
    """One part of a fit: its flops, their precision, and the bytes of Y and coefficients moved.

    phase : "factorise" X; "validate", the folds' own factorisations of X; "sum" over targets;
    "select" a penalty from the sums; "solution", all else that depends on X alone;
    "coefficients" of all targets. "sum" and "coefficients" divide over targets. weight : time of
    one of its flops, in those of its kernel.
    """

    name: str
    flops: float
    dtype: str
    phase: Phase
    read: int = 0
    written: int = 0
    weight: float = 1.0

    @property
    def kernel(self) -> Kernel:
        """The kernel that takes most of its flops."""
        return _KERNELS.get(self.name, "gemm")

    @property
    def cost(self) -> float:
        """Time of the step in float64 flops."""
        return self.weight * self.flops * (FLOAT32_COST if self.dtype == "float32" else 1.0)


@dataclass(frozen=True)
class FitShape:
    """The shape of a fit, all that a plan depends on.

    t, p, s, r : samples, features, targets, penalties. folds : (n_train, n_test) of every fold,
    empty for leave-one-out. dtype : precision of products with Y. each : score every target for
    itself (Pearson's r, or a penalty per target). scaled : scale targets by their variance (r2).
    gcv : score by generalised cross-validation, which needs ``each`` and no folds. rows : the
    score needs every residual for itself (Pearson's r).
    coef : "memory", "given" (in the caller's array), "file" or None. exact : decompose X itself and
    not its square. complementary : every fold trains on all samples that it does not hold out.
    on_gpu : memory is the GPU's, where coefficients are never kept.

    Examples
    --------
    >>> FitShape(t=1000, p=4000, s=20_000, r=11, dtype="float32").itemsize
    4
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
    exact: bool = False
    gcv: bool = False
    rows: bool = False
    complementary: bool = True
    on_gpu: bool = False

    @property
    def itemsize(self) -> int:
        """Bytes of one value of Y or of a coefficient."""
        return np.dtype(self.dtype).itemsize


def size_text(shape: FitShape) -> str:
    """Return the sizes of a fit in words."""
    penalties = "1 penalty" if shape.r == 1 else f"{shape.r} penalties"
    return (
        f"{counted(shape.t, 'sample')} × {counted(shape.p, 'feature')} × "
        f"{counted(shape.s, 'target')}, {penalties}"
    )


def scheme_name(shape: FitShape, *, joint: bool = False) -> str:
    """Return the words for how penalties are scored."""
    if shape.gcv:
        return "generalised cross-validation"
    if not shape.folds:
        return "leave-one-out"
    how = "all from one factorisation" if joint else "a factorisation each"
    return f"{len(shape.folds)} folds, {how}"


def selection_rule(shape: FitShape, selection: Selection, *, sums: str) -> str:
    """Return the words for what scores come from; ``sums`` are those of the shared sums."""
    if selection == "shared":
        return f"{sums}: cost per penalty does not depend on s"
    if shape.gcv:
        return "from every target's coordinates"
    return "by predicting every target with every penalty"


def _diagonals(n: float, m: float, r: int) -> float:
    """Return the flops of `quadratic_diagonals` for n rows, m columns and well-spread spectra."""
    direct = r * n * m * (m + PANEL)
    return direct if r <= FEW else min(direct, 2 * n * m * m + 8 * r * n * m)


def triangles_serve(
    shape: FitShape, form: Form, selection: Selection, *, joint: bool = False
) -> bool:
    """Return True if squared residuals can be had from a triangle for each penalty.

    See `bench_core.ridge.formulas.residual_factors`.
    """
    each = form == "dual" and selection == "each"
    if shape.folds and (not joint or shape.scaled):
        return False
    return each and not (shape.gcv or shape.rows)


def joint_serves(shape: FitShape, form: Form) -> bool:
    """Return True if all folds can be had from the factorisation of all samples.

    See `bench_core.ridge.formulas.joint_folds`. In float32 they can in the dual form alone: in the
    primal form I - H loses its digits. Nor can r in float32, whose predictions are differences of
    targets and residuals: a large penalty makes them small.
    """
    if shape.dtype == "float32" and (form == "primal" or shape.rows):
        return False
    whole = all(train + test == shape.t for train, test in shape.folds)
    return bool(shape.folds) and shape.complementary and whole and not shape.exact


def fold_ways(shape: FitShape, form: Form, joint: bool | None) -> tuple[bool, ...]:
    """Return the values of ``joint`` that a plan can have, all if None is given."""
    possible = (False, True) if joint_serves(shape, form) else (False,)
    return tuple(one for one in possible if joint is None or one == joint) or (False,)


def steps(
    shape: FitShape,
    form: Form,
    selection: Selection,
    *,
    keeps_coordinates: bool = False,
    triangles: bool = False,
    joint: bool = False,
) -> tuple[Step, ...]:
    """Return the steps of a fit in the order in which they run.

    joint : folds follow from the factorisation of all samples.
    """
    if form == "dual":
        return tuple(_dual_steps(shape, selection, triangles, joint))
    return tuple(_primal_steps(shape, selection, keeps_coordinates, joint))


def useful_flops(
    shape: FitShape,
    form: Form,
    selection: Selection,
    width: int,
    *,
    triangles: bool = False,
    joint: bool = False,
) -> float:
    """Return the flops by the formula that solvers of one problem are compared with.

    t²p + t²s + 2tps + 9t³ + 2rt³ + 2pt² for the shared-penalty dual form, without 2tps where
    no coefficients are formed; otherwise the flops of the steps for blocks of ``width`` targets.
    """
    if form == "dual" and selection == "shared" and not shape.folds:
        t, p = float(shape.t), float(shape.p)
        coefficients = 2 * t * p * shape.s if shape.coef else 0.0
        return t * t * (p + shape.s) + coefficients + (9 + 2 * shape.r) * t**3 + 2 * p * t * t
    keeps = coordinates_serve(shape, selection, width, joint=joint)
    found = steps(shape, form, selection, keeps_coordinates=keeps, triangles=triangles, joint=joint)
    return sum(step.flops for step in found)


def svd_flops(n: float, m: float) -> float:
    """Return the flops of a thin singular value decomposition of n × m, by way of QR.

    6 m n² + 20 n³ for n ≤ m: a QR decomposition and its Q, that of the triangle, and a product
    (Golub and Van Loan, 2013, figure 8.6.1, with R-bidiagonalisation).
    """
    n, m = min(n, m), max(n, m)
    return 6 * m * n * n + 20 * n**3


def _exact_steps(shape: FitShape) -> Iterator[Step]:
    """Yield the decompositions of X itself, whole and of the folds' training rows."""
    t, p = float(shape.t), float(shape.p)
    own: Phase = "solution" if shape.folds else "factorise"
    if shape.folds:
        folds = sum(svd_flops(a, p) + 2.0 * b * p * min(a, p) for a, b in shape.folds)
        yield Step("folds' singular value decompositions", folds, "float64", "validate")
    yield Step("singular value decomposition", svd_flops(t, p), "float64", own)


def _inverse_flops(n: float) -> float:
    """Return the flops of the inverse of a matrix of order n, by its triangles."""
    return 8 / 3 * n**3


def _joint_dual(shape: FitShape, selection: Selection, triangles: bool) -> Iterator[Step]:
    """Yield the steps that score folds from the eigenvectors of all samples."""
    t, s, r = float(shape.t), shape.s, shape.r
    held = [float(n) for _, n in shape.folds]
    # V_T D V_Tᵀ, its triangles, and V_T D divided by it.
    maps = r * sum(4 * n * n * t + 2 / 3 * n**3 for n in held)
    yield Step("eigendecomposition", EIGH_FLOPS * t**3, "float64", "factorise")
    if selection == "shared":
        passes = len(held) if shape.scaled else 1
        yield Step(JOINT, maps, "float64", "select")
        scores = passes * 3 * t**3 + r * sum(held) * t * t
        yield Step("scores", scores, shape.dtype, "select")
        return
    yield Step(JOINT, maps, "float64", "validate")
    read = shape.t * s * shape.itemsize
    if triangles:
        rows = sum(held)
        yield Step(TRIANGLES, r * 2 * (rows - t / 3) * t * t, "float64", "validate")
        yield Step("scores", (2 + r) * t * t * s, shape.dtype, "sum", read)
    else:
        each = 2 * t * t * s + 2 * r * sum(held) * t * s
        yield Step("scores", each, shape.dtype, "sum", read)


def _dual_steps(
    shape: FitShape, selection: Selection, triangles: bool, joint: bool
) -> Iterator[Step]:
    t, p, s, r = float(shape.t), float(shape.p), shape.s, shape.r
    read = shape.t * s * shape.itemsize
    if shape.exact:
        yield from _exact_steps(shape)
    else:
        yield Step("kernel X Xᵀ", t * t * p, "float64", "factorise")
    if selection == "shared":
        passes = max(1, len(shape.folds)) if shape.scaled else 1
        yield Step("target Gram Y Yᵀ", passes * t * t * s, shape.dtype, "sum", passes * read)
    if joint:
        yield from _joint_dual(shape, selection, triangles)
    elif not shape.folds:
        if not shape.exact:
            yield Step("eigendecomposition", EIGH_FLOPS * t**3, "float64", "factorise")
        if selection == "shared":
            yield Step("scores", 3 * t**3 + _diagonals(t, t, r), shape.dtype, "select")
        else:
            if triangles:
                yield Step(TRIANGLES, r * (t + t / 3) * t * t, "float64", "validate")
            each = (2 + r if triangles else 2 + 2 * r) * t * s
            if shape.gcv:
                each = 2 * t * s + 2 * r * s
            yield Step("scores", each * t, shape.dtype, "sum", read)
    else:
        shared = selection == "shared"
        eigen = sum(EIGH_FLOPS * a**3 + 2.0 * b * a * a for a, b in shape.folds)
        phase: Phase = "select" if shared else "validate"
        if not shape.exact:
            yield Step("folds' eigendecompositions", eigen, "float64", phase)
        if shared:
            scores = sum(3.0 * a**3 + 2.0 * b * a * a + _diagonals(b, a, r) for a, b in shape.folds)
            yield Step("scores", scores, "float64", "select")
        else:
            scores = sum(2.0 * a * a * s + 2.0 * r * a * b * s for a, b in shape.folds)
            yield Step("scores", scores, shape.dtype, "sum", read * len(shape.folds))
        if not shape.exact:
            yield Step("eigendecomposition", EIGH_FLOPS * t**3, "float64", "solution")
    written = int(p) * s * shape.itemsize
    if shape.per_target:
        if not shape.exact:
            yield Step("rotation Vᵀ X", 2 * p * t * t, "float64", "solution")
        yield Step("coordinates Vᵀ Y", 2 * t * t * s, shape.dtype, "coefficients", read)
        if shape.coef:
            yield Step("coefficients", 2 * t * p * s, shape.dtype, "coefficients", 0, written)
        return
    yield Step("inverse", t**3, "float64", "solution")
    if shape.coef:
        yield Step("solution Xᵀ A", 2 * p * t * t, "float64", "solution")
        yield Step("coefficients M Y", 2 * t * p * s, shape.dtype, "coefficients", read, written)


def coordinates_serve(
    shape: FitShape, selection: Selection, width: int, *, joint: bool = False
) -> bool:
    """Return True if C = Qᵀ Yc, formed to choose the penalty, serves for the coefficients too."""
    by_fold = bool(shape.folds) and not joint
    return selection == "shared" and not by_fold and not shape.scaled and width >= shape.s


def _joint_primal(shape: FitShape, selection: Selection) -> Iterator[Step]:
    """Yield the steps that score folds from the eigenvectors of all samples."""
    t, p, s, r = float(shape.t), float(shape.p), shape.s, shape.r
    held = [float(n) for _, n in shape.folds]
    read = shape.t * s * shape.itemsize
    maps = r * sum(4 * n * n * p + _inverse_flops(n) for n in held)
    if selection == "shared":
        passes = len(held) if shape.scaled else 1
        once = sum(2 * n * p + 2 * n * n for n in held)
        products = passes * (2 * t * p + 2 * p * p) * s + once * s
        yield Step("target products", products, shape.dtype, "sum", passes * read)
        scores = r * sum(2 * n**3 + 2 * n * n * p + n * p * p for n in held)
        yield Step(JOINT, maps, "float64", "select")
        yield Step("scores", scores, "float64", "select")
    else:
        yield Step(JOINT, maps, "float64", "validate")
        each = 2 * t * p * s + 2 * r * sum(n * (n + p) for n in held) * s
        yield Step("scores", each, shape.dtype, "sum", read)


def _primal_steps(
    shape: FitShape, selection: Selection, keeps_coordinates: bool, joint: bool
) -> Iterator[Step]:
    t, p, s, r = float(shape.t), float(shape.p), shape.s, shape.r
    read = shape.t * s * shape.itemsize
    own: Phase = "solution" if shape.folds and not joint else "factorise"
    if shape.exact:
        yield from _exact_steps(shape)
    else:
        yield Step("covariance Xᵀ X", t * p * p, "float64", own)
        yield Step("eigendecomposition", EIGH_FLOPS * p**3, "float64", own)
    if joint:
        yield Step("rotation X V", 2 * t * p * p, shape.dtype, own)
        yield from _joint_primal(shape, selection)
    elif not shape.folds:
        if not shape.exact:
            yield Step("rotation X V", 2 * t * p * p, shape.dtype, own)
        if selection == "shared":
            yield Step("target products", 4 * t * p * s + p * p * s, shape.dtype, "sum", read)
            yield Step("scores", _diagonals(t, p, r) + 4 * r * t * p, shape.dtype, "select")
        else:
            each = 2 * t * s + 2 * r * s if shape.gcv else (1 + r) * 2 * t * s
            yield Step("scores", each * p, shape.dtype, "sum", read)
    else:
        k = len(shape.folds)
        if not shape.exact:
            eigen = sum(float(a) * p * p + EIGH_FLOPS * p**3 for a, _ in shape.folds)
            yield Step("folds' eigendecompositions", eigen, "float64", "validate")
            rotations = sum(2.0 * (a + b) * p * p for a, b in shape.folds)
            yield Step("folds' rotations", rotations, shape.dtype, "validate")
        if selection == "shared":
            products = sum(2.0 * (a + b) * p * s + p * p * s for a, b in shape.folds)
            yield Step("target products", products, shape.dtype, "sum", k * read)
            scores = sum(_diagonals(b, p, r) for _, b in shape.folds)
            yield Step("scores", scores, "float64", "select")
        else:
            scores = sum(2.0 * a * p * s + 2.0 * r * b * p * s for a, b in shape.folds)
            yield Step("scores", scores, shape.dtype, "sum", k * read)
    if not keeps_coordinates:
        yield Step("Xᵀ Y", 2 * t * p * s, shape.dtype, "coefficients", read)
    written = int(p) * s * shape.itemsize if shape.coef else 0
    yield Step("coefficients", 2 * p * p * s, shape.dtype, "coefficients", 0, written)
