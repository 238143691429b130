"""Candidates and their scores so far, and what scores them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import counted
from bench_core.progress import Progress, silent


@dataclass(frozen=True)
class SearchSettings:
    """What all candidates have in common.

    Parameters
    ----------
    alphas : penalties (r,) that every weighting of the spaces is tried with.
    folds : ranges of held-out rows, in the order ``order`` of the rows (None for their own). For
        leave-one-out (``loo``) one range of all rows.
    scoring : see `bench_core.ridge.formulas.scores`.
    per_target : keep the best candidate of every target.
    together : candidates whose operators are held at once.
    interpolate : let some candidates give the scores of the others, where that is worth it: see
        `bench_core.ridge.banded.skeleton`.
    """

    alphas: NDArray[np.float64]
    folds: Sequence[slice]
    order: NDArray[np.intp] | None
    scoring: str
    intercept: bool
    per_target: bool
    together: int
    progress: Progress = silent
    loo: bool = False
    interpolate: bool = False


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
    interpolated : candidates whose scores came from those of others, but for a few targets.
    """

    weights: NDArray[np.float64]
    mean_scores: NDArray[np.float64]
    best: NDArray[np.intp]
    score: NDArray[np.float64]
    lost: int = 0
    interpolated: int = 0

    @classmethod
    def none(cls, spaces: int, r: int, s: int) -> Candidates:
        """Return an empty set, in which no target has a best candidate."""
        empty = np.empty((0, spaces)), np.empty((0, r))
        return cls(*empty, np.zeros(s, np.intp), np.full(s, -np.inf))

    def add(self, weights: NDArray[np.float64], means: NDArray[np.float64]) -> None:
        """Add weights (n, spaces) with their mean scores (n · r,), or (n, r)."""
        self.weights = np.concatenate([self.weights, weights])
        self.mean_scores = np.concatenate([self.mean_scores, means.reshape(len(weights), -1)])

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


class Scorer(Protocol):
    """What scores candidates."""

    def score(self, found: Candidates, weights: NDArray[np.float64]) -> None:
        """Add the candidates of ``weights`` (n, spaces) with every penalty to ``found``."""


@dataclass
class FoldSums:
    """Sums and numbers of the targets' scores in every fold, for m candidates: (m, folds).

    Disjoint sets of targets add up.
    """

    total: NDArray[np.float64]
    count: NDArray[np.float64]

    def __iadd__(self, other: FoldSums) -> FoldSums:
        """Add the targets of another part."""
        self.total += other.total
        self.count += other.count
        return self

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


def lost_message(found: Candidates) -> str | None:
    """Return what is to be said of candidates that were not tried, None where all were."""
    if not found.lost:
        return None
    return (
        f"{found.lost} of {counted(found.mean_scores.size, 'candidate')} were not tried: their "
        "penalty is too small against the features for an exact solution; leave out the smallest "
        "penalties"
    )
