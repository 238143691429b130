"""Residuals of held-out rows from one factorisation for all folds.

With K the kernel of centred features and M = (K + α I)⁻¹ − 11ᵀ / (t α), the second term with an
intercept only, the residuals of rows F, fitted without them, are

    e_F = M_FF⁻¹ (M Y)_F = Y_F + M_FF⁻¹ M_FS Y_S,

S being all other rows; for a single row e_i = (M Y)_i / M_ii. Ridge with its unpenalised intercept
is a penalised least-squares fit, so leaving F out equals replacing Y_F by what is predicted for it
(Cook and Weisberg, 1982, Residuals and Influence in Regression, section 2.2; for one row Golub,
Heath and Wahba, 1979, Technometrics 21, 215–223). So every candidate costs one factorisation of
t × t, and none for each fold.

The rows are in such an order that every fold is a range of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.errors import InputError
from bench_core.ridge.arrays.backend import Array, cast, mirror

LOST = 1e-13
"""Least ratio of the pivots of K + α I at which its inverse still has digits."""

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass
class FoldOperator:
    """The residuals of one fold: Y[rows] + before Y[:first] + after Y[end:].

    Parameters
    ----------
    rows : the n held-out rows, from ``first`` to ``end``.
    before, after : (n, first) and (n, t − end).
    """

    rows: slice
    before: Array
    after: Array

    @property
    def n(self) -> int:
        """Held-out rows."""
        return int(self.rows.stop - self.rows.start)

    def residuals(self, Y: Array, out: NDArray[Any] | None = None) -> Array:
        """Return the residuals (n, b) of targets Y (t, b), into ``out`` where it is given.

        numpy arrays must be C-contiguous, ``out`` of Y's type.
        """
        first, end = self.rows.start, self.rows.stop
        if not isinstance(Y, np.ndarray):
            xp = array_namespace(Y)
            found = Y[first:end] + xp.matmul(self.before, Y[:first])
            return found + xp.matmul(self.after, Y[end:])
        from scipy.linalg import blas

        found = np.empty((self.n, Y.shape[1]), Y.dtype) if out is None else out
        np.copyto(found, Y[first:end])
        # BLAS counts columns first: a C-contiguous array is its transpose. All products and
        # factorisations of the search are scipy's, as two libraries' threads would compete.
        gemm = blas.dgemm if Y.dtype == np.float64 else blas.sgemm
        for factor, rows in ((self.before, Y[:first]), (self.after, Y[end:])):
            if len(rows):
                gemm(1.0, rows.T, factor, trans_b=True, beta=1.0, c=found.T, overwrite_c=True)
        return found

    def squares(self, G: Array) -> float:
        """Return the sum over targets and rows of squared residuals from G = Y Yᵀ (t, t)."""
        xp = array_namespace(G)
        first, end = self.rows.start, self.rows.stop
        H = self.residuals(G)
        total = xp.linalg.trace(H[:, first:end])
        total = total + xp.sum(H[:, :first] * self.before) + xp.sum(H[:, end:] * self.after)
        return float(total)

    def astype(self, dtype: np.dtype[Any]) -> FoldOperator:
        """Return the operator in the precision of the products."""
        if isinstance(self.before, np.ndarray):
            before, after = (
                A.astype(dtype, order="F", copy=False) for A in (self.before, self.after)
            )
        else:
            before, after = cast(self.before, dtype), cast(self.after, dtype)
        return FoldOperator(self.rows, before, after)


@dataclass
class LeaveOneOut:
    """The residuals of every row, each fitted without it: factor @ Y.

    Parameters
    ----------
    factor : M / diag(M), (t, t).
    """

    factor: Array

    @property
    def rows(self) -> slice:
        """All rows: every one is held out."""
        return slice(0, self.n)

    @property
    def n(self) -> int:
        """Held-out rows."""
        return int(self.factor.shape[0])

    def residuals(self, Y: Array, out: NDArray[Any] | None = None) -> Array:
        """Return the residuals (t, b) of targets Y (t, b), as `FoldOperator.residuals` does."""
        if not isinstance(Y, np.ndarray):
            return array_namespace(Y).matmul(self.factor, Y)
        from scipy.linalg import blas

        found = np.empty(Y.shape, Y.dtype) if out is None else out
        gemm = blas.dgemm if Y.dtype == np.float64 else blas.sgemm
        gemm(1.0, Y.T, self.factor, trans_b=True, beta=0.0, c=found.T, overwrite_c=True)
        return found

    def squares(self, G: Array) -> float:
        """Return the sum over targets and rows of squared residuals from G = Y Yᵀ (t, t)."""
        return float(array_namespace(G).sum(self.residuals(G) * self.factor))

    def astype(self, dtype: np.dtype[Any]) -> LeaveOneOut:
        """Return the operator in the precision of the products."""
        if isinstance(self.factor, np.ndarray):
            return LeaveOneOut(self.factor.astype(dtype, order="F", copy=False))
        return LeaveOneOut(cast(self.factor, dtype))


Operator = FoldOperator | LeaveOneOut


def as_ranges(folds: Sequence[Fold], t: int) -> tuple[NDArray[np.intp] | None, list[slice]]:
    """Return an order of the rows in which every fold holds out a range, and these ranges.

    The order is None where the rows are in it already. Raises `InputError` for folds that do not
    train on all rows they do not hold out, or that hold a row out twice.

    >>> as_ranges([(np.array([1, 3]), np.array([0, 2])), (np.array([0, 2]), np.array([1, 3]))], 4)
    (array([0, 2, 1, 3]), [slice(0, 2, None), slice(2, 4, None)])
    """
    held = np.zeros(t, np.intp)
    ranges, start = [], 0
    for number, (train, test) in enumerate(folds):
        left = np.ones(t, bool)
        left[test] = False
        if not np.array_equal(np.sort(train), np.flatnonzero(left)):
            raise InputError(
                f"fold {number} does not train on exactly the rows that it does not hold out: "
                "banded ridge needs that of every fold"
            )
        held[test] += 1
        ranges.append(slice(start, start + len(test)))
        start += len(test)
    if (held > 1).any():
        raise InputError(
            f"row {int(np.argmax(held > 1))} is held out by more than one fold: banded ridge needs "
            "folds that are apart"
        )
    order = np.concatenate([*(np.sort(test) for _, test in folds), np.flatnonzero(held == 0)])
    same = np.array_equal(order, np.arange(t))
    return (None if same else order.astype(np.intp)), ranges


def fold_operators(
    K: Array, alpha: float, folds: Sequence[slice], *, intercept: bool
) -> list[FoldOperator] | None:
    """Return the operators of all folds in float64 for a kernel K (t, t), overwritten.

    numpy's K must be C-contiguous. The answer is None where α is so small against K that the
    inverse would have no digits.
    """
    A, offset = _shifted(K, alpha, intercept=intercept)
    if isinstance(A, np.ndarray):
        return _by_lapack(A, folds, offset)
    return _by_torch(A, folds, offset)


def leave_one_out(K: Array, alpha: float, *, intercept: bool) -> list[LeaveOneOut] | None:
    """Return the operator of leave-one-out, alone in a list; K and None as `fold_operators`."""
    A, offset = _shifted(K, alpha, intercept=intercept)
    if isinstance(A, np.ndarray):
        M: Array = _inverse_by_lapack(A, offset)
        if M is None:
            return None
        M = np.asfortranarray(mirror(M))
        M /= np.diagonal(M).copy()[:, None]
        return [LeaveOneOut(M)]
    M = _inverse_by_torch(A, offset)
    return None if M is None else [LeaveOneOut(M.div_(M.diagonal().clone()[:, None]))]


def _shifted(K: Array, alpha: float, *, intercept: bool) -> tuple[Array, float]:
    """Return K + α I, K being overwritten, and what is to be taken off its inverse."""
    t = K.shape[0]
    # K 1 = 0 with an intercept. A multiple of 11ᵀ keeps this direction's 1 / α, which is taken off
    # below, from being all there is of the inverse.
    shift = float(array_namespace(K).linalg.trace(K)) / t if intercept else 0.0
    offset = 1 / (t * (alpha + shift)) if intercept else 0.0
    if isinstance(K, np.ndarray):
        assert K.flags.c_contiguous
        K += shift / t
        K.reshape(-1)[:: t + 1] += alpha
        return K, offset
    K += shift / t
    K.diagonal().add_(alpha)
    return K, offset


def _inverse_by_lapack(A: NDArray[np.float64], offset: float) -> NDArray[np.float64] | None:
    """Return A⁻¹ less ``offset``, only the lower triangle; None where it would have no digits."""
    from scipy.linalg import lapack

    L, failed = lapack.dpotrf(A.T, lower=1, overwrite_a=1, clean=0)
    if failed or _lost(np.diagonal(L)):
        return None
    M, failed = lapack.dpotri(L, lower=1, overwrite_c=1)
    if failed:
        return None
    M -= offset
    inverse: NDArray[np.float64] = M
    return inverse


def _by_lapack(
    A: NDArray[np.float64], folds: Sequence[slice], offset: float
) -> list[FoldOperator] | None:
    from scipy.linalg import lapack

    M = _inverse_by_lapack(A, offset)
    if M is None:
        return None
    found = []
    for rows in folds:
        own, failed = lapack.dpotrf(np.array(M[rows, rows], order="F"), lower=1, overwrite_a=1)
        if failed:
            return None
        # Only the lower triangle of M counts.
        sides = [
            np.array(M[rows, : rows.start], order="F"),
            np.array(M[rows.stop :, rows].T, order="F"),
        ]
        for number, side in enumerate(sides):
            if side.shape[1]:
                sides[number], _ = lapack.dpotrs(own, side, lower=1, overwrite_b=1)
        found.append(FoldOperator(rows, *sides))
    return found


def _inverse_by_torch(A: Array, offset: float) -> Array | None:
    """Return A⁻¹ less ``offset``; None where it would have no digits."""
    import torch

    L, failed = torch.linalg.cholesky_ex(A)
    if int(failed) or _lost(torch.diagonal(L).cpu().numpy()):
        return None
    return torch.cholesky_inverse(L) - offset


def _by_torch(A: Array, folds: Sequence[slice], offset: float) -> list[FoldOperator] | None:
    import torch

    M = _inverse_by_torch(A, offset)
    if M is None:
        return None
    found = []
    for rows in folds:
        own, failed = torch.linalg.cholesky_ex(M[rows, rows])
        if int(failed):
            return None
        sides = M[rows, : rows.start], M[rows, rows.stop :]
        found.append(FoldOperator(rows, *(torch.cholesky_solve(side, own) for side in sides)))
    return found


def _lost(pivots: NDArray[np.float64]) -> bool:
    return bool((pivots.min() / pivots.max()) ** 2 < LOST)
