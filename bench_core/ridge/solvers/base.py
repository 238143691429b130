"""What a solver of either form is: choose a penalty by passes over the targets, then solve with it.

A solver holds the centred X (or what it became) and the factorisation. Targets come in blocks,
are never copied as a whole, and can be larger than memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.checks import check_xy
from bench_core.errors import InputError
from bench_core.ridge.arrays.backend import Array, Device, cast, to_numpy
from bench_core.ridge.arrays.target_blocks import Block, Centring, ColumnBlocks
from bench_core.ridge.formulas.centering import centred, column_means
from bench_core.ridge.formulas.cross_validation import Validation
from bench_core.ridge.formulas.dual import Eigh
from bench_core.ridge.formulas.per_target_scores import block_scores
from bench_core.ridge.formulas.scores import best, mean_over_targets, spread
from bench_core.ridge.planning.flops import Selection
from bench_core.ridge.planning.plan import Plan

Progress = Callable[[str, int, int], None]
"""Called with what is being done, blocks done, blocks in all."""

Predictor = Callable[[Block, Array | None], Array]

MOST_MAGNIFIED = {"float32": 1e2, "float64": 1e6}
"""How often errors of products with Y may grow on the way to a score, by their precision.

Relative errors of scores then stay below the 1e-4 by which float32 must tell two penalties apart,
and below 1e-9 in float64.
"""

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


@dataclass
class Scores:
    """Scores of every penalty: ``shared`` (r,) over all targets, ``each`` (r, s) where asked for.

    ``magnified`` says by how much relative errors of float32 products are larger in the scores.
    """

    shared: NDArray[np.float64]
    each: NDArray[np.float64] | None = None
    magnified: NDArray[np.float64] | None = None


class Solver(ABC):
    """What both forms share: the problem, its plan, and passes over the targets."""

    def __init__(
        self,
        X: NDArray[Any],
        Y: NDArray[Any],
        alphas: NDArray[np.float64],
        plan: Plan,
        *,
        intercept: bool,
        scoring: str,
        folds: list[Fold],
        device: Device,
        view_file: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.Y, self.plan, self.scoring, self.device = Y, plan, scoring, device
        self.intercept, self.progress, self.view_file = intercept, progress, view_file
        self.dtype = np.dtype(plan.shape.dtype)
        self.alphas = device.put(alphas)
        self.folds = [(device.put(train), device.put(test)) for train, test in folds]
        self.x_mean = column_means(X) if intercept else None
        self.X = device.put(centred(X, self.x_mean, self.dtype))
        self.eigen: Eigh

    def blocks(self, what: str, centring: Centring | None = None) -> Iterator[Block]:
        """Yield blocks of the targets, shifted if their means are large, and report progress."""
        if not self.intercept:
            centring = "none"
        blocks = ColumnBlocks(
            self.Y,
            self.plan.width,
            dtype=self.dtype,
            centring=centring or "shift",
            device=self.device,
            view_file=self.view_file,
        )
        for done, block in enumerate(blocks):
            if self.progress is not None:
                self.progress(what, done, len(blocks))
            yield block
        if self.progress is not None:
            self.progress(what, len(blocks), len(blocks))

    def new_rows(self, X: NDArray[Any]) -> Array:
        """Return new rows (n, p), less the training means, on the device."""
        return self.device.put(centred(X, self.x_mean, self.dtype))

    @abstractmethod
    def select(self) -> Scores:
        """Return the scores of every penalty; the factorisation of all rows is kept."""

    def solve(self, alphas: float | NDArray[np.float64]) -> None:
        """Set the chosen penalty, or one penalty for each target (s,)."""
        self.chosen = alphas

    @abstractmethod
    def coefficients(self, block: Block, out: NDArray[Any] | None = None) -> Array:
        """Return the coefficients (b, p) of a block of targets, into ``out`` where given."""

    @abstractmethod
    def predictor(self, X: NDArray[Any]) -> Predictor:
        """Return the function that predicts centred targets at new rows (n, p).

        It takes a block and its coefficients, if there are any, and returns (n, b).
        """

    def _require_finite(self, total: Array) -> None:
        """Raise `InputError` that names the first bad value of Y when ``total`` is not finite."""
        xp = array_namespace(total)
        if bool(xp.all(xp.isfinite(total))):
            return
        check_xy(np.zeros((self.Y.shape[0], 1)), self.Y)
        raise InputError(
            f"products of Y overflow {self.dtype}: scale Y down or use dtype='float64'"
        )

    def _mean_squares(self, squares: Array, defined: int) -> NDArray[np.float64]:
        """Return scores (r,) from row sums of squared residuals (r, n) over all targets."""
        xp = array_namespace(squares)
        total: NDArray[np.float64] = to_numpy(xp.sum(squares, axis=1))
        if self.scoring == "r2":
            return 1 - total / defined if defined else total * np.nan
        return -total / (squares.shape[1] * self.Y.shape[1])

    def _scaled(self, Y: Array, rows: Array | None = None) -> tuple[Array, int]:
        """Return Y / √SST, the sums of squares taken over ``rows``, and how many are defined."""
        xp = array_namespace(Y)
        _, squares = spread(Y if rows is None else xp.take(Y, rows, axis=0))
        weight = xp.where(squares > 0, 1 / xp.sqrt(xp.where(squares > 0, squares, 1.0)), 0.0)
        return Y * cast(weight, self.dtype), int(xp.sum(xp.astype(squares > 0, xp.int64)))

    def _each(self, checks: Iterator[Validation]) -> Scores:
        """Return the scores of every target by predicting it, one validation after the other."""
        shape = (self.alphas.shape[0], self.Y.shape[1])
        total, count = np.zeros(shape), np.zeros(shape)
        shared, magnified = [], []
        for check in checks:
            check = replace(
                check,
                U=cast(check.U, self.dtype),
                project=cast(check.project, self.dtype),
            )
            scores, sums, own = np.empty(shape), np.zeros((2, shape[0])), 0.0
            for block in self.blocks("scoring targets"):
                found = block_scores(check, block.values, self.scoring, intercept=self.intercept)
                scores[:, block.columns] = to_numpy(found.scores)
                sums += [to_numpy(found.squares), to_numpy(found.gained)]
                own += float(found.own)
            self._require_finite(np.asarray([own]))
            shared.append(mean_over_targets(scores))
            magnified.append(ratio(sums[1], sums[0]))
            defined = ~np.isnan(scores)
            total += np.where(defined, scores, 0)
            count += defined
        each = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        return Scores(np.mean(shared, axis=0), each, np.max(magnified, axis=0))


def magnification(gain: Array | None, own: Array, squares: Array) -> NDArray[np.float64]:
    """Return Σ_i gain_i own_i over Σ_i squares_i, per penalty (r,).

    ``own`` (n,) are row sums of squared targets, ``squares`` (r, n) those of residuals, ``gain``
    (r, n) as in `Validation`. Relative errors of products with Y are that much larger in scores.
    """
    xp = array_namespace(squares)
    gained = xp.sum(own) if gain is None else xp.matmul(gain, own)
    return ratio(to_numpy(gained), to_numpy(xp.sum(squares, axis=1)))


def exact_enough(
    scores: NDArray[np.float64],
    magnified: NDArray[np.float64] | None,
    dtype: np.dtype[Any],
    selection: Selection,
) -> bool:
    """Return whether the best of ``scores`` (r,) can be trusted, given how errors are magnified.

    It cannot where the fit explains the targets nearly completely. Float32 then gives way to
    float64, and sums over targets, differences of large numbers, to the residuals of every target:
    those in float64 are as exact as can be.
    """
    if magnified is None or (dtype == np.float64 and selection == "each"):
        return True
    return not magnified[int(best(scores))] > MOST_MAGNIFIED[dtype.name]


def ratio(above: NDArray[Any], below: NDArray[Any]) -> NDArray[np.float64]:
    """Return above / below, 1 for 0 / 0 (targets that are all constant)."""
    tiny = np.finfo(np.float64).tiny
    result: NDArray[np.float64] = np.where(above > 0, above / np.maximum(below, tiny), 1.0)
    return result
