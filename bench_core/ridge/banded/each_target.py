"""Scores of every target, from predictions with every candidate or with those that give the rest.

Targets are predicted block by block, and only the best candidate of each is kept. Where that is
worth it, some targets are predicted with all candidates first, in float64; the others then with the
skeleton only (`skeleton`), which gives the losses of all candidates. A target whose losses do not
agree with what some further candidates predict is predicted with all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import Array, to_numpy
from bench_core.ridge.banded.held_out import Operator
from bench_core.ridge.banded.kernels import SpaceKernels
from bench_core.ridge.banded.operators import DOING, candidate_operators, ordered
from bench_core.ridge.banded.planning import interpolation_pays, pilot_targets
from bench_core.ridge.banded.scores import Candidates, FoldSums, SearchSettings
from bench_core.ridge.banded.skeleton import (
    FEW,
    LEAST,
    TOLERANCE,
    WRONG,
    Skeleton,
    find_skeleton,
)
from bench_core.ridge.formulas.scores import column_sums, pearson, spread
from bench_core.ridge.solvers.targets import TargetColumns

AT_ONCE = 1024
"""Targets whose losses are formed from the skeleton's at once."""


@dataclass(frozen=True)
class Group:
    """Candidates that are scored in one pass over the targets.

    Parameters
    ----------
    numbers : of the candidates. operators : of each. lost : candidates without operators that
        came before the last of these.
    """

    numbers: list[int]
    operators: list[Sequence[Operator]]
    lost: int


@dataclass(frozen=True)
class Losses:
    """Losses of some candidates: 1 − R², or mean squared errors.

    Parameters
    ----------
    each : (m, s), means over the folds in which the target has a score.
    variance : (s,), what the loss of the target's mean would be; 0 without a score.
    folds : (m, folds), sums over targets. count : (folds,), targets with a score.
    """

    each: NDArray[Any]
    variance: NDArray[np.float64]
    folds: NDArray[np.float64]
    count: NDArray[np.float64]


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
        if settings.interpolate:
            held = [rows.stop - rows.start for rows in settings.folds]
            count = len(weights) * len(settings.alphas)
            t, s = self.targets.Y.shape
            if interpolation_pays(t, s, count, held, loo=settings.loo):
                own = self._interpolated(found, weights)
                if own is not None:
                    return own
        return self._predicted(found, weights)

    def _predicted(self, found: Candidates, weights: NDArray[np.float64]) -> FoldSums:
        """Return `sums`, every target being predicted with every candidate."""
        offset = len(found.weights) * len(self.settings.alphas)
        sums = self._no_sums(weights)
        for group in self._groups(weights, offset):
            found.lost += group.lost
            if not group.numbers:
                continue
            numbers = np.array(group.numbers)
            for columns, _, scores in self._scored(self.targets, group.operators):
                defined = ~np.isnan(scores)
                usable = np.where(defined, scores, 0)
                sums.total[numbers] += usable.sum(axis=2)
                sums.count[numbers] += defined.sum(axis=2)
                if self.settings.per_target:
                    count = defined.sum(axis=1)
                    own = np.where(count > 0, usable.sum(axis=1) / np.maximum(count, 1), -np.inf)
                    keep_best(found, columns, own, numbers + offset)
        return sums

    def _interpolated(self, found: Candidates, weights: NDArray[np.float64]) -> FoldSums | None:
        """Return `sums` from those of a skeleton; None where there is none for these targets."""
        dtype = self.targets.dtype.name
        tried, shares, lost = self._pilot(weights)
        if not len(tried) or (shares.min(axis=1) < LEAST[dtype]).mean() > FEW:
            return None
        skeleton = find_skeleton(shares, TOLERANCE[dtype])
        if skeleton is None:
            return None
        offset = len(found.weights) * len(self.settings.alphas)
        members = tried[skeleton.members]
        known = self._losses(weights, members)
        best, score, odd = self._best(skeleton, known)
        s = len(odd)
        if odd.sum() > FEW * s:
            return None
        sums = self._no_sums(weights)
        folds, count = known.folds, known.count
        columns = np.flatnonzero(odd)
        if len(columns):
            some = EachTarget(self.kernels, self.targets.some(columns), self.settings)
            own = Candidates(
                found.weights, found.mean_scores, found.best[columns], found.score[columns]
            )
            sums = some._predicted(own, weights)
            found.best[columns], found.score[columns] = own.best, own.score
            defined = sums.count[members]
            folds = folds - self._turned(sums.total[members], defined)
            count = count - defined[0]
        total = skeleton.losses(folds[: skeleton.size])
        total[skeleton.checked] = folds[skeleton.size :]
        sums.total[tried] += self._turned(total, count)
        sums.count[tried] += count
        good = np.flatnonzero(~odd)
        keep_best(found, good, score[None, good], tried[best[good]][None] + offset)
        found.lost += lost
        found.interpolated += len(tried) - len(members)
        return sums

    def _pilot(
        self, weights: NDArray[np.float64]
    ) -> tuple[NDArray[np.intp], NDArray[np.float64], int]:
        """Predict some targets, far apart, with every candidate.

        Returns the numbers of the candidates (m,), their squared residuals as parts of the
        variance (rows, m), a row for each target and fold where it varies, and how many candidates
        are lost.
        """
        settings = self.settings
        s, folds = self.targets.Y.shape[1], len(settings.folds)
        number = pilot_targets(len(weights) * len(settings.alphas), folds)
        columns = np.unique(np.linspace(0, s - 1, number).astype(np.intp))
        targets = replace(self.targets.some(columns), dtype=np.dtype(np.float64))
        own = EachTarget(self.kernels, targets, replace(settings, scoring="r2", together=1))
        tried, rows, lost = [], [], 0
        for group in own._groups(weights, doing="choosing candidates to predict"):
            lost += group.lost
            if not group.numbers:
                continue
            tried += group.numbers
            scores = [found[0] for _, _, found in own._scored(targets, group.operators)]
            rows.append(1 - np.concatenate(scores, axis=1).reshape(-1))
        shares = np.array(rows).reshape(len(tried), -1).T
        defined = np.isfinite(shares).all(axis=1)
        return np.array(tried, np.intp), shares[defined], lost

    def _losses(self, weights: NDArray[np.float64], members: NDArray[np.intp]) -> Losses:
        """Return the losses of some candidates, in their order."""
        targets, r2 = self.targets, self.settings.scoring == "r2"
        s, folds = targets.Y.shape[1], len(self.settings.folds)
        place = {int(number): i for i, number in enumerate(members)}
        each = np.zeros((len(members), s), targets.dtype)
        variance, sums, count = np.zeros(s), np.zeros((len(members), folds)), np.zeros(folds)
        for number, group in enumerate(self._groups(weights, wanted=place)):
            if not group.numbers:
                continue
            rows = [place[one] for one in group.numbers]
            for columns, Y, scores in self._scored(targets, group.operators):
                defined = ~np.isnan(scores[0])
                folds_of = np.maximum(defined.sum(axis=0), 1)
                losses = np.where(defined, 1 - scores if r2 else -scores, 0)
                each[rows, columns] = losses.sum(axis=1) / folds_of
                sums[rows] += losses.sum(axis=2)
                if number:
                    continue
                count += defined.sum(axis=1)
                variance[columns] = defined.any(axis=0) if r2 else self._variance(Y) / folds_of
        return Losses(each, variance, sums, count)

    def _best(
        self, skeleton: Skeleton, known: Losses
    ) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.bool_]]:
        """Return the best candidate of every target (s,), its score, and whether to doubt both."""
        dtype, s = self.targets.dtype.name, known.each.shape[1]
        best, score, odd = np.zeros(s, np.intp), np.full(s, -np.inf), np.zeros(s, bool)
        for first in range(0, s, AT_ONCE):
            own = slice(first, first + AT_ONCE)
            losses = skeleton.losses(known.each[: skeleton.size, own])
            exact = known.each[skeleton.size :, own].astype(np.float64)
            variance = known.variance[own]
            wrong = np.abs(losses[skeleton.checked] - exact) > WRONG[dtype] * (variance + exact)
            losses[skeleton.checked] = exact
            best[own] = np.argmin(losses, axis=0)
            least = losses[best[own], np.arange(losses.shape[1])]
            lost = wrong.any(axis=0) | ~(least >= LEAST[dtype] * variance)
            odd[own] = lost & (variance > 0)
            found = 1 - least if self.settings.scoring == "r2" else -least
            score[own] = np.where((variance > 0) | (self.settings.scoring != "r2"), found, -np.inf)
        return best, score, odd

    def _turned(
        self, total: NDArray[np.float64], count: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return sums of losses for sums of scores of ``count`` targets, or these for those."""
        return count - total if self.settings.scoring == "r2" else -total

    def _no_sums(self, weights: NDArray[np.float64]) -> FoldSums:
        size = len(weights) * len(self.settings.alphas), len(self.settings.folds)
        return FoldSums(np.zeros(size), np.zeros(size))

    def _groups(
        self,
        weights: NDArray[np.float64],
        offset: int = 0,
        *,
        wanted: Any = None,
        doing: str = DOING,
    ) -> Iterator[Group]:
        """Yield all candidates, or those ``wanted``, as many at once as a pass is to score."""
        settings, dtype = self.settings, self.targets.dtype
        count = len(weights) * len(settings.alphas)
        numbers: list[int] = []
        operators: list[Sequence[Operator]] = []
        lost = 0
        for number, own in candidate_operators(self.kernels, weights, settings, wanted):
            settings.progress(doing, offset + number, offset + count)
            if own is None:
                lost += 1
                continue
            numbers.append(number)
            operators.append([one.astype(dtype) for one in own])
            del own
            if len(numbers) == settings.together:
                yield Group(numbers, operators, lost)
                numbers, operators, lost = [], [], 0
        if numbers or lost:
            yield Group(numbers, operators, lost)

    def _scored(
        self, targets: TargetColumns, group: Sequence[Sequence[Operator]]
    ) -> Iterator[tuple[slice, Array, NDArray[np.float64]]]:
        """Yield blocks of targets: columns, Y in the folds' order, scores (m, folds, b)."""
        folds = len(self.settings.folds)
        for block in targets.blocks("scoring targets"):
            Y = ordered(block.values, self.settings.order)
            variances = self._variances(Y)
            scores = np.empty((len(group), folds, Y.shape[1]))
            for i, operators in enumerate(group):
                for f, one in enumerate(operators):
                    scores[i, f] = to_numpy(self._fold(one, Y, variances[f]))
            yield block.columns, Y, scores

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

    def _variance(self, Y: Array) -> NDArray[np.float64]:
        """Return the variances (b,) of a block, summed over folds."""
        found: NDArray[np.float64] = np.zeros(Y.shape[1])
        for rows in self.settings.folds:
            found += to_numpy(spread(Y[rows])[1]) / (rows.stop - rows.start)
        return found


def keep_best(
    found: Candidates,
    columns: slice | NDArray[np.intp],
    scores: NDArray[np.float64],
    numbers: NDArray[np.intp],
) -> None:
    """Keep the best of scores (m, b) where it is better than what a target has; the first wins.

    numbers : of the candidates, (m,), or (m, b) where each target has others.
    """
    index = np.argmax(scores, axis=0)
    targets = np.arange(scores.shape[1])
    best = scores[index, targets]
    number = numbers[index] if numbers.ndim == 1 else numbers[index, targets]
    better = best > found.score[columns]
    found.score[columns] = np.where(better, best, found.score[columns])
    found.best[columns] = np.where(better, number, found.best[columns])
