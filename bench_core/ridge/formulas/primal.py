"""The primal form, for t > p: everything that λ needs lives in p × p and t × p.

With Xcᵀ Xc = V diag(w) Vᵀ, Q = Xc V, f = 1/(w + λ) and C = Qᵀ Yc, the leverage of row i is
h_i = 1/t + Σ_j Q_ij² f_j (1/t with an intercept) and its leave-one-out residual
(Y − Q diag(f) C)_i / (1 − h_i). Over all targets the squares sum to

    ‖Y_i‖² − 2 Σ_j (Q ∘ P)_ij f_j + rowsum((Q diag(f) B diag(f)) ∘ Q)_i,

P = Yc Cᵀ (t × p), B = C Cᵀ (p × p). Of P only the products with every penalty's f are used, r
numbers for each row, so it is formed a few rows at a time and never held (`error_sums`). All three
terms are sums over blocks of targets, added in any order, on any machine.

Products are taken with Q and not with Xc, although that has to wait for the factorisation: along
an eigenvector of small eigenvalue those with Xc drown in the rounding of large ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace, device

from bench_core.ridge.arrays.backend import (
    Array,
    add_gram,
    at_once,
    cast,
    float64_pieces,
    mirror,
    to_numpy,
)
from bench_core.ridge.arrays.eigh import eigh
from bench_core.ridge.formulas.eigensystem import Eigh, without_rounding
from bench_core.ridge.formulas.quadratic_forms import quadratic_diagonals

IN_CACHE = 128
"""Rows whose squares are taken and multiplied before they leave the processor's cache."""

CROSSED = 512
"""Rows of P that are formed at once: enough for a fast product, few enough to stay in the cache."""


@dataclass
class ErrorSums:
    """Sums over targets, in float64, from which squared errors follow; blocks of targets add up.

    cross : (r, n) Σ_j (U ∘ P)_ij f_j for every penalty, P = Y Cᵀ. squares : (n,) row norms ‖Y_i‖².
    B : (m, m) C Cᵀ. With U = Q (n, m) = (t, m) in leave-one-out.
    """

    cross: Array
    squares: Array
    B: Array

    def __iadd__(self, other: ErrorSums) -> ErrorSums:
        """Add another block's sums in place."""
        self.cross += other.cross
        self.squares += other.squares
        self.B += other.B
        return self


def covariance(Xc: Array) -> Array:
    """Return Xcᵀ Xc (p, p), products and sums in float64, for Xc (t, p) of either precision."""
    xp = array_namespace(Xc)
    p = Xc.shape[1]
    total = xp.zeros((p, p), dtype=xp.float64, device=device(Xc))
    for rows in float64_pieces(Xc, axis=0):
        add_gram(total, rows.T)
    return mirror(total)


def factorise(S: Array) -> Eigh:
    """Return the eigendecomposition of S = Xcᵀ Xc (p, p) float64, which is overwritten.

    Eigenvalues that rounding alone can make are set to 0.
    """
    w, V = eigh(S)
    norm = float(array_namespace(S).sum(w * w)) ** 0.5  # ‖S‖, Frobenius
    return without_rounding(w, V, constant=False, norm=norm)


def error_sums(U: Array, f: Array, Y: Array, C: Array) -> ErrorSums:
    """Return the sums of a block of targets whose predictions are U diag(f) C.

    ``U`` (n, m), ``f`` (r, m), targets ``Y`` (n, b), coordinates ``C`` (m, b): Qᵀ Yc of the rows
    trained on. Products are taken in the data's precision. Cost: 2 n m b + m² b flops, and 2 r n m
    that do not depend on b.
    """
    xp = array_namespace(U, Y)
    return ErrorSums(
        crossed(U, f, lambda rows: xp.matmul(Y[rows], C.T)),
        xp.sum(Y * Y, axis=1, dtype=xp.float64),
        cast(xp.matmul(C, C.T), "float64"),
    )


def crossed(U: Array, f: Array, product: Callable[[slice], Array]) -> Array:
    """Return Σ_j (U ∘ P)_ij f_j (r, n) in float64, where ``product(rows)`` is P[rows] (·, m)."""
    xp = array_namespace(U, f)
    result = xp.empty((f.shape[0], U.shape[0]), dtype=xp.float64, device=device(f))
    for start in range(0, U.shape[0], CROSSED):
        rows = slice(start, start + CROSSED)
        P = cast(product(rows), "float64")
        P *= U[rows]
        result[:, rows] = xp.matmul(f, P.T)
    return result


def rotate(Xc: Array, eigen: Eigh) -> Array:
    """Return Q = Xc V (t, m) in Xc's precision, written over Xc (t, p)."""
    xp = array_namespace(Xc)
    V = cast(eigen.V, to_numpy(Xc[:0]).dtype)
    count, m = at_once(Xc.shape[1]), V.shape[1]
    for start in range(0, Xc.shape[0], count):
        rows = slice(start, start + count)
        Xc[rows, :m] = xp.matmul(Xc[rows], V)
    return Xc[:, :m]


def filters(eigen: Eigh, alphas: Array) -> Array:
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


def loo_squares(Q: Array, eigen: Eigh, sums: ErrorSums, alphas: Array, rest: Array) -> Array:
    """Return Σ_targets of squared leave-one-out residuals per row, (r, t), for every penalty.

    ``Q`` (t, m) is Xc V; ``sums`` those of all targets with it, whose B is overwritten;
    ``rest`` (r, t) from `complement_of_leverage`.
    Nothing here depends on s.
    """
    f = filters(eigen, alphas)
    return squared_errors(Q, eigen.w, f, sums, alphas) / (rest * rest)


def squared_errors(U: Array, w: Array, f: Array, sums: ErrorSums, alphas: Array) -> Array:
    """Return the row sums of squares of Y − U diag(f) C over all targets, (r, n).

    ``U`` (n, m), ``w`` (m,), ``f`` (r, m), sums of Y (n, s) and C (m, s), whose B is overwritten.
    """
    squares = sums.squares - 2 * sums.cross + quadratic_diagonals(U, sums.B, w, f, alphas)
    return array_namespace(U).clip(squares, 0, None)


def coefficients(C: Array, eigen: Eigh, f: Array) -> Array:
    """Return (V (f C))ᵀ (b, p) for C (m, b) = Qᵀ Yc and f = 1 / (w + λ), (m,) or (m, b)."""
    xp = array_namespace(C)
    dtype = to_numpy(C[:0]).dtype
    f = cast(f if f.ndim == 2 else f[:, None], dtype)
    return xp.matmul((f * C).T, cast(eigen.V, dtype).T)
