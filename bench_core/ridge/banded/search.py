"""Scores of candidates: weights of the spaces × penalties, for all targets or for each.

Every candidate costs one factorisation of t × t (`held_out`). With one choice for all targets it is
then scored from Y Yᵀ, at a cost that does not depend on their number, as the squared residuals of
a fold sum to tr(T Y Yᵀ Tᵀ). Otherwise every target is predicted, block by block, and only the best
candidate of each is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import Array, mirror, to_numpy
from bench_core.ridge.banded.held_out import Operator, fold_operators, leave_one_out
from bench_core.ridge.banded.kernels import SpaceKernels
from bench_core.ridge.banded.scores import Candidates, FoldSums, SearchSettings
from bench_core.ridge.formulas.centering import double_centre
from bench_core.ridge.formulas.dual import target_gram
from bench_core.ridge.formulas.scores import column_sums, pearson, spread
from bench_core.ridge.solvers.targets import TargetColumns, scaled

DOING = "comparing candidates"


def sums_over_targets(
    kernels: SpaceKernels, targets: TargetColumns, settings: SearchSettings
) -> SumsOverTargets:
    """Return what scores candidates from sums over targets, taken in a pass over these."""
    sums = SumsOverTargets(kernels, targets.Y.shape[1], settings)
    sums.take(target_products(targets, settings))
    return sums


class EachTarget:
    """Scores of every target, by predicting it."""

    def __init__(self, kernels: SpaceKernels, targets: TargetColumns, settings: SearchSettings):
        self.kernels, self.targets, self.settings = kernels, targets, settings
        self._buffer: NDArray[Any] | None = None

    def score(self, found: Candidates, weights: NDArray[np.float64]) -> None:
        """Add the candidates of ``weights`` (n, spaces) with every penalty to ``found``."""
        found.add(weights, self.sums(found, weights).means())

    def sums(self, found: Candidates, weights: NDArray[np.float64]) -> FoldSums:
        """Return the sums over these targets of all candidates of ``weights``, (n · r, folds).

        The best of every target is kept in ``found``, whose numbers go on after its own; those
        that are lost are counted there. Candidates that are not tried have sums of no target.
        """
        settings = self.settings
        r, first = len(settings.alphas), len(found.weights)
        count, folds = len(weights) * r, len(settings.folds)
        sums = FoldSums(np.zeros((count, folds)), np.zeros((count, folds)))
        dtype = self.targets.dtype
        group: list[tuple[int, Sequence[Operator]]] = []
        for number, operators in _operators(self.kernels, weights, settings, found):
            settings.progress(DOING, first * r + number, (first + len(weights)) * r)
            if operators is not None:
                group.append((number, [one.astype(dtype) for one in operators]))
            if group and (len(group) == settings.together or number == count - 1):
                own = self._pass(found, first * r, group)
                places = [one for one, _ in group]
                sums.total[places], sums.count[places] = own.total, own.count
                group = []
        return sums

    def _pass(
        self, found: Candidates, offset: int, group: Sequence[tuple[int, Sequence[Operator]]]
    ) -> FoldSums:
        """Score some candidates in one pass over the targets; return their sums."""
        folds = len(self.settings.folds)
        sums = FoldSums(np.zeros((len(group), folds)), np.zeros((len(group), folds)))
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
        return sums

    def _fold(self, operator: Operator, Y: Array, variance: Array) -> Array:
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
    """Scores of all targets together, from Gram matrices of theirs; squared errors and r2 only.

    ``unexplained`` has squared residuals over squared targets of every candidate.
    """

    def __init__(self, kernels: SpaceKernels, s: int, settings: SearchSettings):
        self.kernels, self.s, self.settings = kernels, s, settings
        self._grams: list[tuple[Array, int]] = []
        self.unexplained = np.empty(0)

    def take(self, products: Sequence[tuple[Array, int]]) -> None:
        """Take the `target_products` of all s targets, which are overwritten."""
        for total, defined in products:
            G = mirror(total)
            own = double_centre(G) if self.settings.intercept else G
            self._grams.append((own, defined))

    def score(self, found: Candidates, weights: NDArray[np.float64]) -> None:
        """Add the candidates of ``weights`` (n, spaces) with every penalty to ``found``."""
        means, unexplained = self.means(found, weights)
        self.unexplained = np.concatenate([self.unexplained, unexplained])
        found.add(weights, means)

    def means(
        self, found: Candidates, weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean scores (n · r,) and what is unexplained of candidates, NaN if lost."""
        settings = self.settings
        r, first = len(settings.alphas), len(found.weights)
        means = np.full(len(weights) * r, np.nan)
        unexplained = np.full(len(means), np.nan)
        for number, operators in _operators(self.kernels, weights, settings, found):
            settings.progress(DOING, first * r + number, (first + len(weights)) * r)
            if operators is not None:
                means[number], unexplained[number] = self._score(operators)
        return means, unexplained

    def _score(self, operators: Sequence[Operator]) -> tuple[float, float]:
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
                scores.append(-squares / (operator.n * self.s))
        usable = [one for one in scores if not np.isnan(one)]
        mean = float(np.mean(usable)) if usable else np.nan
        return mean, residuals / own if own > 0 else 1.0


def target_products(targets: TargetColumns, settings: SearchSettings) -> list[tuple[Array, int]]:
    """Return Y Yᵀ (t, t), its lower triangle, and the targets that vary, for each fold with r2.

    The targets are read once for each. Products of disjoint sets of targets add up.
    """
    found = []
    each = settings.folds if settings.scoring == "r2" else [None]
    for rows in each:
        total, defined = None, 0
        for block in targets.blocks("multiplying targets"):
            Y = _ordered(block.values, settings.order)
            if rows is not None:
                held = targets.device.put(np.arange(rows.start, rows.stop))
                Y, count = scaled(Y, held)
                defined += count
            total = target_gram(Y, total)
        found.append((total, defined))
    return found


def _operators(
    kernels: SpaceKernels,
    weights: NDArray[np.float64],
    settings: SearchSettings,
    found: Candidates,
) -> Iterator[tuple[int, Sequence[Operator] | None]]:
    """Yield the number of every candidate and its operators; count those that are lost."""
    r = len(settings.alphas)
    for i, weight in enumerate(weights * kernels.scales):
        K = kernels.combined(weight)
        for j, alpha in enumerate(settings.alphas):
            own = _held_out(K + 0.0, float(alpha), settings)
            found.lost += own is None
            yield i * r + j, own


def _held_out(K: Array, alpha: float, settings: SearchSettings) -> Sequence[Operator] | None:
    """Return the operators of all folds, or of leave-one-out, for a kernel that is overwritten."""
    if settings.loo:
        return leave_one_out(K, alpha, intercept=settings.intercept)
    return fold_operators(K, alpha, settings.folds, intercept=settings.intercept)


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
