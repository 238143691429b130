"""The search: random candidates, then others around the best, and the choice among all."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError
from bench_core.ridge.banded.candidates import NEAR, around, first_candidates, given_candidates
from bench_core.ridge.banded.planning import BandedPlan
from bench_core.ridge.banded.scores import Candidates, Scorer, lost_message
from bench_core.ridge.banded.solution import Choice

UNEXPLAINED = {"float64": 1e-9, "float32": 1e-3}
"""Squared residuals over squared targets below which sums over targets have lost their digits."""


class SharedScorer(Scorer, Protocol):
    """A scorer from sums over all targets, which knows what every candidate leaves unexplained."""

    unexplained: NDArray[np.float64]


@dataclass(frozen=True)
class Draws:
    """How candidates are drawn.

    Parameters
    ----------
    candidates : their number, or weights (n, spaces). refine : further ones, in two rounds.
    """

    candidates: Any
    refine: int
    seed: int
    spaces: int

    @property
    def count(self) -> int:
        """Weights that are tried in all."""
        first: Any = self.candidates
        if np.ndim(first):
            first = len(given_candidates(first, self.spaces))
        return int(first) + self.refine


@dataclass(frozen=True)
class Chosen:
    """The choice, as the attributes of an estimator state it.

    Parameters
    ----------
    alpha, best_score : of all targets, or (s,). weights, penalties : (spaces,), or (spaces, s).
    """

    choice: Choice
    alpha: Any
    best_score: Any
    weights: NDArray[np.float64]
    penalties: NDArray[np.float64]


def search(
    shared: Callable[[], SharedScorer],
    each: Callable[[], Scorer],
    plan: BandedPlan,
    draws: Draws,
) -> Candidates:
    """Return all candidates with their scores.

    shared, each : return what scores them from sums over targets, or by predicting every target,
        as the plan says. Where sums have lost their digits, every target is predicted instead.
    """
    if plan.selection == "shared":
        sums = shared()
        found = _rounds(sums, plan, draws)
        exact = sums.unexplained[found.shared_best()] >= UNEXPLAINED[plan.shape.dtype]
        if exact or np.isnan(found.mean_scores).all():
            return found
    return _rounds(each(), plan, draws)


def _rounds(scorer: Scorer, plan: BandedPlan, draws: Draws) -> Candidates:
    rng = np.random.default_rng(draws.seed)
    found = Candidates.none(draws.spaces, plan.shape.r, plan.shape.s)
    if np.ndim(draws.candidates):
        weights = given_candidates(draws.candidates, draws.spaces)
    else:
        weights = first_candidates(draws.spaces, draws.candidates, rng)
    scorer.score(found, weights)
    left = draws.refine
    for number, concentration in enumerate(NEAR):
        chosen = found.counts(per_target=plan.shape.per_target)
        count = left // (len(NEAR) - number)
        left -= count
        if count and chosen.sum():
            scorer.score(found, around(found.weights, chosen, count, concentration, rng))
    return found


def choose(
    found: Candidates,
    alphas: NDArray[np.float64],
    scales: NDArray[np.float64],
    *,
    per_target: bool,
    scoring: str,
) -> Chosen:
    """Return the best candidate of all targets, or of each.

    scales : of the spaces' kernels, which candidates' weights are multiplied by.

    Raises `InputError` where no candidate has a score. Warns of candidates that were not tried.
    """
    message = lost_message(found)
    if np.isnan(found.mean_scores).all():
        raise InputError(
            message
            if found.lost == found.mean_scores.size and message
            else f"no candidate has a {scoring}: every fold holds out one sample, or targets that "
            "are constant there; use larger folds"
        )
    if message is not None:
        warnings.warn(message, RuntimeWarning, stacklevel=3)
    r, s = len(alphas), len(found.best)
    best_score: Any
    if per_target:
        # A target without a score, such as a constant one, has the first candidate tried.
        first = int(np.argmax(np.isfinite(found.mean_scores.ravel())))
        best = np.where(np.isfinite(found.score), found.best, first)
        best_score = np.where(np.isfinite(found.score), found.score, np.nan)
    else:
        best = np.full(s, found.shared_best())
        best_score = float(found.mean_scores.ravel()[best[0]])
    distinct, index = np.unique(best, return_inverse=True)
    weights = found.weights[distinct // r] * scales
    choice = Choice(weights, alphas[distinct % r], index.reshape(-1))
    penalties = choice.penalties()
    if per_target:
        alpha: Any = choice.alphas[choice.index]
        return Chosen(choice, alpha, best_score, weights[choice.index].T, penalties[choice.index].T)
    return Chosen(choice, float(choice.alphas[0]), best_score, weights[0], penalties[0])
