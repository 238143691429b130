"""A symmetric float64 matrix as H B Hᵀ with B block-tridiagonal, by products of matrices alone.

A panel of b columns is factorised into Householder reflections, which annihilate what lies below
the subdiagonal block. With Q = I − V R⁻¹ Vᵀ, their product (`bench_core.ridge.arrays.reflections`),
the rest of the matrix becomes Qᵀ A Q = A − V Xᵀ − X Vᵀ,

    W = A V R⁻¹,   X = W − ½ V R⁻ᵀ Vᵀ W

(Bischof, Lang and Sun, 2000, ACM Trans. Math. Softw. 26, 581–601): 4/3 n³ flops, one symmetric
product and one symmetric update for each panel. On the way to a tridiagonal matrix, b = 1, half of
them are products with a vector, at the speed of memory.

All products are scipy's: the threads of its BLAS and of numpy's get in each other's way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench_core.ridge.arrays.reflections import Reflections, triangle, unit_columns

BLOCK = 64
"""Order b of the blocks: wide enough for fast products, narrow enough for cheap systems with B."""

STRIP = 16
"""Columns of a panel that LAPACK factorises at once, by products with vectors."""

COMPACTED = 8
"""Panels after which what remains is copied together: BLAS would copy a part of it every time."""

GROUP = 512
"""Reflections applied to rows at once."""

Matrix = NDArray[np.float64]


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
    return diagonal, below, Reflections(store, scales, block, GROUP)
