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

from bench_core.ridge.backend import Array

PANEL = 128
"""Columns per panel: wide enough for a fast product, narrow enough to hug the diagonal."""

TOGETHER = 16
"""Penalties whose near pairs share one product."""

APART = 1e-3
"""Eigenvalues are apart when their gap is this fraction of the larger plus the largest penalty.

Rounding in the difference is magnified by at most its inverse: about 1e-13 in float64.
"""


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


def damping(w: Array, alphas: Array) -> Array:
    """Return d (r, m) = (w₀ + λ) / (w + λ) with w₀ the smallest of the eigenvalues w (m,).

    The factor w₀ + λ cancels from a leave-one-out residual, and keeps d² from overflowing or
    vanishing for penalties of any size.
    """
    xp = array_namespace(w)
    return (xp.min(w) + alphas[:, None]) / (w[None, :] + alphas[:, None])


def quadratic_diagonals(U: Array, H: Array, w: Array, d: Array, alphas: Array) -> Array:
    """Return diag(U D H D Uᵀ) (r, n) for every row d (m,) of ``d``, D = diag(d).

    Parameters
    ----------
    U : (n, m).
    H : (m, m), symmetric; overwritten.
    w : (m,) eigenvalues, ascending, not negative.
    d : (r, m), each row any multiple of 1 / (w + λ).
    alphas : (r,) penalties λ.
    """
    xp = array_namespace(U, H)
    r, m = d.shape
    # With few penalties the two extra triangles cost more than they save.
    ends = _far_from(w, alphas) if r > 3 else [m] * len(range(0, m, PANEL))
    result = xp.zeros((r, U.shape[0]), dtype=U.dtype, device=device(U))
    for panel, start in enumerate(range(0, m, PANEL)):
        columns = slice(start, min(start + PANEL, m))
        for first in range(0, r, TOGETHER):
            some = slice(first, first + TOGETHER)
            result[some] += _near(U, H, d[some], columns, ends[panel])
    if any(end < m for end in ends):
        _add_far(result, U, H, w, d, alphas, ends)
    return result


def _far_from(w: Array, alphas: Array) -> list[int]:
    """Return for every panel the first index whose eigenvalue is apart from all of the panel's."""
    xp = array_namespace(w)
    m = w.shape[0]
    largest = xp.max(alphas)
    ends = []
    for start in range(0, m, PANEL):
        stop = min(start + PANEL, m)
        near = (w - w[stop - 1]) < APART * (w + largest)
        ends.append(max(stop, int(xp.sum(xp.astype(near, xp.int64)))))
    return ends


def _near(U: Array, H: Array, d: Array, panel: slice, end: int) -> Array:
    """Return the sum over pairs of a panel's columns with those from its first to ``end``."""
    xp = array_namespace(U, H)
    r, width = d.shape[0], panel.stop - panel.start
    # Columns beyond the panel stand for their mirror images, too.
    left = xp.concat([d[:, panel], 2 * d[:, panel.stop : end]], axis=1)
    S = left.T[:, :, None] * (H[panel.start : end, None, panel] * d[None, :, panel])
    W = xp.matmul(U[:, panel.start : end], xp.reshape(S, (end - panel.start, r * width)))
    own = U[:, None, panel]
    return xp.sum(xp.reshape(W, (U.shape[0], r, width)) * own, axis=2).T


def _add_far(
    result: Array, U: Array, H: Array, w: Array, d: Array, alphas: Array, ends: list[int]
) -> None:
    """Add all other pairs, every penalty at once: 2 Σ_j d_j u_j (C u)_j, C antisymmetric."""
    xp = array_namespace(U, H)
    m = w.shape[0]
    for panel, start in enumerate(range(0, m, PANEL)):
        stop, end = min(start + PANEL, m), ends[panel]
        H[start:end, start:stop] = 0
        H[start:stop, start:end] = 0
        H[end:, start:stop] /= w[end:, None] - w[None, start:stop]
        H[start:stop, end:] = -H[end:, start:stop].T
    Z = xp.matmul(U, H)  # H now holds Cᵀ: entry (k, j) is H_kj / (w_k − w_j)
    Z *= U
    scale = d[:, 0] * (w[0] + alphas)
    result += (2 * scale)[:, None] * xp.matmul(d, Z.T)
