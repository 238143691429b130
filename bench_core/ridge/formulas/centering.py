"""Centring: the intercept without a centred copy of Y.

With J = I − 11ᵀ/t, the Gram matrix of the centred columns is J (Y Yᵀ) J: centring Y costs a
correction of a t × t matrix. That loses digits only where means are large against standard
deviations; `bench_core.ridge.arrays.target_blocks` shifts such columns first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import DTypeLike, NDArray

from bench_core.checks import row_blocks
from bench_core.ridge.arrays.backend import Array


def column_means(X: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean of every column of X (t, p) as float64 (p,), reading X in blocks of rows.

    The mean of the first block is taken off before summing, so that a large mean costs no digits.
    """
    t, p = X.shape
    blocks = list(row_blocks(t, p * 8))
    first: NDArray[np.float64] = X[blocks[0]].mean(axis=0, dtype=np.float64)
    total = np.zeros(p)
    for rows in blocks:
        total += (X[rows] - first).sum(axis=0)
    return first + total / t


SAMPLED = 64
"""Rows that are sampled to compare the means of X with its spread."""

FAR = 16.0
"""Means beyond this many standard deviations are taken off twice."""


def centred(X: NDArray[Any], means: NDArray[np.float64] | None, dtype: DTypeLike) -> NDArray[Any]:
    """Return a new C-ordered array (t, p) of ``dtype`` with X − means (X itself if None)."""
    result = np.empty(X.shape, dtype)
    for rows in row_blocks(X.shape[0], X.shape[1] * 8):
        if means is None:
            result[rows] = X[rows]
        else:
            np.subtract(X[rows], means, out=result[rows], casting="same_kind")
    return result


def recentre(Xc: NDArray[Any], means: NDArray[np.float64]) -> NDArray[Any]:
    """Take off, in place, what rounding of large ``means`` (p,) has left in X − means (t, p).

    A mean is rounded to ε of its size, which moves all rows alike.
    """
    spread = np.std(Xc[:: max(1, Xc.shape[0] // SAMPLED)], axis=0, dtype=np.float64)
    far = np.flatnonzero(np.abs(means) > FAR * spread)
    if len(far):
        Xc[:, far] -= column_means(Xc[:, far]).astype(Xc.dtype)
    return Xc


def double_centre(G: Array) -> Array:
    """Return J G J for a symmetric G (t, t), in place."""
    xp = array_namespace(G)
    row = xp.mean(G, axis=1)
    row = row - xp.mean(row) / 2
    G -= row[:, None]
    G -= row[None, :]
    return G


def centre_cross(G: Array, train: Array, test: Array) -> tuple[Array, Array, Array]:
    """Return the blocks of a Gram matrix centred by the training rows' mean.

    For G = Y Yᵀ and the mean ȳ of the rows ``train``: (Y_S − ȳ)(Y_S − ȳ)ᵀ (t_S, t_S),
    (Y_T − ȳ)(Y_S − ȳ)ᵀ (t_T, t_S) and the squared norms of the rows of Y_T − ȳ (t_T,), as new
    arrays; ``train`` and ``test`` are integer index arrays.
    """
    xp = array_namespace(G)
    rows = xp.take(G, test, axis=0)
    SS = xp.take(xp.take(G, train, axis=0), train, axis=1)
    TS = xp.take(rows, train, axis=1)
    own = xp.take(xp.linalg.diagonal(G), test)
    train_mean = xp.mean(SS, axis=1)
    mean = xp.mean(train_mean)
    test_mean = xp.mean(TS, axis=1)
    TS = TS - test_mean[:, None] - train_mean[None, :] + mean
    return double_centre(SS), TS, own - 2 * test_mean + mean


def blocks_uncentred(G: Array, train: Array, test: Array) -> tuple[Array, Array, Array]:
    """Return what `centre_cross` returns, without centring (no intercept)."""
    xp = array_namespace(G)
    rows = xp.take(G, test, axis=0)
    SS = xp.take(xp.take(G, train, axis=0), train, axis=1)
    return SS, xp.take(rows, train, axis=1), xp.take(xp.linalg.diagonal(G), test)
