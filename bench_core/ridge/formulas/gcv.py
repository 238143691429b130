"""Generalised cross-validation: every target and penalty from coordinates formed once.

With the residual e(λ) = (I − H(λ)) Yc of a target and the trace of what is not explained, the
criterion is

    V(λ) = (‖e‖² / t) / (tr(I − H) / t)²

(Golub, Heath and Wahba 1979, equation 1.4), the intercept's 1/t counted in H. It is leave-one-out
with every sample's leverage replaced by their mean: another criterion, not its value.

In the eigenvectors' coordinates C = project · Yc both forms are a sum over squares,

    ‖e‖² = a ‖Yc‖² + Σ_j b_j C_j².

Dual: C = Vᵀ Yc, a = 0, b = λ² / (w + λ)². Primal: C = Qᵀ Yc with Q = Xc V, a = 1,
b = −(w + 2λ) / (w + λ)². After C a penalty costs 2 m flops per target, where leave-one-out costs
2 t m.

References
----------
Golub, G. H., Heath, M. and Wahba, G. (1979). Generalized cross-validation as a method for choosing
a good ridge parameter. Technometrics 21, 215–223.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import Array, cast, to_numpy
from bench_core.ridge.formulas.eigensystem import Eigh
from bench_core.ridge.formulas.per_target_scores import BlockScores
from bench_core.ridge.formulas.quadratic_forms import damping
from bench_core.ridge.formulas.scores import column_sums, scores_of_squares


@dataclass
class Criterion:
    """What generalised cross-validation needs of X, for every penalty.

    project : (m, t), coordinates C of centred targets. weights : (r, m), of C². whole : (r,), of
    ‖Yc‖². gain : (r,), the growth of an error in Y's squares, as in `Validation`. errors : (r,), as
    there. Weights hold the factor 1 / (tr(I − H) / t)².
    """

    project: Array
    weights: Array
    whole: Array
    gain: Array
    errors: NDArray[np.float64]
    direct: ClassVar[bool] = False

    @property
    def f(self) -> Array:
        """Factors of squares (r, m) without their signs."""
        return abs(self.weights)


def dual(eigen: Eigh, alphas: Array) -> Criterion:
    """Return the criterion from the eigenvectors V (t, m) of K, null vectors included.

    λ / (w + λ) is scaled by a factor for each penalty, which cancels: see `damping`.
    """
    xp = array_namespace(eigen.V)
    t = eigen.V.shape[0]
    d = damping(eigen.w, alphas)
    unexplained = xp.sum(d, axis=1) / t
    weights = (d / unexplained[:, None]) ** 2
    gain = xp.sum(weights, axis=1) / t
    return Criterion(
        eigen.V.T, weights, xp.zeros_like(unexplained), gain, eigen.errors(to_numpy(alphas))
    )


def primal(Q: Array, eigen: Eigh, alphas: Array, *, intercept: bool) -> Criterion:
    """Return the criterion from Q = Xc V (t, m) and its eigenvalues, without null vectors."""
    xp = array_namespace(eigen.w)
    t = Q.shape[0]
    w, penalty = eigen.w[None, :], alphas[:, None]
    unexplained = (t - int(intercept) - xp.sum(w / (w + penalty), axis=1)) / t
    # Rounding leaves a trace of 0 some ε: nothing is known of what is left out then.
    unexplained = xp.where(unexplained > 1e-12, unexplained, xp.full_like(unexplained, xp.nan))
    whole = 1 / unexplained**2
    weights = -(w + 2 * penalty) / (w + penalty) ** 2 * whole[:, None]
    return Criterion(Q.T, weights, whole, whole, eigen.errors(to_numpy(alphas)))


def block_scores(criterion: Criterion, Y: Array, scoring: str, *, intercept: bool) -> BlockScores:
    """Return minus the criterion, or 1 − t V / SST (``scoring`` r2), of a block Y (t, b)."""
    xp = array_namespace(Y)
    Yc = Y - xp.mean(Y, axis=0) if intercept else Y
    dtype = to_numpy(Y[:0]).dtype
    C = xp.matmul(cast(criterion.project, dtype), Yc)
    C *= C
    own = column_sums(Yc, Yc)
    squares = cast(xp.matmul(cast(criterion.weights, dtype), C), "float64")
    squares += criterion.whole[:, None] * own[None, :]
    squares = xp.clip(squares, 0, None)
    total = xp.sum(own)
    found = scores_of_squares(Y, squares, scoring)
    return BlockScores(found, xp.sum(squares, axis=1), criterion.gain * total, total)
