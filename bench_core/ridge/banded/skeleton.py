"""Losses of all candidates from those of a few: an interpolative decomposition.

The squared residuals of held-out rows are a quadratic form of the target, ℓ_i = yᵀ A_i y for
candidate i, summed over a fold. A_i is a smooth function of the spaces' penalties: with one space
its entries are combinations of 1 / (λ + α) over the eigenvalues λ of the kernel, and the singular
values of such functions on an interval of α fall exponentially (Beckermann and Townsend, 2017, SIAM
J. Matrix Anal. Appl. 38, 1227–1248). So, to a tolerance,

    A_i = Σ_j w_ij A_j,   and thus   ℓ_i = Σ_j w_ij ℓ_j for every target,

j being few of the candidates, the skeleton. These and w come from the losses of some targets with
all candidates: of a QR decomposition L P = Q R with column pivoting the first q columns are the
skeleton and w = R₁₁⁻¹ R₁₂; |R_qq| bounds what is left of the columns that follow (Cheng, Gimbutas,
Martinsson and Rokhlin, 2005, SIAM J. Sci. Comput. 26, 1389–1404). The next pivots are the
candidates that the skeleton gives worst: they are predicted too, and tell of every target whether
the skeleton serves it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TOLERANCE = {"float64": 1e-9, "float32": 3e-7}
"""Root mean square, over the targets that are tried, of a loss that the skeleton leaves; a loss of
1 is the target's variance. In float32 it is what the products round."""

WRONG = {"float64": 1e-7, "float32": 3e-5}
"""Error of a loss at which a target is predicted with every candidate: so much of the sum of the
loss and the target's variance."""

LEAST = {"float64": 1e-4, "float32": 1e-2}
"""Part of its variance that a target must leave unexplained: below it a difference of losses has
lost its digits, and the target is predicted with every candidate."""

WORTH = 0.7
"""Most of the candidates that are predicted, as a part of all."""

MEMBERS = 256
"""Most candidates that are predicted: their losses are held for all targets."""

FEW = 0.05
"""Part of the targets that may be predicted with every candidate where a skeleton serves the rest;
with more of them all are."""

CHECKED = 16
"""One more candidate is predicted, to compare with, for so many of the skeleton."""

LEAST_CHECKED = 3


@dataclass(frozen=True)
class Skeleton:
    """Candidates that give the losses of all m.

    Parameters
    ----------
    members : numbers of those to predict: ``size`` of the skeleton, then those to compare with.
    size : q.
    weights : (q, m), w: the losses (m,) of a target are those (q,) of the skeleton times w.
    """

    members: NDArray[np.intp]
    size: int
    weights: NDArray[np.float64]

    @property
    def checked(self) -> NDArray[np.intp]:
        """Numbers of the candidates to compare with."""
        return self.members[self.size :]

    def losses(self, known: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the losses (m, b) of all candidates from those (q, b) of the skeleton."""
        from scipy.linalg import blas

        # As in `FoldOperator.residuals`: one library's threads, and columns first.
        left = np.ascontiguousarray(known, np.float64)
        found: NDArray[np.float64] = blas.dgemm(1.0, left.T, self.weights.T, trans_b=True).T
        return found


def find_skeleton(losses: NDArray[np.float64], tolerance: float) -> Skeleton | None:
    """Return the skeleton of m candidates from losses (n, m) of n ≥ m targets and folds.

    losses : as parts of the targets' variances. None where so many candidates would be predicted
    that all may be.

    >>> t = np.linspace(0, 1, 50)[:, None]
    >>> found = find_skeleton(1 + t * np.arange(20) + 2 * t**2, 1e-9)  # of rank 2
    >>> found.size, len(found.checked)
    (2, 3)
    """
    from scipy import linalg

    n, m = losses.shape
    if n < m:
        return None
    # A candidate that fits badly must not decide what is small for the others.
    scale = np.maximum(1.0, np.sqrt(np.mean(losses * losses, axis=0)))
    R, order = linalg.qr(losses / scale, mode="r", pivoting=True, check_finite=False)
    left = np.abs(np.diagonal(R)) / np.sqrt(n)
    q = max(1, int(np.count_nonzero(left > tolerance)))
    checked = min(max(LEAST_CHECKED, q // CHECKED), m - q)
    if q + checked > min(MEMBERS, int(WORTH * m)):
        return None
    weights = np.zeros((q, m))
    weights[np.arange(q), order[:q]] = 1.0
    rest = linalg.solve_triangular(R[:q, :q], R[:q, q:], check_finite=False)
    weights[:, order[q:]] = rest * (scale[order[q:]] / scale[order[:q], None])
    return Skeleton(order[: q + checked].astype(np.intp), q, weights)
