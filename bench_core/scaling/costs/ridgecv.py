"""scikit-learn's RidgeCV by leave-one-out or folds, alone, per target (MOR) and per batch (B-MOR).

Counted from scikit-learn's `_RidgeGCV` and `GridSearchCV`. Its three forms factorise X Xᵀ
("gram", t × t), Xᵀ X ("cov", p × p) or X itself ("svd"). Version 1.9 forms the coefficients with
every penalty; versions before it formed them once, with the chosen one, and had no "cov".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, pairwise
from typing import Literal

import numpy as np

from bench_core.ridge.planning.flops import FitShape
from bench_core.scaling.operations import (
    FitCost,
    Load,
    Operation,
    Phase,
    Stage,
    alone,
    driver,
    eigh,
    gemm,
    resource,
    svd,
    syrk,
    waiting,
)

Form = Literal["gram", "cov", "svd"]
Release = Literal["1.9", "before 1.9"]


def form_of(shape: FitShape, gcv_mode: str | None = None, release: Release = "1.9") -> Form:
    """Return the form that scikit-learn takes for this shape and option ``gcv_mode``."""
    if gcv_mode == "svd":
        return "svd"
    if shape.t <= shape.p:
        return "gram"
    return "cov" if release == "1.9" else "svd"


def ridgecv(shape: FitShape, *, form: Form | None = None, release: Release = "1.9") -> FitCost:
    """Return the cost of RidgeCV in one process."""
    chosen = form or form_of(shape, release=release)
    operations = tuple(ridgecv_operations(shape, chosen, release))
    needed = (working_bytes(shape.t, shape.p, shape.s),)
    held = problem_bytes(shape)
    return FitCost("ridgecv", chosen, 1, alone(operations), needed, held, held)


def bmor(
    shape: FitShape,
    nodes: int,
    *,
    form: Form | None = None,
    release: Release = "1.9",
    by_message: bool = False,
) -> FitCost:
    """Return the cost of one RidgeCV per batch of targets, a batch per node (equation 3.7).

    Nodes map X and Y, and write their coefficients into one file. With ``by_message`` one process
    sends every node X and its targets, and gets their coefficients, as the thesis's code does.
    """
    chosen = form or form_of(shape, release=release)
    n = min(shape.s, nodes)
    bounds = [i * shape.s // n for i in range(n + 1)]
    shares = sorted(b - a for a, b in pairwise(bounds))
    loads, needed = [], []
    for share, group in groupby(shares):
        count = len(list(group))
        one = replace(shape, s=share)
        written = 0 if by_message else shape.itemsize * shape.p * share
        operations = (
            *ridgecv_operations(one, chosen, release),
            resource("transfers", "stream", written, each=written),
            resource("transfers", "file", written),
            resource("transfers", "network", shape.itemsize * share),
            resource("transfers", "task", 1),
        )
        loads.append(Load(operations, count))
        needed += [working_bytes(shape.t, shape.p, share)] * count
    loads.append(driver(n))
    shared = problem_bytes(shape) + shape.s * shape.p * shape.itemsize
    stages = [Stage(tuple(loads))] if by_message else [Stage(tuple(loads)), waiting(2)]
    if by_message:
        sent = 8.0 * (n * shape.t * shape.p + (shape.t + shape.p) * shape.s)
        stages.append(Stage((Load((resource("transfers", "network", sent),)),)))
    return FitCost("bmor", chosen, n, tuple(stages), tuple(needed), shared, shared)


def mor(
    shape: FitShape, nodes: int, *, form: Form | None = None, release: Release = "1.9"
) -> FitCost:
    """Return the cost of one RidgeCV per target, targets spread over nodes (equation 3.6).

    Every task carries one target's coefficients back to the one process that collects them.
    """
    chosen = form or form_of(shape, release=release)
    n = min(shape.s, nodes)
    one = replace(shape, s=1)
    rounds = -(-shape.s // n)
    sent = 8 * shape.p
    own = [_times(each, rounds) for each in ridgecv_operations(one, chosen, release)]
    operations = (
        *own,
        resource("transfers", "task", rounds),
        resource("transfers", "network", rounds * sent),
    )
    fits = Stage((Load(operations, n), driver(shape.s)))
    gathered = Stage((Load((resource("transfers", "fresh", 2.0 * shape.s * sent),)),))
    needed = (working_bytes(shape.t, shape.p, 1),) * n
    shared = problem_bytes(shape) + 2 * shape.s * shape.p * shape.itemsize
    return FitCost("mor", chosen, n, (fits, gathered, waiting(1)), needed, shared, shared)


def _times(operation: Operation, count: int) -> Operation:
    return replace(
        operation,
        flops=operation.flops * count,
        amount=operation.amount * count,
        count=operation.count * count,
    )


def ridgecv_operations(shape: FitShape, form: Form, release: Release) -> Iterator[Operation]:
    """Yield the operations of one RidgeCV fit; the arrays that it makes are in float64."""
    if shape.folds:
        yield from _grid_search(shape)
        return
    p, s = float(shape.p), float(shape.s)
    yield from _prepared(shape)
    if form == "gram":
        yield from _gram(shape, release)
    elif form == "cov":
        yield from _covariance(shape)
    else:
        yield from _decomposed(shape, release)
    # The intercept reads the coefficients.
    yield resource("solution", "stream", 8 * p * s, each=8 * p * s)
    if shape.itemsize == 4:
        yield resource("solution", "fresh", 4 * p * s, each=4 * p * s)


def _prepared(shape: FitShape) -> Iterator[Operation]:
    """Yield the checks of X and Y, their copies in float64, and the centring of these."""
    values = float(shape.t) * (shape.p + shape.s)
    casts = 2 if shape.itemsize == 4 else 1
    each = 8.0 * shape.t * max(shape.p, shape.s)
    yield resource("reading", "fit", 1)
    yield resource("reading", "stream", 2 * shape.itemsize * values, each=each)
    yield resource("centring", "fresh", casts * 8 * values, each=each)
    yield resource("centring", "stream", (2 + casts) * 8 * values, each=each)


def _gram(shape: FitShape, release: Release) -> Iterator[Operation]:
    t, p, s, r = float(shape.t), float(shape.p), float(shape.s), shape.r
    yield syrk("Gram or covariance", t, p)
    yield resource("Gram or covariance", "fresh", 8 * t * t, each=8 * t * t)
    yield eigh(t)
    yield resource("factorisation", "fresh", 4 * 8 * t * t, each=8 * t * t)
    yield gemm("scores", t, s, t)  # Qᵀ Y
    yield gemm("scores", t, s, t, count=r)  # Q (d ∘ Qᵀ Y)
    yield from _scored(t, s, r, of=t)
    yield resource("scores", "fresh", 8 * t * s, each=8 * t * s)
    formed = r if release == "1.9" else 1
    yield gemm("solution", p, s, t, count=formed)
    yield resource("solution", "fresh", 8 * p * s * formed, each=8 * p * s)


def _covariance(shape: FitShape) -> Iterator[Operation]:
    t, p, s, r = float(shape.t), float(shape.p), float(shape.s), shape.r
    yield syrk("Gram or covariance", p, t)
    yield resource("Gram or covariance", "fresh", 8 * p * p, each=8 * p * p)
    yield eigh(p)
    yield resource("factorisation", "fresh", 4 * 8 * p * p, each=8 * p * p)
    yield gemm("scores", p, s, t)  # Xᵀ Y
    yield gemm("scores", p, p, p, count=r)  # the inverse
    yield gemm("scores", p, s, p, count=r)  # the coefficients
    yield gemm("scores", t, s, p, count=r)  # predictions
    yield gemm("scores", t, p, p, count=r)  # X times the inverse
    # The inverse and its factor; X times the inverse and its products with X; coefficients.
    yield resource("scores", "fresh", r * 8 * 2 * p * p, each=8 * p * p)
    yield resource("scores", "fresh", r * 8 * 2 * t * p, each=8 * t * p)
    yield resource("scores", "fresh", r * 8 * p * s, each=8 * p * s)
    yield resource("scores", "stream", r * 8 * p * p, each=8 * p * p)
    yield resource("scores", "stream", r * 8 * 3 * t * p, each=8 * t * p)
    yield from _errors(t, s, r)
    yield resource("scores", "fresh", r * 8 * 2 * t * s, each=8 * t * s)
    yield resource("scores", "stream", r * 8 * 2 * t * s, each=8 * t * s)


def _decomposed(shape: FitShape, release: Release) -> Iterator[Operation]:
    t, p, s, r = float(shape.t), float(shape.p), float(shape.s), shape.r
    m = min(t, p)
    yield svd(t, p)
    yield resource("factorisation", "fresh", 3 * 8 * t * p, each=8 * t * p)
    yield gemm("scores", m, s, t)  # Uᵀ Y
    yield gemm("scores", t, s, m, count=r)
    yield from _scored(t, s, r, of=m)
    yield resource("scores", "fresh", r * 8 * t * s, each=8 * t * s)
    if release == "1.9":
        yield gemm("solution", p, s, m, count=r)
        yield resource("solution", "fresh", r * 8 * (p + m) * s, each=8 * p * s)
    else:
        yield gemm("solution", p, s, t)
        yield resource("solution", "fresh", 8 * p * s, each=8 * p * s)


def _scored(t: float, s: float, r: int, *, of: float) -> Iterator[Operation]:
    """Yield the memory traffic of scoring every penalty from ``of`` coordinates a target."""
    yield resource("scores", "fresh", r * 8 * (of * s + t * s), each=8 * t * s)
    yield resource("scores", "fresh", r * 8 * 2 * t * of, each=8 * t * of)
    yield resource("scores", "stream", r * 8 * of * s, each=8 * of * s)
    yield resource("scores", "stream", r * 8 * 4 * t * of, each=8 * t * of)
    yield from _errors(t, s, r)


def _errors(t: float, s: float, r: int) -> Iterator[Operation]:
    """Yield the memory traffic of residuals, their squares and the mean of these."""
    yield resource("scores", "fresh", r * 8 * 3 * t * s, each=8 * t * s)
    yield resource("scores", "stream", r * 8 * 4 * t * s, each=8 * t * s)


def _grid_search(shape: FitShape) -> Iterator[Operation]:
    """Yield a Ridge for every fold and penalty, by Cholesky, and one of all rows at the end."""
    r, size = shape.r, shape.itemsize
    for train, test in shape.folds:
        yield from _cholesky(shape, train, r)
        p, s, b = float(shape.p), float(shape.s), float(test)
        yield gemm("scores", b, s, p, dtype=shape.dtype, count=r)
        yield resource("scores", "fresh", r * size * b * p, each=size * b * p)
        yield resource("scores", "fresh", r * size * 4 * b * s, each=size * b * s)
        yield resource("scores", "stream", r * size * 6 * b * s, each=size * b * s)
    yield from _cholesky(shape, shape.t, 1)


def _cholesky(shape: FitShape, rows: int, count: int) -> Iterator[Operation]:
    a, p, s, size, dtype = float(rows), float(shape.p), float(shape.s), shape.itemsize, shape.dtype
    phase: Phase = "Gram or covariance"
    yield resource("reading", "fit", count)
    each = size * a * max(p, s)
    yield resource("centring", "fresh", count * 2 * size * a * (p + s), each=each)
    yield resource("centring", "stream", count * 4 * size * a * (p + s), each=each)
    if p > a:
        n = a
        yield syrk(phase, a, p, dtype=dtype, count=count)
        yield gemm("solution", p, s, a, dtype=dtype, count=count)
    else:
        n = p
        yield syrk(phase, p, a, dtype=dtype, count=count)
        yield gemm("solution", p, s, a, dtype=dtype, count=count)
    # A Cholesky factor is a product's work, n³ / 3, and solving with it 2 n² s.
    factor = Operation("factorisation", "gemm", count * n**3 / 3, n, 0.0, dtype, count)
    yield factor
    yield gemm("solution", n, s, n, dtype=dtype, count=count)
    yield resource("solution", "fresh", count * size * 2 * n * n, each=size * n * n)
    yield resource("solution", "fresh", count * size * 2 * n * s, each=size * n * s)
    yield resource("solution", "fresh", count * size * p * s, each=size * p * s)


def working_bytes(t: int, p: int, s: int) -> int:
    """Return the bytes that a leave-one-out RidgeCV fit allocates besides X and Y.

    scikit-learn 1.9, which computes in float64 whatever the input: the counts of t × p, t × s,
    p × s and n × n arrays (n = min(t, p)) alive at once were read off its allocations, plus two
    n × n arrays that the eigensolver takes (LAPACK's dsyevd).
    """
    if p < t:
        doubles = 3 * t * p + 6 * t * s + 4 * p * s + (3 + 2) * p * p
    else:
        doubles = t * p + 6 * t * s + 3 * p * s + (3 + 2) * t * t
    return 8 * doubles


def problem_bytes(shape: FitShape) -> int:
    """Return the bytes of X and Y."""
    return (shape.t * shape.p + shape.t * shape.s) * int(np.dtype(shape.dtype).itemsize)
