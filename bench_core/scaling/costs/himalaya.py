"""himalaya's RidgeCV ("ridge", singular values of X) and KernelRidgeCV ("kernel", X Xᵀ).

Counted from himalaya 0.4: `solve_multiple_kernel_ridge_random_search` and
`solve_group_ridge_random_search` with one space of features, one penalty at a time, and one penalty
for all targets. It computes in the precision of X.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from bench_core.ridge.planning.flops import FitShape
from bench_core.scaling.costs.ridgecv import problem_bytes
from bench_core.scaling.operations import (
    FitCost,
    Operation,
    alone,
    eigh,
    gemm,
    resource,
    svd,
    syrk,
)

Form = Literal["kernel", "ridge"]


def himalaya(shape: FitShape, *, form: Form | None = None) -> FitCost:
    """Return the cost of a fit by folds; leave-one-out is not among its ways."""
    chosen: Form = form or ("kernel" if shape.t < shape.p else "ridge")
    operations = _kernel(shape) if chosen == "kernel" else _ridge(shape)
    needed = (held_bytes(shape.t, shape.p, shape.s, shape.itemsize),)
    stages = alone((*_checked(shape), *operations))
    held = problem_bytes(shape)
    return FitCost("himalaya", chosen, 1, stages, needed, held, held)


def held_bytes(t: int, p: int, s: int, itemsize: int) -> int:
    """Return the bytes of the arrays that himalaya 0.4 holds at once (5 folds), besides X and Y.

    The counts were read off its allocations with the numpy backend and the default options,
    plus what numpy and LAPACK take for the factorisation (dgesdd, dsyevd).
    """
    if t < p:
        numbers = t * p + (4 + 2) * t * t + 3 * t * s + p * s
    else:
        numbers = (5 + 2) * t * p + (2 + 5) * p * p + 3 * t * s + 2 * p * s
    return numbers * itemsize


def _checked(shape: FitShape) -> Iterator[Operation]:
    values = float(shape.t) * (shape.p + shape.s) * shape.itemsize
    yield resource("reading", "fit", 1)
    each = float(shape.t) * max(shape.p, shape.s) * shape.itemsize
    yield resource("reading", "stream", 3 * values, each=each)
    yield resource("centring", "fresh", values, each=each)


def _predictions(shape: FitShape, train: int, test: int, through: int) -> Iterator[Operation]:
    """Yield what every penalty of a fold takes: a matrix of predictions, and their scores."""
    a, b, s, r = float(train), float(test), float(shape.s), shape.r
    z, dtype = shape.itemsize, shape.dtype
    yield gemm("scores", b, a, float(through), dtype=dtype, count=r)
    yield gemm("scores", b, s, a, dtype=dtype, count=r)
    # Training targets are gathered and centred for every penalty; then residuals and squares.
    yield resource("scores", "fresh", r * z * 2 * (a + b) * s, each=z * a * s)
    yield resource("scores", "fresh", r * z * 3 * b * s, each=z * b * s)
    yield resource("scores", "stream", r * z * 3 * (a + b) * s, each=z * a * s)
    yield resource("scores", "stream", r * z * 4 * b * s, each=z * b * s)


def _kernel(shape: FitShape) -> Iterator[Operation]:
    t, p, s, r = float(shape.t), float(shape.p), float(shape.s), shape.r
    z, dtype = shape.itemsize, shape.dtype
    yield syrk("Gram or covariance", t, p, dtype=dtype)
    yield resource("Gram or covariance", "fresh", 3 * z * t * t, each=z * t * t)
    for train, test in shape.folds:
        a, b = float(train), float(test)
        yield resource("centring", "fresh", 3 * z * a * t, each=z * a * t)
        yield eigh(a, dtype=dtype)
        yield resource("factorisation", "fresh", 4 * z * a * a, each=z * a * a)
        yield gemm("factorisation", b, a, a, dtype=dtype)
        yield resource("scores", "fresh", r * z * a * a, each=z * a * a)
        yield resource("scores", "stream", r * z * a * a, each=z * a * a)
        yield from _predictions(shape, train, test, train)
    yield eigh(t, dtype=dtype)
    yield resource("factorisation", "fresh", 4 * z * t * t, each=z * t * t)
    yield gemm("solution", t, t, t, dtype=dtype)
    yield gemm("solution", t, s, t, dtype=dtype)
    yield gemm("solution", p, s, t, dtype=dtype)
    yield resource("solution", "fresh", z * 4 * t * s, each=z * t * s)
    yield resource("solution", "fresh", z * p * s, each=z * p * s)
    yield resource("solution", "stream", z * 4 * t * s, each=z * t * s)


def _ridge(shape: FitShape) -> Iterator[Operation]:
    t, p, s, r = float(shape.t), float(shape.p), float(shape.s), shape.r
    z, dtype = shape.itemsize, shape.dtype
    for train, test in shape.folds:
        a, b = float(train), float(test)
        m = min(a, p)
        yield resource("centring", "fresh", 4 * z * (a + b) * p, each=z * a * p)
        yield svd(a, p, dtype=dtype)
        yield resource("factorisation", "fresh", 3 * z * a * p, each=z * a * p)
        yield gemm("scores", p, a, m, dtype=dtype, count=r)
        yield resource("scores", "fresh", r * z * (m * a + p * a), each=z * p * a)
        yield from _predictions(shape, train, test, shape.p)
    m = min(t, p)
    yield svd(t, p, dtype=dtype)
    yield resource("factorisation", "fresh", 3 * z * t * p, each=z * t * p)
    yield gemm("solution", p, t, m, dtype=dtype)
    yield gemm("solution", p, s, t, dtype=dtype)
    yield resource("solution", "fresh", z * (m * t + p * t), each=z * p * t)
    yield resource("solution", "fresh", z * 3 * p * s, each=z * p * s)
    yield resource("solution", "stream", z * 3 * p * s, each=z * p * s)
