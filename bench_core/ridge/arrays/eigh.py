"""Eigendecomposition of a symmetric float64 matrix: LAPACK's stages, the last at gemm's speed.

Divide and conquer (``syevd``) takes three: K = H T Hᵀ with T tridiagonal, T = Z diag(w) Zᵀ, and
V = H Z. The last is 2 n³ flops of nothing but products, yet takes 40 to 50 % of the time in
OpenBLAS, which has it from reference LAPACK: the n − 1 reflections that make up H are applied in
groups of 32, too few for a fast product. Here they are applied in wider ones
(`bench_core.ridge.arrays.reflections`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.ridge.arrays import torch_linalg
from bench_core.ridge.arrays.backend import Array
from bench_core.ridge.arrays.reflections import Reflections

GROUP = 128
"""Reflections applied at once."""

SMALL = 512
"""Order below which one call of LAPACK does it all, in some 20 ms."""

# The divide-and-conquer driver asks for a workspace of 2n² values, counted in 32-bit integers.
_LARGEST_DIVIDE_AND_CONQUER = 30_000


def eigh(K: Array) -> tuple[Array, Array]:
    """Return eigenvalues (n,), ascending, and eigenvectors (n, n) of symmetric float64 ``K``.

    ``K`` is overwritten, and two matrices of its size are held beside it. Raises
    `numpy.linalg.LinAlgError` where the iteration does not converge. In torch another way is then
    taken, with a warning (`bench_core.ridge.arrays.torch_linalg`).
    """
    if not isinstance(K, np.ndarray):
        return torch_linalg.eigh(K)
    from scipy import linalg

    n = K.shape[0]
    # scipy before 1.16 has no tridiagonal divide and conquer.
    if SMALL <= n <= _LARGEST_DIVIDE_AND_CONQUER and hasattr(linalg.lapack, "dstevd"):
        return _by_stages(K)
    # Quicker than ``evr``: at n = 2250, 0.9 s against 1.1 s where this was written.
    driver = "evd" if n <= _LARGEST_DIVIDE_AND_CONQUER else "evr"
    # LAPACK wants columns first; K is symmetric, so its transpose is itself without a copy.
    w, V = linalg.eigh(K.T, driver=driver, overwrite_a=True, check_finite=False)
    return w, V


def _by_stages(K: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from scipy import linalg
    from scipy.linalg import lapack

    work, _ = lapack.dsytrd_lwork(K.shape[0], lower=1)
    H, d, e, tau, _ = lapack.dsytrd(K.T, lower=1, lwork=int(work), overwrite_a=1)
    w, Z = linalg.eigh_tridiagonal(d, e, check_finite=False, lapack_driver="stevd")
    return w, reflect(H, tau, Z)


def reflect(
    H: NDArray[np.float64], tau: NDArray[np.float64], Z: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return H Z (n, n); Z (n, n), columns first as LAPACK leaves it, is overwritten.

    ``H`` (n, n) and ``tau`` (n − 1,) are what LAPACK's ``sytrd`` leaves for the lower triangle:
    below the subdiagonal of column i the vector of reflection i, whose entry i + 1 is 1.
    """
    # Reflection i leaves rows up to i alone. As columns of Zᵀ the others lie together, and BLAS
    # changes them in place; what has gaps it would copy.
    W = _transpose(np.asfortranarray(Z))
    Reflections(H, tau, block=1, group=GROUP).rotate_back(W)
    return W.T


def _transpose(A: NDArray[Any], tile: int = 64) -> NDArray[Any]:
    """Transpose A (n, n) in place, tile by tile; return it."""
    for i in range(0, len(A), tile):
        rows = slice(i, i + tile)
        A[rows, rows] = A[rows, rows].T.copy()
        for j in range(i + tile, len(A), tile):
            columns = slice(j, j + tile)
            above = A[rows, columns].copy()
            A[rows, columns] = A[columns, rows].T
            A[columns, rows] = above.T
    return A
