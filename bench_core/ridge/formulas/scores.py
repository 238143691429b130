"""Scores of predictions: what is averaged, and where it is undefined.

``neg_mean_squared_error`` and ``r2`` are scikit-learn's, ``pearson`` is the correlation of each
target with its prediction. A target that is constant where it is scored has neither r2 nor
pearson; it is left out of means over targets. Higher is better for all three.
"""

from __future__ import annotations

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.errors import unknown
from bench_core.ridge.arrays.backend import Array

SCORINGS = ("neg_mean_squared_error", "r2", "pearson")


def check_scoring(name: str) -> str:
    """Return ``name`` if it is a score; raise `UnknownNameError` with near names otherwise."""
    if name not in SCORINGS:
        raise unknown("scoring", str(name), SCORINGS)
    return name


def spread(Y: Array) -> tuple[Array, Array]:
    """Return Y − mean and the float64 sums of squares of its columns, 0 exactly for constant ones.

    Rounding leaves a constant column a spread of some ε times its mean; a column is called
    constant when all its values are equal, which is looked at only where the spread is that small.
    """
    xp = array_namespace(Y)
    mean = xp.mean(Y, axis=0)
    Yc = Y - mean
    squares = column_sums(Yc, Yc)
    rounding = Y.shape[0] * (8 * xp.finfo(Y.dtype).eps * xp.astype(mean, xp.float64)) ** 2
    doubtful = xp.nonzero(squares <= rounding)[0]
    if doubtful.shape[0]:
        some = xp.take(Y, doubtful, axis=1)
        constant = xp.all(some == some[:1, :], axis=0)
        squares[doubtful] = xp.where(constant, 0.0, squares[doubtful])
    return Yc, squares


def column_sums(A: Array, B: Array) -> Array:
    """Return the float64 column sums of A ∘ B."""
    xp = array_namespace(A)
    if isinstance(A, np.ndarray):
        # No temporary array; the float32 sums of a few thousand terms are good to 1e-6.
        sums: NDArray[np.float64] = np.einsum("ij,ij->j", A, B).astype(np.float64)
        return sums
    return xp.sum(A * B, axis=0, dtype=xp.float64)


def pearson(Y: Array, prediction: Array) -> Array:
    """Return the correlation of each column of Y (n, b) with that of ``prediction``, float64 (b,).

    NaN where either is constant.
    """
    xp = array_namespace(Y)
    Yc, yy = spread(Y)
    Zc, zz = spread(prediction)
    yz = column_sums(Yc, Zc)
    scale = xp.sqrt(yy) * xp.sqrt(zz)
    safe = xp.where(scale > 0, scale, xp.ones_like(scale))
    return xp.where(scale > 0, yz / safe, xp.full_like(scale, xp.nan))


def column_scores(Y: Array, residuals: Array, scoring: str) -> Array:
    """Return the score (b,) of every target from Y (n, b) and its residuals, float64."""
    if scoring == "pearson":
        return pearson(Y, Y - residuals)
    return scores_of_squares(Y, column_sums(residuals, residuals), scoring)


def scores_of_squares(Y: Array, squares: Array, scoring: str) -> Array:
    """Return mean squared errors, negated, or r2, from Y (n, b) and sums of squared residuals.

    ``squares`` are float64, (b,) or (r, b) for several penalties; so are the scores.
    """
    if scoring == "neg_mean_squared_error":
        return -squares / Y.shape[0]
    xp = array_namespace(Y)
    _, total = spread(Y)
    safe = xp.where(total > 0, total, xp.ones_like(total))
    return xp.where(total > 0, 1 - squares / safe, xp.full_like(squares, xp.nan))


def mean_over_targets(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean (r,) of scores (r, s) over the targets that have one.

    A penalty without any score has none here either.
    """
    usable = ~np.isnan(scores).all(axis=1)
    defined = ~np.isnan(scores[usable]).any(axis=0)
    mean = np.full(scores.shape[0], np.nan)
    if defined.any():
        mean[usable] = scores[usable][:, defined].mean(axis=1)
    return mean


def best(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the index of the highest score along axis 0, the first of equals; NaN never wins.

    Where all are NaN (a constant target) it is 0, as in scikit-learn.
    """
    return np.argmax(np.where(np.isnan(scores), -np.inf, scores), axis=0)
