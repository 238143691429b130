"""diag(U D H D Uᵀ) for many diagonal D = diag(1 / (w + λ)) at nearly the price of one.

The leave-one-out and fold scores of every penalty are such diagonals. One product per penalty
costs m² rows each. For two eigenvalues that lie apart, partial fractions take λ out of the sum,

    d_j d_k = (d_j − d_k) / (w_k − w_j),

so that all those pairs need a single product with the matrix H_jk / (w_k − w_j), whatever the
number of penalties. Pairs of near eigenvalues, where the difference would lose digits, are summed
directly; as eigenvalues are sorted they lie in a band along the diagonal.
"""

from __future__ import annotations

from array_api_compat import array_namespace, device

from bench_core.ridge.arrays.backend import Array, cast, to_numpy

PANEL = 128
"""Columns per panel: wide enough for a fast product, narrow enough to hug the diagonal."""

TOGETHER = 16
"""Penalties whose near pairs share one product."""

ROWS = 1024
"""Rows multiplied at once, so that a product's memory is used again and not fresh every time."""

BAND = 8
"""Up to so many near neighbours are taken one diagonal at a time, beyond it by a product."""

APART = {8: 1e-4, 4: 1e-3}
"""Least gap of two separated eigenvalues, as a fraction of the larger plus the largest penalty.

Keyed by bytes per value of the products. Rounding in the difference is magnified by at most the
inverse, and only for the few pairs that near: 1e-12 in float64; in float32, where errors of
different pairs are independent, far below the 1e-4 by which scores are compared.
"""

FEW = 3
"""Up to so many penalties, a product per penalty (half of it, by symmetry) costs less."""


def congruence(V: Array, G: Array) -> Array:
    """Return Vᵀ G V (m, m) for V (n, m) and symmetric G (n, n): only a triangle is multiplied."""
    xp = array_namespace(V, G)
    GV = xp.matmul(G, V)
    m = V.shape[1]
    H = xp.empty_like(GV[:m])
    for start in range(0, m, 2 * PANEL):
        stop = min(start + 2 * PANEL, m)
        H[start:, start:stop] = xp.matmul(V[:, start:].T, GV[:, start:stop])
        H[start:stop, stop:] = H[stop:, start:stop].T
    return H


def halved(H: Array) -> Array:
    """Return symmetric H (m, m) as `row_forms` takes it, in place: doubled below its diagonal."""
    for start in range(0, H.shape[0], 2 * PANEL):
        stop = start + 2 * PANEL
        H[stop:, start:stop] *= 2
    return H


def row_forms(U: Array, H: Array) -> Array:
    """Return diag(U H Uᵀ) (n,) in float64 for U (n, m) and H (m, m) as `halved` returns it.

    Half of a product, n m² flops, in the precision of U and H.
    """
    xp = array_namespace(U, H)
    result = xp.zeros(U.shape[0], dtype=xp.float64, device=device(U))
    for start in range(0, H.shape[0], 2 * PANEL):
        panel = slice(start, start + 2 * PANEL)
        W = xp.matmul(U[:, start:], H[start:, panel])
        W *= U[:, panel]
        result += xp.sum(W, axis=1, dtype=xp.float64)
    return result


def damping(w: Array, alphas: Array) -> Array:
    """Return d (r, m) = (w₀ + λ) / (w + λ) with w₀ the smallest of the eigenvalues w (m,).

    The factor w₀ + λ cancels from a leave-one-out residual, and keeps d² from overflowing or
    vanishing for penalties of any size.
    """
    xp = array_namespace(w)
    return (xp.min(w) + alphas[:, None]) / (w[None, :] + alphas[:, None])


def quadratic_diagonals(U: Array, H: Array, w: Array, d: Array, alphas: Array) -> Array:
    """Return diag(U D H D Uᵀ) (r, n), float64, for every row d (m,) of ``d``, D = diag(d).

    Parameters
    ----------
    U : (n, m), float64 or float32: products are taken in its precision.
    H : (m, m), symmetric; overwritten.
    w : (m,) eigenvalues, ascending, not negative.
    d : (r, m), each row any multiple of 1 / (w + λ).
    alphas : (r,) penalties λ.
    """
    xp = array_namespace(U, H)
    r, m = d.shape
    result = xp.zeros((r, U.shape[0]), dtype=d.dtype, device=device(U))
    apart = APART[to_numpy(U[:0]).itemsize]
    far = False
    for start in range(0, m, PANEL):
        panel = slice(start, min(start + PANEL, m))
        gap = w[start:, None] - w[None, panel]
        near = gap < apart * (w[start:, None] + xp.max(alphas))
        index = xp.arange(m - start, device=device(U))
        if r <= FEW:
            near = xp.ones_like(near)
        # Near pairs of column j are those from the diagonal down to its last near row.
        reach = xp.max(xp.where(near, index[:, None] - index[None, : near.shape[1]], 0))
        if int(reach) < BAND:
            _add_band(result, U, H, d, panel, near, int(reach))
        else:
            end = start + 1 + int(xp.max(xp.where(near, index[:, None], 0)))
            near = xp.broadcast_to(index[:, None] < end - start, near.shape)
            for first in range(0, r, TOGETHER):
                some = slice(first, first + TOGETHER)
                result[some] += _near(U, H, d[some], panel, end)
        # What remains below the diagonal block becomes Cᵀ: H_kj / (w_k − w_j), 0 for near pairs.
        apart_only = xp.where(near, xp.ones_like(gap), gap)
        H[start:, panel] = xp.where(near, xp.zeros_like(gap), H[start:, panel] / apart_only)
        far = far or not bool(xp.all(near))
    if far:
        _add_far(result, U, H, w, d, alphas)
    return result


def _add_band(
    result: Array, U: Array, H: Array, d: Array, panel: slice, near: Array, reach: int
) -> None:
    """Add the pairs (j, j + offset) of a panel's columns that are ``near``, offset by offset."""
    xp = array_namespace(U, H)
    m = H.shape[0]
    for offset in range(reach + 1):
        width = min(panel.stop, m - offset) - panel.start
        if width <= 0:
            return
        left = slice(panel.start, panel.start + width)
        right = slice(left.start + offset, left.stop + offset)
        # A pair off the diagonal stands for its mirror image, too.
        factor = xp.linalg.diagonal(H[right, left]) * (2.0 if offset else 1.0)
        factor = xp.where(xp.linalg.diagonal(near[offset : offset + width, :width]), factor, 0.0)
        weights = cast(d[:, left] * d[:, right] * factor, to_numpy(U[:0]).dtype)
        result += xp.matmul(weights, (U[:, left] * U[:, right]).T)


def _near(U: Array, H: Array, d: Array, panel: slice, end: int) -> Array:
    """Return the sum over pairs of a panel's columns with those from its first to ``end``."""
    xp = array_namespace(U, H)
    r, width = d.shape[0], panel.stop - panel.start
    left = xp.concat([d[:, panel], 2 * d[:, panel.stop : end]], axis=1)
    S = left.T[:, :, None] * (H[panel.start : end, None, panel] * d[None, :, panel])
    S = cast(xp.reshape(S, (end - panel.start, r * width)), to_numpy(U[:0]).dtype)
    result = xp.empty((r, U.shape[0]), dtype=S.dtype, device=device(U))
    for start in range(0, U.shape[0], ROWS):
        part = U[start : start + ROWS]
        W = xp.reshape(xp.matmul(part[:, panel.start : end], S), (part.shape[0], r, width))
        W *= part[:, None, panel]
        result[:, start : start + ROWS] = xp.sum(W, axis=2).T
        del W  # before the next rows take as much
    return result


def _add_far(result: Array, U: Array, H: Array, w: Array, d: Array, alphas: Array) -> None:
    """Add all other pairs, every penalty at once: 2 Σ_j d_j u_j (C u)_j, C antisymmetric."""
    xp = array_namespace(U, H)
    m = H.shape[0]
    for start in range(0, m, PANEL):  # H holds Cᵀ below its diagonal and 0 in diagonal blocks above
        panel = slice(start, min(start + PANEL, m))
        lower = H[panel, panel]
        H[panel, panel] = lower - lower.T
        H[panel, panel.stop :] = -H[panel.stop :, panel].T
    dtype = to_numpy(U[:0]).dtype
    C, factors = cast(H, dtype), cast(d, dtype)
    scale = (2 * d[:, 0] * (w[0] + alphas))[:, None]
    for start in range(0, U.shape[0], ROWS):
        rows = slice(start, start + ROWS)
        Z = xp.matmul(U[rows], C)
        Z *= U[rows]
        result[:, rows] += scale * xp.matmul(factors, Z.T)
        del Z
