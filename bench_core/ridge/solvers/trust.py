"""Whether scores can be trusted to choose a penalty, and the more exact way where they cannot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError
from bench_core.ridge.formulas.scores import best
from bench_core.ridge.planning.flops import Selection
from bench_core.ridge.solvers.penalty_scores import Scores

Remedy = Literal["float64", "each", "separate", "exact"]
"""A more exact way.

Products in float64; every target's own residuals; a factorisation for every fold; the singular
value decomposition of X.
"""


@dataclass(frozen=True)
class Method:
    """How exactly a fit is made.

    dtype : precision of products with Y. selection : how penalties are scored, None for what the
    plan finds cheapest. exact : decompose X itself and not its square. joint : False where every
    fold has to be factorised for itself, None for what the plan finds cheapest. tridiagonal : False
    where eigenvectors are needed, None for what the plan finds cheapest.
    """

    dtype: np.dtype[Any]
    selection: Selection | None = None
    exact: bool = False
    joint: bool | None = None
    tridiagonal: bool | None = None

    def improved(self, by: Remedy) -> Method:
        """Return the method with this remedy."""
        if by == "each":
            return replace(self, selection="each")
        if by == "separate":
            return replace(self, joint=False)
        return replace(self, dtype=np.dtype(np.float64), exact=self.exact or by == "exact")


MOST_MAGNIFIED = {"float32": 1e2, "float64": 1e6}
"""Largest growth of the relative error of products with Y in a score, by their precision.

Relative errors of scores then stay below 1e-4 in float32, enough to rank penalties, and below 1e-9
in float64.
"""

MOST_ERROR = {"float32": 1e-4, "float64": 1e-6}
"""Largest relative error of 1/(w + λ) from the square of X, by the precision of the products."""

ROOM = 10.0
"""Factor between that error and the error of a prediction that is reckoned with."""


def remedy(
    scores: Scores,
    method: Method,
    selection: Selection,
    chosen: NDArray[np.intp] | None = None,
    *,
    joint: bool = False,
) -> Remedy | None:
    """Return what makes the choice of a penalty more exact; None where it can be trusted.

    It cannot where the square of X is too inexact for the penalty, by the limit of the products'
    precision: X is then decomposed itself. Nor can it where the fit explains the targets nearly
    completely. Float32 then gives way to float64, and sums over targets, differences of large
    numbers, to the residuals of every target.

    Parameters
    ----------
    selection : how the penalties were scored. joint : from one factorisation for all folds.
    chosen : index of every target's penalty, None for one of all.
    """
    dtype = method.dtype
    if dtype == np.float32 and np.isnan(scores.shared).any():
        return "float64"  # a leverage of 1 to float32 may be less
    if not (method.exact or _factorised_well(scores, dtype.name, chosen)):
        return "separate" if joint else "exact"
    if scores.magnified is None or (dtype == np.float64 and selection == "each" and not joint):
        return None
    if not scores.magnified[int(best(scores.shared))] > MOST_MAGNIFIED[dtype.name]:
        return None
    if dtype == np.float32:
        return "float64"
    return "separate" if joint else "each"


def _factorised_well(scores: Scores, precision: str, chosen: NDArray[np.intp] | None) -> bool:
    """Return True if the best penalty, and any that may be better, has 1/(w + λ) exactly enough.

    A penalty may be better if it would be with residuals smaller by `ROOM` times its error of
    what it predicts.
    """
    errors, limit = scores.errors, MOST_ERROR[precision]
    if errors is None or (errors <= limit).all():
        return True
    doubtful = errors > limit
    if chosen is not None:
        # Any target may prefer any penalty.
        return bool(not doubtful[np.unique(chosen)].any() and (ROOM * errors <= 1e-2).all())
    winner = int(best(scores.shared))
    assert scores.unexplained is not None
    size = np.sqrt(scores.unexplained)
    least = np.maximum(size - ROOM * errors * (1 + size), 0)  # predictions may be 1 + size
    return bool(not doubtful[winner] and not (least[doubtful] <= size[winner]).any())


def too_inexact(error: float, method: Method) -> bool:
    """Return True if X has to be decomposed itself, for this relative error of 1/(w + λ)."""
    return not method.exact and error > MOST_ERROR[method.dtype.name]


def require_scores(
    scores: Scores, alphas: NDArray[np.float64], scoring: str, *, folds: bool
) -> None:
    """Raise `InputError`, with the remedy, where no penalty has a score."""
    if not np.isnan(scores.shared).all():
        return
    if folds:
        why = (
            "targets are constant in every fold, or folds hold out one sample only: use fewer "
            "folds, or scoring='neg_mean_squared_error'"
        )
    else:
        why = (
            "targets are all constant, or every penalty is too small to leave a sample out: use "
            "larger penalties, or folds (cv=5)"
        )
    raise InputError(f"no penalty of {alphas.tolist()} has a {scoring} score: {why}")
