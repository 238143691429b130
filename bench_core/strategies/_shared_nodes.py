"""What nodes do in a ``bmor-shared`` fit: functions that the strategy starts on them.

Y and X are mapped files; a node reads its own columns of Y in blocks. What a node keeps between
two tasks is a Dask result that never leaves it; what one node makes for all (`broadcast`,
`solution`) is a file that the others map.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.cluster import ArrayRef, RowFile, forget_pages
from bench_core.errors import InputError
from bench_core.ridge.arrays.backend import Device, cast, mirror
from bench_core.ridge.arrays.target_blocks import Block, Centring, ColumnBlocks, fits_in_memory
from bench_core.ridge.formulas import cross_validation, dual, primal
from bench_core.ridge.formulas.centering import centred, column_means, double_centre
from bench_core.ridge.formulas.dual import Eigh
from bench_core.ridge.formulas.per_target_scores import block_scores
from bench_core.ridge.formulas.primal import ErrorSums
from bench_core.ridge.formulas.quadratic_forms import damping
from bench_core.ridge.planning.nodes import SharedPlan
from bench_core.ridge.solvers.base import magnification, ratio

Part = NDArray[np.float64] | ErrorSums


@dataclass(frozen=True)
class Job:
    """What every task is told. ``folder`` is where one node leaves files for the others."""

    X: ArrayRef
    Y: ArrayRef
    alphas: NDArray[np.float64]
    intercept: bool
    plan: SharedPlan
    folder: str

    @property
    def dtype(self) -> np.dtype[Any]:
        """Precision of the products."""
        return np.dtype(self.plan.shape.dtype)

    @property
    def dual(self) -> bool:
        """Whether the form is dual."""
        return self.plan.form == "dual"


@dataclass
class Factors:
    """X factorised: ``basis`` is Xc (t, p) in dual form, Q = Xc V (t, m) in primal form."""

    eigen: Eigh
    basis: NDArray[Any] | None
    mean: NDArray[np.float64] | None


@dataclass
class Solution:
    """Mᵀ (t, p) of the dual form and the means of X (p,), None without an intercept."""

    M: NDArray[Any]
    mean: NDArray[np.float64] | None


def factorise(job: Job) -> Factors:
    """Return the factorisation of X; raise `InputError` where X is not finite."""
    X = job.X.open()
    mean = column_means(X) if job.intercept else None
    Xc = centred(X, mean, job.dtype)
    forget_pages(X)
    square = dual.gram(Xc) if job.dual else primal.covariance(Xc)
    if not np.isfinite(np.diagonal(square)).all():
        raise InputError("X holds values that are not finite")
    if job.dual:
        return Factors(dual.factorise(square, intercept=job.intercept), Xc, mean)
    eigen = primal.factorise(square)
    return Factors(eigen, primal.rotate(Xc, eigen), mean)


def broadcast(job: Job, factors: Factors) -> None:
    """Write what other nodes need of the factorisation, in the products' precision."""
    _save(job, "values", factors.eigen.w)
    _save(job, "vectors", cast(factors.eigen.V, job.dtype))
    if not job.dual:
        assert factors.basis is not None
        _save(job, "basis", factors.basis)
        _save_mean(job, factors)


def score(job: Job, columns: slice, factors: Factors | None) -> Part:
    """Return what the scores need of these targets; parts of disjoint columns add up.

    G = Y Yᵀ (lower triangle), `ErrorSums`, or (3, r) sums over targets of scores, squared
    residuals and the variance gained, as the plan says. ``factors`` None: of the broadcast files.
    """
    if job.plan.selection == "each":
        return _scored(job, columns, factors or _broadcasted(job))
    if job.dual:
        G: NDArray[np.float64] | None = None
        for block in _blocks(job, columns, "shift"):
            G = dual.target_gram(block.values, G)
        assert G is not None
        return G
    known = factors or _broadcasted(job)
    assert known.basis is not None
    f = primal.filters(known.eigen, job.alphas)
    total: ErrorSums | None = None
    for block in _blocks(job, columns, "mean"):
        part = primal.error_sums(known.basis, f, block.values, known.basis.T @ block.values)
        if total is None:
            total = part
        else:
            total += part
    assert total is not None
    return total


def _scored(job: Job, columns: slice, factors: Factors) -> NDArray[np.float64]:
    if job.dual:
        check = cross_validation.dual_loo(factors.eigen, job.alphas)
    else:
        check = cross_validation.primal_loo(
            factors.basis, factors.eigen, job.alphas, intercept=job.intercept
        )
    check = replace(check, U=cast(check.U, job.dtype), project=cast(check.project, job.dtype))
    sums = np.zeros((3, len(job.alphas)))
    for block in _blocks(job, columns, "shift"):
        found = block_scores(check, block.values, "neg_mean_squared_error", intercept=job.intercept)
        sums += [found.scores.sum(axis=1), found.squares, found.gained]
    return sums


def add(left: Part, right: Part) -> Part:
    """Return left + right, in place: a part is used once."""
    total: Part = operator.iadd(left, right)
    return total


def select(
    job: Job, factors: Factors | None, total: Part
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return every penalty's score (r,) and by how much float32 errors are magnified in it (r,).

    Scores are minus the mean squared leave-one-out error. Raises `InputError` where Y is not
    finite.
    """
    t, s = job.plan.shape.t, job.plan.shape.s
    if job.plan.selection == "each":
        assert isinstance(total, np.ndarray)
        _require_finite(total[2])
        return total[0] / s, ratio(total[2], total[1])
    assert factors is not None
    if isinstance(total, ErrorSums):
        own = total.squares
        _require_finite(own)
        f = primal.filters(factors.eigen, job.alphas)
        rest = primal.complement_of_leverage(factors.basis, f, intercept=job.intercept)
        squares = primal.loo_squares(factors.basis, factors.eigen, total, job.alphas, rest)
        gain = 1 / (rest * rest)
    else:
        _require_finite(np.diagonal(total))
        G = mirror(total)
        if job.intercept:
            G = double_centre(G)
        own = np.diagonal(G)
        squares = dual.loo_squares(factors.eigen, G, job.alphas, job.dtype.name)
        gain = dual.gain(factors.eigen, damping(factors.eigen.w, job.alphas))
    return -squares.sum(axis=1) / (t * s), magnification(gain, own, squares)


def solution(job: Job, factors: Factors, alpha: float, everybody: bool) -> Solution | None:
    """Return Mᵀ (t, p) = A Xc; write it for ``everybody`` instead where others need it."""
    M = dual.solution(factors.basis, factors.eigen, alpha)
    if not everybody:
        return Solution(M, factors.mean)
    _save(job, "solution", M)
    _save_mean(job, factors)
    return None


def solve(
    job: Job, columns: slice, rows: RowFile, alpha: float, source: Factors | Solution | None
) -> NDArray[np.float64]:
    """Write the coefficients of these targets into ``rows`` and return their intercepts.

    ``source`` is the solution in dual form, the factors in primal form; None: of the files.
    """
    if source is None:
        source = _broadcasted_solution(job) if job.dual else _broadcasted(job)
    intercepts = np.zeros(columns.stop - columns.start)
    for block in _blocks(job, columns, "shift"):
        if isinstance(source, Solution):
            coef = block.values.T @ source.M
        else:
            assert source.basis is not None
            C = source.basis.T @ block.values
            coef = primal.coefficients(C, source.eigen, 1 / (source.eigen.w + alpha))
        rows.write(columns.start + block.columns.start, coef)
        if source.mean is not None:
            found = block.values.mean(axis=0, dtype=np.float64)
            if block.offset is not None:
                found += block.offset
            intercepts[block.columns] = found - coef @ source.mean.astype(coef.dtype)
    return intercepts


def _blocks(job: Job, columns: slice, centring: Centring) -> Iterator[Block]:
    Y = job.Y.open()[:, columns]
    yield from ColumnBlocks(
        Y,
        job.plan.width,
        dtype=job.dtype,
        centring=centring if job.intercept else "none",
        device=Device("cpu"),
        view_file=fits_in_memory(Y),
    )


def _require_finite(values: NDArray[np.float64]) -> None:
    if not np.isfinite(values).all():
        raise InputError("Y holds values that are not finite, or whose products are not")


def _save(job: Job, name: str, array: NDArray[Any]) -> None:
    path = Path(job.folder, f"{name}.npy")
    with path.open("wb") as file:
        np.save(file, array)
        file.flush()
        os.fsync(file.fileno())  # other machines of a network file system are about to read it


def _load(job: Job, name: str) -> NDArray[Any]:
    array: NDArray[Any] = np.load(Path(job.folder, f"{name}.npy"), mmap_mode="r")
    return array


def _save_mean(job: Job, factors: Factors) -> None:
    if factors.mean is not None:
        _save(job, "mean", factors.mean)


def _mean(job: Job) -> NDArray[np.float64] | None:
    return np.array(_load(job, "mean")) if job.intercept else None


def _broadcasted(job: Job) -> Factors:
    eigen = Eigh(np.array(_load(job, "values")), _load(job, "vectors"), constant=job.intercept)
    if job.dual:  # for scores only
        return Factors(eigen, None, None)
    return Factors(eigen, _load(job, "basis"), _mean(job))


def _broadcasted_solution(job: Job) -> Solution:
    return Solution(_load(job, "solution"), _mean(job))
