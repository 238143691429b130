"""Eigenvalues and vectors of K = Xc Xcᵀ or Xcᵀ Xc, and how exact they are.

Rounding changes an eigenvalue of such a product by some ε w_max, w_max being the largest, and
turns vectors of small eigenvalues towards one another. An answer is made of 1/(w + λ). Its
relative error is about

    ε w_max / (w_min + λ),   w_min the smallest eigenvalue,

ε times the condition number of the normal equations (Golub and Van Loan, 2013, Matrix
Computations, section 5.3.7). The singular value decomposition of X itself is more exact:
`bench_core.ridge.formulas.singular_values`.

Eigenvalues below n ε ‖K‖ are set to 0, as nothing is known of them. Their vectors are called null.
Where X has nothing but rounding along them (repeated rows, fewer features than samples) they are
null indeed. To leave them out of an inverse is exact then, and w_min is the smallest of the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import Array, float64_pieces

EPSILON = float(np.finfo(np.float64).eps)

ROUNDINGS = 4.0
"""Error of an eigenvalue in units of ε w_max, with some room."""


@dataclass(frozen=True)
class Eigh:
    """Eigenvalues w (m,), ascending and not negative, and vectors V (n, m), in float64.

    With an intercept the dual form leaves out the constant vector, so that m = n − 1 and
    V diag(1/(w + λ)) Vᵀ is the inverse within the centred space. ``constant`` says so.

    rounding : error of an eigenvalue. known : False where a vector that is called null may have
    an eigenvalue that is not 0, only too small to be seen.
    """

    w: Array
    V: Array
    constant: bool = False
    rounding: float = 0.0
    known: bool = True

    @property
    def null(self) -> int:
        """Number of null vectors, which come first; their eigenvalues are 0."""
        xp = array_namespace(self.w)
        return int(xp.sum(xp.astype(self.w == 0, xp.int64)))

    @property
    def smallest(self) -> float:
        """The smallest eigenvalue that an answer depends on; 0 where it is not known."""
        if not self.known:
            return 0.0
        null = self.null
        return float(self.w[null]) if null < self.w.shape[0] else float("inf")

    def without_null(self) -> Eigh:
        """Return the eigenvalues that are not 0 and their vectors, as views; all if not ``known``.

        A small component of X that is left out, σ u, would be missed as σ / λ.
        """
        null = self.null if self.known else 0
        return replace(self, w=self.w[null:], V=self.V[:, null:]) if null else self

    def errors(self, alphas: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the relative error (r,) of what is made of 1/(w + λ), for penalties λ (r,)."""
        found: NDArray[np.float64] = self.rounding / (self.smallest + alphas)
        return found


def without_rounding(w: Array, V: Array, *, constant: bool, norm: float) -> Eigh:
    """Return eigenvalues ``w`` (m,) of a matrix of Frobenius norm ``norm``, 0 below n ε ‖K‖."""
    xp = array_namespace(w)
    w = xp.where(w > V.shape[0] * EPSILON * norm, w, xp.zeros_like(w))
    largest = float(w[-1]) if w.shape[0] else 0.0
    found = Eigh(w, V, constant=constant, rounding=ROUNDINGS * EPSILON * largest)
    return replace(found, known=found.null == 0)


def verify_null_vectors(eigen: Eigh, rows: Array) -> Eigh:
    """Return the eigensystem with ``known`` True if Vᵀ ``rows`` is rounding for its null vectors.

    rows : (n, k), the matrix whose rows the vectors V (n, m) combine: Xc in the dual form, its
    transpose in the primal form.
    """
    xp = array_namespace(rows)
    V = eigen.V[:, : eigen.null]
    total = 0.0
    for piece in float64_pieces(rows, axis=1):
        along = xp.matmul(V.T, piece)
        total += float(xp.sum(along * along))
    rounding = 10 * max(rows.shape) ** 0.5 * EPSILON
    return replace(eigen, known=total <= rounding**2 * float(eigen.w[-1]) * V.shape[1])


def clear_null_rows(eigen: Eigh, error: float, most: float = 1e-3) -> Eigh:
    """Set rows of the null vectors to 0, in place, where they hold nothing but rounding.

    A sample that no null vector touches (one that is not repeated, say) has a leave-one-out
    residual of the size of λ / w. For a small λ rounding in a null vector would outweigh it.

    error : that of a unit vector's direction, ε w_max / w_min. most : where it is larger nothing
    is set to 0, as rows cannot be told from rounding. They matter less then: λ is not small against
    w_min, or X is to be decomposed itself.
    """
    if error > most:
        return eigen
    xp = array_namespace(eigen.V)
    null = eigen.V[:, : eigen.null]
    empty = xp.sum(null * null, axis=1) <= (10 * error) ** 2
    null *= xp.astype(~empty, null.dtype)[:, None]
    return eigen
