"""The primal form, for t > p: everything that λ needs lives in p × p and t × p.

With Xcᵀ Xc = V diag(w) Vᵀ, Q = Xc V, f = 1/(w + λ) and C = Qᵀ Yc, the leverage of row i is
h_i = 1/t + Σ_j Q_ij² f_j (1/t with an intercept) and its leave-one-out residual
(Y − Q diag(f) C)_i / (1 − h_i). Over all targets the squares sum to

    ‖Y_i‖² − 2 Σ_j (Q ∘ P)_ij f_j + rowsum((Q diag(f) B diag(f)) ∘ Q)_i,

P = Yc Cᵀ (t × p), B = C Cᵀ = Qᵀ P (p × p). P and the row norms are sums over blocks of targets
(`target_products`). A node can take them before anything is factorised, with Xc for Q, and
multiply the total by V later (`TargetProducts.rotated`).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, device

from bench_core.ridge.backend import Array, add_gram, cast, eigh, mirror, to_numpy
from bench_core.ridge.dual import Eigen
from bench_core.ridge.quadratic import congruence, quadratic_diagonals

ROWS = 4096
"""Rows multiplied at once where float32 products are summed in float64."""

IN_CACHE = 128
"""Rows whose squares are taken and multiplied before they leave the processor's cache."""


@dataclass
class TargetProducts:
    """What the scores need of the targets, in float64; blocks of targets add up.

    P (t, p) is Yc Cᵀ and ``squares`` (t,) the squared row norms of Yc, with C = basisᵀ Yc. B (p, p)
    is C Cᵀ; None where it is cheaper to take basisᵀ P once, at the end.
    """

    P: Array
    squares: Array
    B: Array | None = None

    def __iadd__(self, other: TargetProducts) -> TargetProducts:
        """Add another block's products in place."""
        self.P += other.P
        self.squares += other.squares
        if self.B is not None:
            self.B += other.B
        return self

    def rotated(self, eigen: Eigen) -> TargetProducts:
        """Return the products with basis Xc V for those taken with basis Xc."""
        xp = array_namespace(self.P)
        B = None
        if self.B is not None:
            B = congruence(eigen.V, self.B)
        return TargetProducts(xp.matmul(self.P, eigen.V), self.squares, B)


def covariance(Xc: Array) -> Array:
    """Return Xcᵀ Xc (p, p), products and sums in float64, for Xc (t, p) of either precision."""
    xp = array_namespace(Xc)
    total = xp.zeros((Xc.shape[1],) * 2, dtype=xp.float64, device=device(Xc))
    for start in range(0, Xc.shape[0], ROWS):
        add_gram(total, cast(Xc[start : start + ROWS], "float64").T)
    return mirror(total)


def factorise(S: Array) -> Eigen:
    """Return the eigendecomposition of S = Xcᵀ Xc (p, p) float64, which is overwritten.

    Vectors whose eigenvalue rounding alone can make are left out: Xc V is 0 there, so m ≤ p.
    """
    xp = array_namespace(S)
    norm = xp.sqrt(xp.sum(S * S))
    w, V = eigh(S)
    rounding = V.shape[0] * xp.finfo(xp.float64).eps * norm
    null = int(xp.sum(xp.astype(w <= rounding, xp.int64)))
    return Eigen(w[null:], V[:, null:])


def target_products(basis: Array, Yc: Array, *, inner: bool = False) -> TargetProducts:
    """Return the products of a block of centred targets Yc (t, b) with ``basis`` (t, p).

    The basis is Xc before the factorisation (nodes then need not wait for it) and Q = Xc V after.
    With ``inner`` C Cᵀ is formed too: cheaper than basisᵀ P when all blocks together are narrower
    than 2 t. Products are taken in the data's precision.
    """
    xp = array_namespace(basis, Yc)
    C = xp.matmul(basis.T, Yc)
    return TargetProducts(
        cast(xp.matmul(Yc, C.T), "float64"),
        xp.sum(Yc * Yc, axis=1, dtype=xp.float64),
        cast(xp.matmul(C, C.T), "float64") if inner else None,
    )


def rotate(Xc: Array, eigen: Eigen) -> Array:
    """Return Q = Xc V (t, m) in Xc's precision, written over Xc (t, p)."""
    xp = array_namespace(Xc)
    V = cast(eigen.V, to_numpy(Xc[:0]).dtype)
    m = V.shape[1]
    for start in range(0, Xc.shape[0], ROWS):
        rows = slice(start, start + ROWS)
        Xc[rows, :m] = xp.matmul(Xc[rows], V)
    return Xc[:, :m]


def filters(eigen: Eigen, alphas: Array) -> Array:
    """Return f (r, p) = 1 / (w + λ)."""
    return 1 / (eigen.w[None, :] + alphas[:, None])


def complement_of_leverage(Q: Array, f: Array, *, intercept: bool) -> Array:
    """Return 1 − h_i (r, t) in float64 for every row of ``f`` (r, p); NaN where rounding ate it.

    A row that its penalty lets the fit interpolate has leverage 1, and no leave-one-out residual
    can be had this way; that penalty is left out of the choice, with a warning.
    """
    xp = array_namespace(Q, f)
    t = Q.shape[0]
    rest = xp.empty((f.shape[0], t), dtype=xp.float64, device=device(f))
    for start in range(0, t, IN_CACHE):
        part = cast(Q[start : start + IN_CACHE], "float64")
        rest[:, start : start + IN_CACHE] = 1 - xp.matmul(f, (part * part).T)
    if intercept:
        rest -= 1 / t
    lowest = 1e3 * float(np.finfo(to_numpy(Q[:0]).dtype).eps)
    if bool(xp.any(rest < lowest)):
        warnings.warn(
            "a sample has leverage 1 at the smallest penalties: its leave-one-out residual is "
            "undefined there and these penalties are not chosen; use larger penalties or folds",
            RuntimeWarning,
            stacklevel=2,
        )
        rest = xp.where(rest < lowest, xp.full_like(rest, xp.nan), rest)
    return rest


def loo_squares(
    Q: Array, eigen: Eigen, products: TargetProducts, alphas: Array, rest: Array
) -> Array:
    """Return Σ_targets of squared leave-one-out residuals per row, (r, t), for every penalty.

    ``Q`` (t, m) is Xc V; ``products`` those of all targets with it, whose P is overwritten;
    ``rest`` (r, t) from `complement_of_leverage`.
    Nothing here depends on s.
    """
    f = filters(eigen, alphas)
    return squared_errors(Q, eigen.w, f, products, alphas) / (rest * rest)


def squared_errors(U: Array, w: Array, f: Array, products: TargetProducts, alphas: Array) -> Array:
    """Return the row sums of squares of Y − U diag(f) C over all targets, (r, n).

    ``U`` (n, m), ``w`` (m,), ``f`` (r, m), products of Y (n, s) and C (m, s), whose P and B
    are overwritten.
    """
    xp = array_namespace(U)
    P, B = products.P, products.B
    if B is None:
        B = xp.matmul(U.T, cast(P, to_numpy(U[:0]).dtype))
        B = (B + B.T) / 2
    P *= U
    squares = products.squares - 2 * xp.matmul(f, P.T)
    squares += quadratic_diagonals(U, B, w, f, alphas)
    return xp.clip(squares, 0, None)


def coefficients(C: Array, eigen: Eigen, f: Array) -> Array:
    """Return (V (f C))ᵀ (b, p) for C (m, b) = Qᵀ Yc and f = 1 / (w + λ), (m,) or (m, b)."""
    xp = array_namespace(C)
    dtype = to_numpy(C[:0]).dtype
    f = cast(f if f.ndim == 2 else f[:, None], dtype)
    return xp.matmul((f * C).T, cast(eigen.V, dtype).T)
