"""Scores of candidates, weights of the spaces × penalties, for all targets together.

Every candidate costs one factorisation of t × t (`held_out`). It is then scored from Y Yᵀ, at a
cost that does not depend on the number of targets, as the squared residuals of a fold sum to
tr(T Y Yᵀ Tᵀ). `each_target` scores every target.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import Array, mirror
from bench_core.ridge.banded.held_out import Operator
from bench_core.ridge.banded.kernels import SpaceKernels
from bench_core.ridge.banded.operators import DOING, candidate_operators, ordered
from bench_core.ridge.banded.scores import Candidates, SearchSettings
from bench_core.ridge.formulas.centering import double_centre
from bench_core.ridge.formulas.dual import target_gram
from bench_core.ridge.solvers.targets import TargetColumns, scaled


def sums_over_targets(
    kernels: SpaceKernels, targets: TargetColumns, settings: SearchSettings
) -> SumsOverTargets:
    """Return what scores candidates from sums over targets, taken in a pass over these."""
    sums = SumsOverTargets(kernels, targets.Y.shape[1], settings)
    sums.take(target_products(targets, settings))
    return sums


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
        for number, operators in candidate_operators(self.kernels, weights, settings):
            settings.progress(DOING, first * r + number, (first + len(weights)) * r)
            found.lost += operators is None
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
            Y = ordered(block.values, settings.order)
            if rows is not None:
                held = targets.device.put(np.arange(rows.start, rows.stop))
                Y, count = scaled(Y, held)
                defined += count
            total = target_gram(Y, total)
        found.append((total, defined))
    return found
