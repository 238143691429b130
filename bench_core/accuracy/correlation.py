"""Pearson's r of every target, and its summary over targets."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench_core.checks import constant_columns, row_blocks
from bench_core.errors import InputError


class Summary(TypedDict):
    """Figures over the targets whose r is defined; None when there is none.

    Examples
    --------
    >>> found: Summary = summary([0.25, 0.75, np.nan])
    >>> found["mean"], found["defined"], found["undefined"]
    (0.5, 2, 1)
    """

    mean: float | None
    median: float | None
    p95: float | None
    max: float | None
    defined: int
    undefined: int


def pearson_r(Y_true: ArrayLike, Y_pred: ArrayLike) -> NDArray[np.float64]:
    """Return Pearson's r (s,) between the columns of two arrays (t, s).

    r is NaN, without a warning, where it is undefined: a constant column, or NaN or infinity in
    it. Sums are float64 whatever the input's dtype; temporaries stay at a few blocks of rows.

    Raises `InputError` when the shapes differ, are not 2-D, or t < 2.

    Examples
    --------
    >>> pearson_r([[1, 0], [2, 0], [3, 0]], [[2, 1], [4, 2], [6, 3]])
    array([ 1., nan])
    """
    true, pred = np.asanyarray(Y_true), np.asanyarray(Y_pred)
    if true.shape != pred.shape or true.ndim != 2:
        raise InputError(f"shapes {true.shape} and {pred.shape} must be equal and 2-D (t, s)")
    t, s = true.shape
    if t < 2:
        raise InputError(f"{t} samples are too few for a correlation: at least 2 are needed")
    cross, squares_true, squares_pred = np.zeros(s), np.zeros(s), np.zeros(s)
    with np.errstate(all="ignore"):
        mean_true, scale_true = _centre(true)
        mean_pred, scale_pred = _centre(pred)
        for rows in row_blocks(t, s * 8):
            a = (true[rows] - mean_true) / scale_true
            b = (pred[rows] - mean_pred) / scale_pred
            cross += np.einsum("ij,ij->j", a, b)
            squares_true += np.einsum("ij,ij->j", a, a)
            squares_pred += np.einsum("ij,ij->j", b, b)
        r = cross / (np.sqrt(squares_true) * np.sqrt(squares_pred))
    # The mean of equal numbers may differ from them by rounding, which would give them some r.
    r[constant_columns(true) | constant_columns(pred)] = np.nan
    return np.clip(r, -1.0, 1.0)


def _centre(Y: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and the largest distance from it of every column, as float64."""
    t, s = Y.shape
    total = np.zeros(s)
    low, high = np.full(s, np.inf), np.full(s, -np.inf)
    for rows in row_blocks(t, s * Y.itemsize):
        block = Y[rows]
        total += block.sum(axis=0, dtype=np.float64)
        np.minimum(low, block.min(axis=0), out=low)
        np.maximum(high, block.max(axis=0), out=high)
    mean = total / t
    return mean, np.maximum(high - mean, mean - low)


def signed_square(r: ArrayLike) -> NDArray[np.float64]:
    """Return r·|r|: the part of the variance that predictions explain, with the sign of r.

    r² is that part after the best scaling and shift of the predictions, so that it never is below
    the coefficient of determination 1 − Σ(y − ŷ)² / Σ(y − ȳ)². The sign tells predictions that run
    against the responses from those that follow them, as is usual in brain maps.

    Examples
    --------
    >>> signed_square([0.5, -0.5, float("nan")])
    array([ 0.25, -0.25,   nan])
    """
    values = np.asarray(r, dtype=np.float64)
    return values * np.abs(values)


def summary(r: ArrayLike) -> Summary:
    """Return mean, median, 95th percentile and maximum of the defined r, and both counts."""
    values = np.asarray(r, dtype=np.float64)
    defined = values[~np.isnan(values)]
    any_defined = defined.size > 0
    return {
        "mean": float(defined.mean()) if any_defined else None,
        "median": float(np.median(defined)) if any_defined else None,
        "p95": float(np.percentile(defined, 95)) if any_defined else None,
        "max": float(defined.max()) if any_defined else None,
        "defined": int(defined.size),
        "undefined": int(values.size - defined.size),
    }
