"""Penalties that cannot be told apart: their scores are nearer than either fit can know them.

A strategy whose penalty is not RidgeCV's is wrong, unless the two scores differ by less than the
rounding of one of them. RidgeCV is then run with each penalty alone, and the difference is compared
with what the condition of X, and a fit in float32, allow.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench_core.runner.arrays import FitData
from bench_core.runner.problem_cache import CachedProblem
from bench_core.runner.reference_penalty import RidgeCVJob, ridgecv
from bench_core.runner.spec import FitSpec

FLOAT32_ERROR = 1e-5
"""Relative error of squared errors from products in float32, as far as a fit lets them grow."""


@dataclass(frozen=True)
class Tie:
    """Result of a comparison: whether it is a tie, None if unknown, and what was found."""

    tie: bool | None
    note: str


def compare_scores(
    entry: CachedProblem,
    data: FitData,
    spec: FitSpec,
    chosen: float,
    reference: float,
    timeout: float | None = None,
) -> Tie:
    """Compare RidgeCV's scores of the penalty ``chosen`` by a strategy and of its own choice.

    Parameters
    ----------
    timeout : seconds that each of two fits may take.
    """
    cv = spec.options.get("cv")
    found = [
        ridgecv(
            entry,
            RidgeCVJob(data.train, (alpha,), spec.fit_intercept, cv, exactness=True),
            timeout,
        )
        for alpha in (chosen, reference)
    ]
    scores = [one.score for one in found]
    errors = [one.relative_error for one in found]
    if None in scores or None in errors:
        reasons = [one.reason for one in found if one.reason]
        return Tie(None, f"scores were not compared: {'; '.join(reasons)}")
    known = [float(score) for score in scores if score is not None]
    # Leave-one-out scores are squared errors, those of folds 1 less the squared errors' share.
    squares = [abs(score) if cv is None else abs(1 - score) for score in known]
    difference = abs(squares[0] - squares[1]) / max(*squares, 1e-300)
    allowed = max(error for error in errors if error is not None)
    single = "float32" in (spec.options.get("dtype"), str(data.train.X.dtype))
    allowed = max(allowed, FLOAT32_ERROR if single else 0.0)
    tie = difference <= allowed
    return Tie(
        tie,
        f"{'tie' if tie else 'no tie'}: RidgeCV's squared errors with {chosen:g} and {reference:g} "
        f"differ by {difference:.1g}, and are known to {allowed:.1g}",
    )
