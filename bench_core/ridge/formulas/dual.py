"""The dual form, for t ≤ p: everything that λ needs lives in t × t.

With K = Xc Xcᵀ = V diag(w) Vᵀ and A = (K + λ I)⁻¹ = V diag(1/(w + λ)) Vᵀ, the leave-one-out
residual of row i is (A Yc)_i / A_ii [1, 2]. With one penalty for all targets only the row sums of
squares count, diag(A G A)_i / A_ii² with G = Yc Ycᵀ: after G nothing depends on s.

G is a sum over blocks of targets: `target_gram` of every block, added in any order, on any
machine, then `mirror` and `double_centre`. The coefficients of a block are M Yc with M = Xcᵀ A.

References
----------
[1] Rifkin, R. M. and Lippert, R. A. (2007). Notes on regularized least squares. MIT-CSAIL-TR-
    2007-025, section 4.
[2] Golub, G. H., Heath, M. and Wahba, G. (1979). Generalized cross-validation as a method for
    choosing a good ridge parameter. Technometrics 21, 215–223.
"""

from __future__ import annotations

from array_api_compat import array_namespace, device

from bench_core.ridge.arrays.backend import (
    Array,
    add_gram,
    cast,
    float64_pieces,
    is_float64,
    mirror,
)
from bench_core.ridge.arrays.eigh import eigh
from bench_core.ridge.formulas.centering import double_centre
from bench_core.ridge.formulas.eigensystem import Eigh, without_rounding
from bench_core.ridge.formulas.quadratic_forms import congruence, damping, quadratic_diagonals

COLUMNS = 4096
"""Columns of float32 that are held in float64 at once."""

SUMMED = 8192
"""Columns of targets whose products are summed in their precision before float64 takes over."""


def target_gram(Y: Array, total: Array | None = None) -> Array:
    """Return Y Yᵀ (t, t) in float64 for a block of targets Y (t, b), added to ``total`` if given.

    ``total`` is overwritten. Only the lower triangle counts until `mirror` has filled the other.
    Products are taken in Y's own precision and summed in float64 after every 8,192 columns, so
    that a float32 error does not grow with the number of targets.
    """
    if total is None:
        xp = array_namespace(Y)
        total = xp.zeros((Y.shape[0],) * 2, dtype=xp.float64, device=device(Y))
    for start in range(0, Y.shape[1], SUMMED):
        add_gram(total, Y[:, start : start + SUMMED])
    return total


def gram(Xc: Array) -> Array:
    """Return K = Xc Xcᵀ (t, t), products and sums in float64, for Xc (t, p) of either precision."""
    xp = array_namespace(Xc)
    K = xp.zeros((Xc.shape[0],) * 2, dtype=xp.float64, device=device(Xc))
    for columns in float64_pieces(Xc, axis=1):
        add_gram(K, columns)
    return mirror(K)


def cross_gram(new: Array, Xc: Array) -> Array:
    """Return X_new,c Xcᵀ (n, t), products and sums in float64.

    In float32 the large components of X would drown, after division by λ, what the small ones say.
    """
    xp = array_namespace(Xc)
    total = xp.zeros((new.shape[0], Xc.shape[0]), dtype=xp.float64, device=device(Xc))
    for start in range(0, Xc.shape[1], COLUMNS):
        part = slice(start, start + COLUMNS)
        total += xp.matmul(cast(new[:, part], "float64"), cast(Xc[:, part], "float64").T)
    return total


def factorise(K: Array, *, intercept: bool) -> Eigh:
    """Return the eigendecomposition of K (n, n) float64, overwritten; centred if ``intercept``.

    The constant vector is an eigenvector of a centred K, with eigenvalue 0, and when others are 0
    too LAPACK returns any mixture of them. It is moved out of the way, to −‖K‖, before.
    Eigenvalues that rounding alone can make are set to 0.
    """
    xp = array_namespace(K)
    n = K.shape[0]
    norm = xp.sqrt(xp.sum(xp.vecdot(K, K)))
    norm = xp.where(norm > 0, norm, xp.ones_like(norm))
    if intercept:
        K = double_centre(K)
        K -= norm / n
    w, V = eigh(K)
    if intercept:
        w, V = w[1:], V[:, 1:]
    return without_rounding(w, V, constant=intercept, norm=float(norm))


def inverse_diagonal(eigen: Eigh, d: Array) -> Array:
    """Return A_ii (r, n) = Σ_j V_ij² d_j for every row of ``d`` (r, m)."""
    xp = array_namespace(d)
    return xp.matmul(d, (eigen.V * eigen.V).T)


def gain(eigen: Eigh, d: Array) -> Array:
    """Return ‖A_i‖² / A_ii² (r, n) for every row of ``d``: what a residual makes of noise in Y."""
    xp = array_namespace(d)
    V2 = (eigen.V * eigen.V).T
    return xp.matmul(d * d, V2) / xp.matmul(d, V2) ** 2


def loo_squares(eigen: Eigh, G: Array, alphas: Array, dtype: str = "float64") -> Array:
    """Return Σ_targets of squared leave-one-out residuals per row, (r, t), for every penalty.

    ``G`` (t, t) is Yc Ycᵀ, ``alphas`` (r,); products are taken in ``dtype``, the result is float64.
    Cost: 3 t³ + 2 t³ flops, nearly independent of r.
    """
    d = damping(eigen.w, alphas)
    A = inverse_diagonal(eigen, d)
    V = cast(eigen.V, dtype)
    H = congruence(V, cast(G, dtype))
    return quadratic_diagonals(V, H, eigen.w, d, alphas) / (A * A)


def inverse(eigen: Eigh, alpha: float) -> Array:
    """Return A = (K + λ I)⁻¹ (t, t) in float64, within the space of the eigenvectors."""
    xp = array_namespace(eigen.V)
    half = eigen.V / xp.sqrt(eigen.w + alpha)
    return xp.matmul(half, half.T)


def solution(Xc: Array, eigen: Eigh, alpha: float) -> Array:
    """Return Mᵀ (t, p) = A Xc in Xc's precision: the coefficients of Yc (t, b) are Ycᵀ Mᵀ (b, p).

    ``eigen`` without null vectors: Xcᵀ v is 0 for those, but for rounding that 1/λ would magnify.
    The product is taken in float64 and rounded afterwards: rounding A first would magnify its
    errors by the largest eigenvalue over λ (200 times, in an example of neuroimaging's kind).

    With an intercept the columns of M sum to 0, so Y need not be centred.
    """
    xp = array_namespace(Xc)
    A = inverse(eigen, alpha)
    if is_float64(Xc):
        return xp.matmul(A, Xc)
    result = xp.empty_like(Xc)
    for start in range(0, Xc.shape[1], COLUMNS):
        part = slice(start, start + COLUMNS)
        result[:, part] = xp.matmul(A, cast(Xc[:, part], "float64"))
    return result


def solution_along(basis: Array, eigen: Eigh, alpha: float) -> Array:
    """Return Mᵀ (t, p) = V diag(1/(w + λ)) B in float64, for the basis B = Vᵀ Xc (m, p)."""
    return array_namespace(basis).matmul(eigen.V / (eigen.w + alpha), basis)


def hat_rows(along: Array, eigen: Eigh, alpha: float) -> Array:
    """Return N (n, t) in float64: predictions of Yc (t, b) at new rows are N Yc.

    ``along`` (n, m) is X_new,c Xcᵀ V, or X_new,c Bᵀ; ``eigen`` without null vectors. No coefficient
    is formed.
    """
    return array_namespace(along).matmul(along / (eigen.w + alpha), eigen.V.T)


def rotate(Xc: Array, eigen: Eigh) -> Array:
    """Return the basis B = Vᵀ Xc (m, p) in Xc's precision, written over Xc (t, p).

    Row j has the size of √w_j, and is as exact as that allows: products are taken in float64. With
    a penalty per target coefficients are (f ∘ Vᵀ Y)ᵀ B. Weights of samples, A Y, would have to be
    exact to w_j / w_max instead, and in float32 they are not.
    """
    xp = array_namespace(Xc)
    m = eigen.V.shape[1]
    for start in range(0, Xc.shape[1], COLUMNS):
        part = slice(start, start + COLUMNS)
        Xc[:m, part] = xp.matmul(eigen.V.T, cast(Xc[:, part], "float64"))
    return Xc[:m]
