"""Products with Householder reflections, in groups and in place.

A group of reflections is applied at once,

    H_i … H_{i+b} = I − U R⁻¹ Uᵀ,   R = striu(Uᵀ U) + diag(1 / τ),

with U (n, b) the reflections' vectors and τ (b,) their scales: the compact WY form (Schreiber and
Van Loan, 1989, SIAM J. Sci. Stat. Comput. 10, 53–57) with the inverse of its triangle (Puglisi,
1992, SIAM J. Sci. Stat. Comput. 13, 723–726).

All products are scipy's: the threads of its BLAS and of numpy's get in each other's way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROWS = 2048
"""Rows that are reflected at once, copied columns first: BLAS then changes them in place."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Reflections:
    """H (n, n), the product of n − b Householder reflections, in the form in which it is applied.

    vectors : (n, n), columns first; below the subdiagonal block of column i the vector of
    reflection i, whose entry i + ``block`` is 1. scales : (n − b,) τ, 0 for no reflection.
    group : reflections applied at once: more make faster products, and more work on R.
    """

    vectors: Matrix
    scales: Matrix
    block: int
    group: int

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

        starts = range(0, len(self.scales), self.group)
        for start in reversed(starts) if transposed else starts:
            stop = min(start + self.group, len(self.scales))
            U = unit_columns(self.vectors[start + self.block :, start:stop])
            R = triangle(U, self.scales[start:stop])
            W = blas.dtrsm(1.0, R, U, side=True, trans_a=not transposed)
            yield start + self.block, U.astype(dtype, copy=False), W.astype(dtype, copy=False)


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
