"""Candidate weights of feature spaces: random points of the simplex, and points around the best.

A candidate is a weight γ for every space, γ ≥ 0 and Σ γ = 1, and a penalty α: space g gets the
penalty α / γ. Weights are drawn from Dirichlet distributions, as Dupré la Tour et al. (2022,
NeuroImage 264, 119728, section 2.5) propose: concentration 1 is uniform over the simplex,
concentration 0.1 puts most of the weight on one space or a few.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError

CONCENTRATIONS = (1.0, 0.1)
"""Concentrations of the draws, in turn."""

NEAR = (20.0, 100.0)
"""Concentrations of the draws around the best weights, a round each: the larger, the nearer."""

ELSEWHERE = 0.05
"""Added to every concentration around the best: no space is ruled out for good."""


def first_candidates(spaces: int, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return ``count`` weights (count, spaces), or fewer where one space leaves no choice.

    The first gives all spaces the same weight, the next ones are each space alone, the rest is
    random.

    >>> first_candidates(2, 4, np.random.default_rng(0)).round(2).tolist()
    [[0.5, 0.5], [1.0, 0.0], [0.0, 1.0], [0.4, 0.6]]
    """
    if spaces == 1:
        return np.ones((1, 1))
    found = [np.full(spaces, 1 / spaces), *np.eye(spaces)][:count]
    for number in range(count - len(found)):
        concentration = CONCENTRATIONS[number % len(CONCENTRATIONS)]
        found.append(_dirichlet(rng, np.full(spaces, concentration)))
    return np.array(found)


def around(
    weights: NDArray[np.float64],
    chosen: NDArray[np.integer[Any]],
    count: int,
    concentration: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return ``count`` weights (count, spaces) drawn around those that were chosen.

    Parameters
    ----------
    weights : (n, spaces), the candidates so far.
    chosen : how often each of them is the best (n,); centres are drawn as often.
    concentration : of the Dirichlet distribution around a centre.
    """
    centres = rng.choice(len(weights), size=count, p=chosen / chosen.sum())
    return np.array(
        [_dirichlet(rng, concentration * weights[centre] + ELSEWHERE) for centre in centres]
    ).reshape(count, weights.shape[1])


def given_candidates(value: Any, spaces: int) -> NDArray[np.float64]:
    """Return weights (n, spaces) that a caller states; they need not sum to 1.

    Raises `InputError` for another number of spaces, a negative weight, or a candidate without any.
    """
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"candidates {value!r}: give a number of them, or weights") from error
    if found.ndim != 2 or found.shape[1] != spaces or not len(found):
        raise InputError(
            f"candidates of shape {found.shape}: give one row for each, of {spaces} weights, one "
            "for each feature space"
        )
    if not np.isfinite(found).all() or (found < 0).any() or (found.sum(axis=1) <= 0).any():
        raise InputError("candidates: weights must be 0 or more, and one of each candidate above 0")
    return found


def _dirichlet(rng: np.random.Generator, concentration: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = rng.dirichlet(concentration)
    # Draws of a tiny concentration can all be 0.
    return found if np.isfinite(found).all() and found.sum() > 0 else np.eye(len(found))[0]
