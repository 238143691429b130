"""Choice of a penalty, or of one for every target, from the scores of a grid."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from bench_core.ridge.penalty_grid import PenaltyGrid, search
from bench_core.ridge.solvers.penalty_scores import Scores


@dataclass
class Choice:
    """The penalties that were chosen, and the candidates that they were chosen from.

    alphas : (r',) candidates that were looked at: those asked for, and the decades beyond them that
    the search reached. scores : of those. index : of the chosen candidates in ``alphas``: (s,), or
    (1,) where all targets share one. per_target : whether every target has its own.
    """

    alphas: NDArray[np.float64]
    scores: Scores
    index: NDArray[np.intp]
    per_target: bool

    @property
    def chosen(self) -> NDArray[np.intp] | None:
        """The index of every target's penalty (s,), None where all share one."""
        return self.index if self.per_target else None

    @property
    def alpha(self) -> float | NDArray[np.float64]:
        """The chosen penalty, or that of every target (s,)."""
        found = self.alphas[self.index]
        return found if self.per_target else float(found[0])

    @property
    def best_score(self) -> float | NDArray[np.float64]:
        """Its score, or that of every target (s,)."""
        if not self.per_target:
            return float(self.scores.shared[self.index[0]])
        assert self.scores.each is not None
        found: NDArray[np.float64] = self.scores.each[self.index, np.arange(len(self.index))]
        return found


def choose(scores: Scores, grid: PenaltyGrid, *, per_target: bool) -> Choice:
    """Return the best penalty for all targets, or of every target, by the scores of ``grid``."""
    table = scores.each if per_target else scores.shared[:, None]
    assert table is not None
    found = search(grid, table)
    seen = slice(int(found.first.min()), int(found.last.max()) + 1)
    index = found.index - seen.start
    return Choice(grid.alphas[seen], restricted(scores, seen), index, per_target)


def restricted(scores: Scores, seen: slice) -> Scores:
    """Return the scores of these candidates alone."""
    parts = {
        field.name: value[seen]
        for field in fields(scores)
        if (value := getattr(scores, field.name)) is not None
    }
    return replace(scores, **parts)
