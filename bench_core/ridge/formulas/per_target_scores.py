"""Scores of every target and penalty, a block of targets at a time.

Needed where targets do not share everything: one penalty per target, Pearson's r (a ratio that
no sum over targets gives), or so few targets that this is the shorter way. Nothing larger than
n × b is formed, whatever the number of folds, penalties and targets.
"""

from __future__ import annotations

from typing import NamedTuple

from array_api_compat import array_namespace, device

from bench_core.ridge.arrays.backend import Array, cast, to_numpy
from bench_core.ridge.formulas.cross_validation import Validation
from bench_core.ridge.formulas.scores import column_scores

TOGETHER = 512
"""Columns that make a product fast: few targets are predicted with several penalties at once."""


class BlockScores(NamedTuple):
    """Scores of a block, and what tells how well they are conditioned.

    scores : (r, b) float64, of every penalty and target. squares : (r,) sums of squared
    residuals. gained : (r,) sums of squared targets times the validation's gain. own : the plain
    sum of squared targets, not finite when a value of Y is not.
    """

    scores: Array
    squares: Array
    gained: Array
    own: Array


def training_and_test(validation: Validation, Y: Array, *, intercept: bool) -> tuple[Array, Array]:
    """Return the training and held-out rows of a block Y (t, b), less the training mean."""
    xp = array_namespace(Y)
    if validation.train is None:
        Yc = Y - xp.mean(Y, axis=0) if intercept else Y
        return Yc, Yc
    Y_S = xp.take(Y, validation.train, axis=0)
    Y_T = xp.take(Y, validation.test, axis=0)
    if intercept:
        mean = xp.mean(Y_S, axis=0)
        Y_S -= mean
        Y_T -= mean
    return Y_S, Y_T


def block_scores(validation: Validation, Y: Array, scoring: str, *, intercept: bool) -> BlockScores:
    """Return the scores of a block of targets Y (t, b) for every penalty of a validation."""
    xp = array_namespace(Y)
    Y_S, Y_T = training_and_test(validation, Y, intercept=intercept)
    dtype = to_numpy(Y[:0]).dtype
    U = cast(validation.U, dtype)
    C = xp.matmul(cast(validation.project, dtype), Y_S)
    divisor = None if validation.divisor is None else cast(validation.divisor, dtype)
    r, b = validation.f.shape[0], Y.shape[1]
    scores = xp.empty((r, b), dtype=xp.float64, device=device(Y))
    squares = xp.empty(r, dtype=xp.float64, device=device(Y))
    together = max(1, TOGETHER // b)
    for first in range(0, r, together):
        some = slice(first, min(first + together, r))
        n = some.stop - first
        damped = validation.damped(C, range(some.start, some.stop))
        residuals = xp.reshape(xp.matmul(U, damped), (U.shape[0], n, b))
        if not validation.direct:
            residuals *= -1
            residuals += Y_T[:, None, :]
        if divisor is not None:
            residuals /= divisor[some].T[:, :, None]
        for i in range(some.start, some.stop):
            one = residuals[:, i - first, :]
            scores[i] = column_scores(Y_T, one, scoring)
            squares[i] = xp.sum(one * one, dtype=xp.float64)
    own = xp.sum(Y_T * Y_T, axis=1, dtype=xp.float64)
    return BlockScores(scores, squares, xp.matmul(validation.gain, own), xp.sum(own))
