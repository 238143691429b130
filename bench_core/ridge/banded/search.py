"""Scores of candidates: weights of the spaces × penalties, for all targets or for each.

Every candidate costs one factorisation of t × t (`held_out`). With one choice for all targets it is
then scored from Y Yᵀ, at a cost that does not depend on their number, as the squared residuals of
a fold sum to tr(T Y Yᵀ Tᵀ). Otherwise every target is predicted, block by block, and only the best
candidate of each is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.errors import counted
from bench_core.progress import Progress, silent
from bench_core.ridge.arrays.backend import Array, mirror, to_numpy
from bench_core.ridge.banded.held_out import FoldOperator, fold_operators
from bench_core.ridge.banded.kernels import SpaceKernels
from bench_core.ridge.formulas.centering import double_centre
from bench_core.ridge.formulas.dual import target_gram
from bench_core.ridge.formulas.scores import column_sums, pearson, spread
from bench_core.ridge.solvers.targets import TargetColumns, scaled

DOING = "comparing candidates"


@dataclass(frozen=True)
class SearchSettings:
    """What all candidates have in common.

    Parameters
    ----------
    alphas : penalties (r,) that every weighting of the spaces is tried with.
    folds : ranges of held-out rows, in the order ``order`` of the rows (None for their own).
    scoring : see `bench_core.ridge.formulas.scores`.
    per_target : keep the best candidate of every target.
    together : candidates whose operators are held at once.
    """

    alphas: NDArray[np.float64]
    folds: Sequence[slice]
    order: NDArray[np.intp] | None
    scoring: str
    intercept: bool
    per_target: bool
    together: int
    progress: Progress = silent


@dataclass
class Candidates:
    """All candidates so far and their scores.

    Parameters
    ----------
    weights : (n, spaces). mean_scores : (n, r) means over folds and targets; NaN where a penalty
        is too small to be tried with these weights.
    best, score : of every target (s,), the number i · r + j of its best candidate and its score;
        with one choice for all targets they stay as they were made.
    lost : candidates that were not tried, as their penalty was too small.
    """

    weights: NDArray[np.float64]
    mean_scores: NDArray[np.float64]
    best: NDArray[np.intp]
    score: NDArray[np.float64]
    lost: int = 0

    @classmethod
    def none(cls, spaces: int, r: int, s: int) -> Candidates:
        """Return an empty set, in which no target has a best candidate."""
        empty = np.empty((0, spaces)), np.empty((0, r))
        return cls(*empty, np.zeros(s, np.intp), np.full(s, -np.inf))

    def counts(self, *, per_target: bool) -> NDArray[np.intp]:
        """Return how many targets every weighting is best for (n,); the best one has all."""
        n, r = self.mean_scores.shape
        if per_target:
            defined = np.isfinite(self.score)
            return np.bincount(self.best[defined] // r, minlength=n)
        return np.bincount([self.shared_best() // r], minlength=n)

    def shared_best(self) -> int:
        """Return the number i · r + j of the candidate with the best mean score."""
        usable = np.where(np.isnan(self.mean_scores), -np.inf, self.mean_scores)
        return int(np.argmax(usable))


@dataclass
class _Sums:
    """Sums and numbers of the targets' scores in every fold, for m candidates: (m, folds)."""

    total: NDArray[np.float64]
    count: NDArray[np.float64]

    def means(self) -> NDArray[np.float64]:
        """Return the means (m,) over folds of those over targets; NaN where no fold has a score."""
        with np.errstate(invalid="ignore"):
            folds = self.total / self.count
        usable = ~np.isnan(folds)
        sums = np.where(usable, folds, 0).sum(axis=1)
        found: NDArray[np.float64] = np.where(
            usable.any(axis=1), sums / np.maximum(usable.sum(axis=1), 1), np.nan
        )
        return found


class EachTarget:
    """Scores of every target, by predicting it."""

    def __init__(self, kernels: SpaceKernels, targets: TargetColumns, settings: SearchSettings):
        self.kernels, self.targets, self.settings = kernels, targets, settings
        self._buffer: NDArray[Any] | None = None

    def score(self, found: Candidates, weights: NDArray[np.float64]) -> None:
        """Add the candidates of ``weights`` (n, spaces) with every penalty to ``found``."""
        settings = self.settings
        r, first = len(settings.alphas), len(found.weights)
        means = np.full(len(weights) * r, np.nan)
        dtype = self.targets.dtype
        group: list[tuple[int, list[FoldOperator]]] = []
        for number, operators in _operators(self.kernels, weights, settings, found):
            settings.progress(DOING, first * r + number, (first + len(weights)) * r)
            if operators is not None:
                group.append((number, [one.astype(dtype) for one in operators]))
            if group and (len(group) == settings.together or number == len(means) - 1):
                means[[one for one, _ in group]] = self._pass(found, first * r, group)
                group = []
        found.weights = np.concatenate([found.weights, weights])
        found.mean_scores = np.concatenate([found.mean_scores, means.reshape(len(weights), r)])

    def _pass(
        self, found: Candidates, offset: int, group: list[tuple[int, list[FoldOperator]]]
    ) -> NDArray[np.float64]:
        """Score some candidates in one pass over the targets; return their mean scores."""
        folds = len(self.settings.folds)
        sums = _Sums(np.zeros((len(group), folds)), np.zeros((len(group), folds)))
        numbers = np.array([number for number, _ in group]) + offset
        for block in self.targets.blocks("scoring targets"):
            Y = _ordered(block.values, self.settings.order)
            variances = self._variances(Y)
            scores = np.empty((len(group), folds, Y.shape[1]))
            for i, (_, operators) in enumerate(group):
                for f, one in enumerate(operators):
                    scores[i, f] = to_numpy(self._fold(one, Y, variances[f]))
            defined = ~np.isnan(scores)
            usable = np.where(defined, scores, 0)
            sums.total += usable.sum(axis=2)
            sums.count += defined.sum(axis=2)
            if self.settings.per_target:
                count = defined.sum(axis=1)
                own = np.where(count > 0, usable.sum(axis=1) / np.maximum(count, 1), -np.inf)
                _keep_best(found, block.columns, own, numbers)
        return sums.means()

    def _fold(self, operator: FoldOperator, Y: Array, variance: Array) -> Array:
        """Return the scores (b,) of one candidate in one fold."""
        out = None
        if isinstance(Y, np.ndarray):
            size = operator.n * Y.shape[1]
            if self._buffer is None or self._buffer.size < size:
                self._buffer = np.empty(size, Y.dtype)
            out = self._buffer[:size].reshape(operator.n, Y.shape[1])
        residuals = operator.residuals(Y, out)
        if self.settings.scoring == "pearson":
            own = Y[operator.rows]
            return pearson(own, own - residuals)
        squares = column_sums(residuals, residuals)
        if self.settings.scoring == "neg_mean_squared_error":
            return -squares / operator.n
        xp = array_namespace(squares)
        safe = xp.where(variance > 0, variance, xp.ones_like(variance))
        return xp.where(variance > 0, 1 - squares / safe, xp.full_like(squares, xp.nan))

    def _variances(self, Y: Array) -> list[Array]:
        """Return the sums of squares of a block in every fold, where the score is r2."""
        if self.settings.scoring != "r2":
            return [None] * len(self.settings.folds)
        return [spread(Y[rows])[1] for rows in self.settings.folds]


class SumsOverTargets:
    """Scores of all targets together, from Gram matrices of theirs; squared errors and r2 only."""

    def __init__(self, kernels: SpaceKernels, targets: TargetColumns, settings: SearchSettings):
        self.kernels, self.targets, self.settings = kernels, targets, settings
        self._grams: list[tuple[Array, int]] = []
        self.unexplained = np.empty(0)

    def prepare(self) -> None:
        """Read the targets once, for each fold with r2, and sum what every candidate needs."""
        settings = self.settings
        each = settings.folds if settings.scoring == "r2" else [None]
        for rows in each:
            total, defined = None, 0
            for block in self.targets.blocks("multiplying targets"):
                Y = _ordered(block.values, settings.order)
                if rows is not None:
                    held = self.targets.device.put(np.arange(rows.start, rows.stop))
                    Y, count = scaled(Y, held)
                    defined += count
                total = target_gram(Y, total)
            G = mirror(total)
            self._grams.append((double_centre(G) if settings.intercept else G, defined))

    def score(self, found: Candidates, weights: NDArray[np.float64]) -> None:
        """Add the candidates of ``weights`` (n, spaces) with every penalty to ``found``."""
        settings = self.settings
        r, first = len(settings.alphas), len(found.weights)
        means = np.full(len(weights) * r, np.nan)
        unexplained = np.full(len(means), np.nan)
        for number, operators in _operators(self.kernels, weights, settings, found):
            settings.progress(DOING, first * r + number, (first + len(weights)) * r)
            if operators is not None:
                means[number], unexplained[number] = self._score(operators)
        self.unexplained = np.concatenate([self.unexplained, unexplained])
        found.weights = np.concatenate([found.weights, weights])
        found.mean_scores = np.concatenate([found.mean_scores, means.reshape(len(weights), r)])

    def _score(self, operators: Sequence[FoldOperator]) -> tuple[float, float]:
        """Return the mean score of a candidate, and squared residuals over squared targets."""
        scores, residuals, own = [], 0.0, 0.0
        for number, operator in enumerate(operators):
            G, defined = self._grams[number if self.settings.scoring == "r2" else 0]
            squares = operator.squares(G)
            xp = array_namespace(G)
            residuals += squares
            own += float(xp.linalg.trace(G[operator.rows, operator.rows]))
            if self.settings.scoring == "r2":
                scores.append(1 - squares / defined if defined else np.nan)
            else:
                scores.append(-squares / (operator.n * self.targets.Y.shape[1]))
        usable = [one for one in scores if not np.isnan(one)]
        mean = float(np.mean(usable)) if usable else np.nan
        return mean, residuals / own if own > 0 else 1.0


def lost_message(found: Candidates) -> str | None:
    """Return what is to be said of candidates that were not tried, None where all were."""
    if not found.lost:
        return None
    return (
        f"{found.lost} of {counted(found.mean_scores.size, 'candidate')} were not tried: their "
        "penalty is too small against the features for an exact solution; leave out the smallest "
        "penalties"
    )


def _operators(
    kernels: SpaceKernels,
    weights: NDArray[np.float64],
    settings: SearchSettings,
    found: Candidates,
) -> Iterator[tuple[int, list[FoldOperator] | None]]:
    """Yield the number of every candidate and its operators; count those that are lost."""
    r = len(settings.alphas)
    for i, weight in enumerate(weights * kernels.scales):
        K = kernels.combined(weight)
        for j, alpha in enumerate(settings.alphas):
            own = fold_operators(
                K + 0.0, float(alpha), settings.folds, intercept=settings.intercept
            )
            found.lost += own is None
            yield i * r + j, own


def _keep_best(
    found: Candidates,
    columns: slice,
    scores: NDArray[np.float64],
    numbers: NDArray[np.intp],
) -> None:
    """Keep the best of scores (m, b) where it is better than what a target has; the first wins."""
    index = np.argmax(scores, axis=0)
    best = scores[index, np.arange(scores.shape[1])]
    better = best > found.score[columns]
    found.score[columns] = np.where(better, best, found.score[columns])
    found.best[columns] = np.where(better, numbers[index], found.best[columns])


def _ordered(Y: Array, order: NDArray[np.intp] | None) -> Array:
    """Return the rows of a block in the order of the folds, C-contiguous."""
    if isinstance(Y, np.ndarray):
        return np.ascontiguousarray(Y) if order is None else Y[order]
    import torch

    return Y.contiguous() if order is None else Y[torch.as_tensor(order, device=Y.device)]
