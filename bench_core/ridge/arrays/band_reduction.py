"""A symmetric float64 matrix as H B Hᵀ with B block-tridiagonal, by products of matrices alone.

A panel of b columns is factorised into Householder reflections, which annihilate what lies below
the subdiagonal block. With their compact WY form Q = I − V R⁻¹ Vᵀ (`bench_core.ridge.arrays.eigh`
has R) the rest of the matrix becomes Qᵀ A Q = A − V Xᵀ − X Vᵀ,

    W = A V R⁻¹,   X = W − ½ V R⁻ᵀ Vᵀ W

(Bischof, Lang and Sun, 2000, ACM Trans. Math. Softw. 26, 581–601): 4/3 n³ flops, one symmetric
product and one symmetric update for each panel. On the way to a tridiagonal matrix, b = 1, half of
them are products with a vector, at the speed of memory.

All products are scipy's: the threads of its BLAS and of numpy's get in each other's way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 64
"""Order b of the blocks: wide enough for fast products, narrow enough for cheap systems with B."""

STRIP = 16
"""Columns of a panel that LAPACK factorises at once, by products with vectors."""

COMPACTED = 8
"""Panels after which what remains is copied together: BLAS would copy a part of it every time."""

GROUP = 512
"""Reflections applied to rows at once."""

ROWS = 2048
"""Rows that are reflected at once, copied columns first: BLAS then changes them in place."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Reflections:
    """H (n, n), the product of n − b Householder reflections, in the form in which it is applied.

    vectors : (n, n), columns first; below the subdiagonal block of column i the vector of
    reflection i, whose entry i + ``block`` is 1. scales : (n − b,) τ, 0 for no reflection.
    """

    vectors: Matrix
    scales: Matrix
    block: int

    def rotate(self, X: NDArray[Any]) -> None:
        """Replace X (t, n), float32 or float64, by X H."""
        groups = list(self._groups(X.dtype, transposed=False))
        for start in range(0, len(X), ROWS):
            part = np.array(X[start : start + ROWS], order="F")
            for group in groups:
                _reflect(part, *group)
            X[start : start + ROWS] = part

    def rotate_back(self, C: NDArray[Any]) -> None:
        """Replace C (b, n), columns first, by C Hᵀ."""
        assert C.flags.f_contiguous
        for group in self._groups(C.dtype, transposed=True):
            _reflect(C, *group)

    def _groups(
        self, dtype: np.dtype[Any], *, transposed: bool
    ) -> Iterator[tuple[int, NDArray[Any], NDArray[Any]]]:
        """Yield (first column, U, W) of groups I − U Wᵀ of reflections, in the order of use.

        W = U R⁻¹, or U R⁻ᵀ for the transposed product, whose groups come last to first.
        """
        from scipy.linalg import blas

        starts = range(0, len(self.scales), GROUP)
        for start in reversed(starts) if transposed else starts:
            stop = min(start + GROUP, len(self.scales))
            U = unit_columns(self.vectors[start + self.block :, start:stop])
            R = triangle(U, self.scales[start:stop])
            W = blas.dtrsm(1.0, R, U, side=True, trans_a=not transposed)
            yield start + self.block, U.astype(dtype), W.astype(dtype)


def _reflect(part: NDArray[Any], first: int, U: NDArray[Any], W: NDArray[Any]) -> None:
    """Multiply columns from ``first`` of ``part`` by I − U Wᵀ in place; all are columns first."""
    from scipy.linalg import blas

    gemm = blas.sgemm if part.dtype == np.float32 else blas.dgemm
    columns = part[:, first:]
    gemm(-1.0, gemm(1.0, columns, U), W, trans_b=True, beta=1.0, c=columns, overwrite_c=True)


def unit_columns(V: Matrix) -> Matrix:
    """Return reflections' vectors (m, k) as a full matrix: 1 on its diagonal, 0 above."""
    U = np.array(V, order="F")
    k = U.shape[1]
    U[:k] = np.tril(U[:k], k=-1) + np.eye(*U[:k].shape)
    return U


def triangle(U: Matrix, scales: Matrix) -> Matrix:
    """Return R (k, k), upper, of k reflections; those of scale 0 vanish from ``U`` (m, k)."""
    from scipy.linalg import blas

    U[:, scales == 0] = 0
    R = np.triu(blas.dgemm(1.0, U, U, trans_a=True), k=1)
    np.fill_diagonal(R, 1 / np.where(scales == 0, 1, scales))
    return np.asfortranarray(R)


def panel(P: Matrix) -> tuple[Matrix, Matrix]:
    """Factorise P (m, b), m ≥ b, into reflections and a triangle, as LAPACK's ``geqrf``.

    Return what it leaves (m, b), written over P, and the scales (b,).
    """
    from scipy.linalg import blas, lapack

    scales = np.empty(P.shape[1])
    for start in range(0, P.shape[1], STRIP):
        stop = min(start + STRIP, P.shape[1])
        strip, scales[start:stop], _, _ = lapack.dgeqrf(np.array(P[start:, start:stop], order="F"))
        P[start:, start:stop] = strip
        if stop < P.shape[1]:
            V = unit_columns(strip)
            R = triangle(V, scales[start:stop])
            rest = np.array(P[start:, stop:], order="F")
            along = blas.dtrsm(1.0, R, blas.dgemm(1.0, V, rest, trans_a=True), trans_a=True)
            P[start:, stop:] = blas.dgemm(-1.0, V, along, beta=1.0, c=rest, overwrite_c=True)
    return P, scales


def reduce(K: Matrix, block: int = BLOCK) -> tuple[list[Matrix], list[Matrix], Reflections]:
    """Return the blocks of B on and below its diagonal, and H, with K = H B Hᵀ.

    K : (n, n), symmetric, its rows together; overwritten by the reflections. Two matrices of its
    size are held beside it for a moment.
    """
    from scipy.linalg import blas

    n = K.shape[0]
    store = K.T
    A, origin = store, 0
    diagonal, below = [], []
    scales = np.zeros(max(n - block, 0))
    for number, start in enumerate(range(0, n, block)):
        if number % COMPACTED == 0 and number:
            A, origin = np.array(A[start - origin :, start - origin :], order="F"), start
        k, stop = start - origin, min(start + block, n)
        b = stop - start
        D = np.tril(A[k : k + b, k : k + b])
        diagonal.append(D + np.tril(D, k=-1).T)
        if stop == n:
            break
        P = np.array(A[k + b :, k : k + b], order="F")
        if len(P) <= block:
            below.append(P)
            continue
        P, scales[start:stop] = panel(P)
        below.append(np.triu(P[:b]))
        store[stop:, start:stop] = P
        U = unit_columns(P)
        R = triangle(U, scales[start:stop])
        V = np.zeros((len(A), b), order="F")
        V[k + b :] = U
        # What lies above row k + b is done with; V is 0 there, and X has to be.
        W = blas.dtrsm(1.0, R, blas.dsymm(1.0, A, V, lower=True), side=True, overwrite_b=True)
        W[: k + b] = 0
        VW = blas.dtrsm(1.0, R, blas.dgemm(1.0, V, W, trans_a=True), trans_a=True)
        blas.dgemm(-0.5, V, VW, beta=1.0, c=W, overwrite_c=True)
        blas.dsyr2k(-1.0, V, W, beta=1.0, c=A, lower=True, overwrite_c=True)
    return diagonal, below, Reflections(store, scales, block)
