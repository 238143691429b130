"""Choice of a penalty, or of one for every target, from the scores of a grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench_core.ridge.penalty_grid import PenaltyGrid, search
from bench_core.ridge.solvers.penalty_scores import Scores


@dataclass
class Choice:
    """The penalties that were chosen, and the candidates that they were chosen from.

    alphas : (r',) candidates that were looked at: those asked for, and the decades beyond them that
    the search reached. scores : of those. index : of the chosen candidate in ``alphas``, a number
    or (s,). per_target : that index (s,), None where all targets share one.
    """

    alphas: NDArray[np.float64]
    scores: Scores
    index: int | NDArray[np.intp]
    per_target: NDArray[np.intp] | None

    @property
    def alpha(self) -> float | NDArray[np.float64]:
        """The chosen penalty, or that of every target (s,)."""
        found = self.alphas[self.index]
        return float(found) if self.per_target is None else np.asarray(found)

    @property
    def best_score(self) -> float | NDArray[np.float64]:
        """Its score, or that of every target (s,)."""
        if self.per_target is None:
            return float(self.scores.shared[self.index])
        assert self.scores.each is not None
        found: NDArray[np.float64] = self.scores.each[self.per_target, np.arange(len(self))]
        return found

    def __len__(self) -> int:
        """Return the number of penalties chosen."""
        return 1 if self.per_target is None else len(self.per_target)


def choose(scores: Scores, grid: PenaltyGrid, *, per_target: bool) -> Choice:
    """Return the best penalty for all targets, or of every target, by the scores of ``grid``."""
    if per_target:
        assert scores.each is not None
    table = scores.each if per_target and scores.each is not None else scores.shared[:, None]
    found = search(grid, table)
    seen = slice(int(found.first.min()), int(found.last.max()) + 1)
    index = found.index - seen.start
    return Choice(
        grid.alphas[seen],
        restricted(scores, seen),
        index if per_target else int(index[0]),
        index if per_target else None,
    )


def restricted(scores: Scores, seen: slice) -> Scores:
    """Return the scores of these candidates alone."""
    parts = {
        name: value[seen]
        for name in ("shared", "each", "magnified", "unexplained", "errors")
        if (value := getattr(scores, name)) is not None
    }
    return replace(scores, **parts)
