"""Systems with B + λ for block-tridiagonal B and many λ: leverages and coefficients of tall data.

With Xcᵀ Xc = H B Hᵀ and Z = Xc H the leverage of row i is h_i = 1/t + ‖L⁻¹ z_i‖² with B + λ = L Lᵀ,
and coefficients are H (B + λ)⁻¹ Zᵀ Yc. L has blocks on its diagonal and below it only:

    L_jj L_jjᵀ = D_j + λ − L_j,j−1 L_j,j−1ᵀ,   L_j+1,j = E_j L_jj⁻ᵀ.

A penalty costs 4 b t p flops for the leverages of all rows, b being the order of a block. That
takes the place of eigenvectors, 9 p³ flops half of which run at the speed of memory.

Rounding changes B by ε w_max, as it does eigenvalues (`bench_core.ridge.formulas.eigensystem`),
so that the error of an answer is the same ε w_max / (w_min + λ). Products in float32 with L⁻¹ are
off by √ of the condition number of B + λ times float32's ε.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.ridge.formulas.eigensystem import EPSILON, ROUNDINGS

ROWS = 512
"""Rows whose leverages are formed at once, for every penalty: few, to stay in the cache."""

STEPS = 40
"""Steps of the power iterations for the largest and the smallest eigenvalue."""

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class BlockTridiagonal:
    """B (p, p), symmetric: blocks D_j on its diagonal and E_j = B_j+1,j below them.

    All blocks but the last are of one order b; the last is smaller or as large.
    """

    diagonal: list[Matrix]
    below: list[Matrix]

    @property
    def bounds(self) -> list[slice]:
        """Rows of every block."""
        ends = np.cumsum([0, *(len(one) for one in self.diagonal)])
        return [slice(int(a), int(b)) for a, b in pairwise(ends)]

    def product(self, C: Matrix) -> Matrix:
        """Return B C for C (p, n)."""
        result = np.empty_like(C)
        rows = self.bounds
        for j, D in enumerate(self.diagonal):
            result[rows[j]] = D @ C[rows[j]]
            if j:
                result[rows[j]] += self.below[j - 1] @ C[rows[j - 1]]
            if j < len(self.below):
                result[rows[j]] += self.below[j].T @ C[rows[j + 1]]
        return result

    def shifted(self, alphas: Matrix) -> BlockCholesky:
        """Return the Cholesky factors of B + λ for every λ of ``alphas`` (r,).

        Raises `numpy.linalg.LinAlgError` where one is not positive definite.
        """
        inverses: list[Matrix] = []
        below: list[Matrix] = []
        eye = np.eye(len(self.diagonal[0]))
        for j, D in enumerate(self.diagonal):
            own = eye[: len(D), : len(D)]
            S = D + alphas[:, None, None] * own
            if j:
                S -= below[-1] @ below[-1].transpose(0, 2, 1)
            inverse = np.linalg.solve(np.linalg.cholesky(S), np.broadcast_to(own, S.shape))
            inverses.append(inverse)
            if j < len(self.below):
                below.append(self.below[j] @ inverse.transpose(0, 2, 1))
        return BlockCholesky(inverses, below, self.bounds)

    @cached_property
    def extremes(self) -> tuple[float, float]:
        """The smallest and the largest eigenvalue of B, positive semidefinite, to some percent.

        The smallest is 0 where it is below 4 p ε times the largest: nothing is known of it then.
        """
        p = self.bounds[-1].stop
        v = np.random.default_rng(0).standard_normal((p, 1))
        largest = 0.0
        for _ in range(STEPS):
            v = self.product(v)
            largest = float(np.linalg.norm(v))
            if largest == 0:
                return 0.0, 0.0
            v /= largest
        floor = ROUNDINGS * p * EPSILON * largest
        try:
            factors = self.shifted(np.array([floor]))
        except np.linalg.LinAlgError:
            return 0.0, largest
        v = np.random.default_rng(1).standard_normal((p, 1))
        size = 0.0
        for _ in range(STEPS):
            v = factors.solve(v, 0)
            size = float(np.linalg.norm(v))
            v /= size
        smallest = 1 / size - floor
        return (smallest if smallest > floor else 0.0), largest

    def errors(self, alphas: Matrix) -> Matrix:
        """Return the relative error (r,) of what is made of (B + λ)⁻¹, as `Eigh.errors`.

        A null vector counts as one whose eigenvalue is 0.
        """
        smallest, largest = self.extremes
        found: Matrix = ROUNDINGS * EPSILON * largest / (smallest + alphas)
        return found


@dataclass(frozen=True)
class BlockCholesky:
    """Factors L of B + λ for r penalties: L_jj⁻¹ (r, b, b) and L_j+1,j (r, b, b) of every block."""

    inverses: list[Matrix]
    below: list[Matrix]
    rows: list[slice]

    def solve(self, C: Matrix, number: int) -> Matrix:
        """Return (B + λ)⁻¹ C for C (p, n) and the penalty ``number``, rows together."""
        G = np.empty(C.shape)
        for j, rows in enumerate(self.rows):
            own = C[rows] - self.below[j - 1][number] @ G[self.rows[j - 1]] if j else C[rows]
            G[rows] = self.inverses[j][number] @ own
        for j in reversed(range(len(self.rows))):
            rows = self.rows[j]
            own = G[rows]
            if j < len(self.below):
                own = own - self.below[j][number].T @ G[self.rows[j + 1]]
            G[rows] = self.inverses[j][number].T @ own
        return G

    def leverages(self, Z: NDArray[Any]) -> Matrix:
        """Return ‖L⁻¹ z_i‖² (r, t) for Z (t, p), float32 or float64, products in its precision.

        Block by block S_j = Z_j L_jj⁻ᵀ − S_j−1 (L_j,j−1ᵀ L_jj⁻ᵀ), for some rows and every penalty;
        the first product is one for all penalties.
        """
        from scipy.linalg import blas

        gemm = blas.sgemm if Z.dtype == np.float32 else blas.dgemm
        own, coupled = self._products(Z.dtype)
        r, b = self.inverses[0].shape[:2]
        result = np.empty((r, len(Z)))
        work = np.empty((2, min(ROWS, len(Z)) * r * b), Z.dtype)
        for start in range(0, len(Z), ROWS):
            part = np.array(Z[start : start + ROWS], order="F")
            n = len(part)
            former = None
            total, more = np.zeros((2, r, n), Z.dtype)
            for j, columns in enumerate(self.rows):
                m = columns.stop - columns.start
                S = work[j % 2, : n * r * m].reshape(n, r * m, order="F")
                gemm(1.0, part[:, columns], own[j], beta=0.0, c=S, overwrite_c=True)
                if former is not None:
                    for k, product in enumerate(coupled[j - 1]):
                        mine, last = slice(k * m, (k + 1) * m), slice(k * b, (k + 1) * b)
                        gemm(-1.0, former[:, last], product, beta=1.0, c=S[:, mine], overwrite_c=1)
                each = S.T.reshape(r, m, n)
                total += np.einsum("kji,kji->ki", each, each, out=more)
                former = S
            result[:, start : start + n] = total
        return result

    def _products(self, dtype: np.dtype[Any]) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """Return L_jj⁻ᵀ of all penalties side by side, and every L_j,j−1ᵀ L_jj⁻ᵀ, columns first."""
        own = [
            np.asfortranarray(np.concatenate(list(one.transpose(0, 2, 1)), axis=1), dtype)
            for one in self.inverses
        ]
        coupled = [
            # (r, b, m) whose last two axes are columns first.
            (inverse @ below).astype(dtype).transpose(0, 2, 1)
            for below, inverse in zip(self.below, self.inverses[1:], strict=True)
        ]
        return own, coupled
