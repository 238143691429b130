"""Scores of penalties: means over folds, and what tells how exact they are."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import Array, to_numpy


@dataclass
class Scores:
    """Scores of every penalty: ``shared`` (r,) over all targets, ``each`` (r, s) of each target.

    ``each`` is None where only sums over targets were formed. ``magnified`` (r,) is the factor by
    which relative errors of products with Y are larger in the scores, ``unexplained`` (r,) the
    squared residuals over the squared targets, and ``errors`` (r,) the relative error of what the
    factorisation of X gives.
    """

    shared: NDArray[np.float64]
    each: NDArray[np.float64] | None = None
    magnified: NDArray[np.float64] | None = None
    unexplained: NDArray[np.float64] | None = None
    errors: NDArray[np.float64] | None = None


def mean_scores(found: Iterable[Scores]) -> Scores:
    """Return the mean of scores over folds, the largest magnification and the largest error.

    Folds in which no target has a score (of one sample, or of constant targets) are left out, with
    a warning.
    """
    shared, magnified, unexplained, errors = [], [], [], []
    total: Any = None
    count: Any = None
    for scores in found:
        shared.append(scores.shared)
        magnified.append(scores.magnified)
        unexplained.append(scores.unexplained)
        errors.append(scores.errors)
        if scores.each is not None:
            defined = ~np.isnan(scores.each)
            total = (0 if total is None else total) + np.where(defined, scores.each, 0)
            count = (0 if count is None else count) + defined
    undefined = [number for number, one in enumerate(shared) if np.isnan(one).all()]
    if undefined and len(undefined) < len(shared):
        warnings.warn(
            "folds in which no target has a score are left out of the choice of a penalty: "
            f"{undefined}",
            RuntimeWarning,
            stacklevel=2,
        )
        shared = [one for one in shared if not np.isnan(one).all()]
    each = None
    if total is not None:
        each = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return Scores(
        np.mean(shared, axis=0),
        each,
        np.max(np.asarray(magnified), axis=0),
        np.mean(np.asarray(unexplained), axis=0),
        np.max(np.asarray(errors), axis=0),
    )


def conditioning(
    gain: Array, own: Array, squares: Array
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how relative errors of products with Y grow in a score, and the unexplained share.

    Σ_i gain_i own_i / Σ_i squares_i and Σ_i squares_i / Σ_i own_i, per penalty (r,). ``own`` (n,)
    are row sums of squared targets, ``squares`` (r, n) those of residuals, ``gain`` (r, n) as in
    `Validation`.
    """
    xp = array_namespace(squares)
    total = to_numpy(xp.sum(squares, axis=1))
    gained = to_numpy(xp.matmul(gain, own))
    return ratio(gained, total), ratio(total, np.full_like(total, float(xp.sum(own))))


def ratio(above: NDArray[Any], below: NDArray[Any]) -> NDArray[np.float64]:
    """Return above / below, 1 for 0 / 0 (targets that are all constant)."""
    tiny = np.finfo(np.float64).tiny
    result: NDArray[np.float64] = np.where(above > 0, above / np.maximum(below, tiny), 1.0)
    return result
