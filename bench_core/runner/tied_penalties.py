"""Penalties that cannot be told apart: their scores are nearer than either fit can know them.

A strategy whose penalty is not RidgeCV's is wrong, unless the two scores differ by less than the
rounding of one of them. RidgeCV is then run with each penalty alone, and the difference is compared
with what the condition of X, and a fit in float32, allow.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench_core.runner.agreement import sample_targets
from bench_core.runner.arrays import FitData
from bench_core.runner.problem_cache import CachedProblem
from bench_core.runner.reference_penalty import RidgeCVJob, folds, not_compared, ridgecv
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
    cv, scoring = folds(spec.options), spec.options.get("scoring")
    found = [
        ridgecv(
            entry,
            RidgeCVJob(
                data.train, (alpha,), spec.fit_intercept, cv, exactness=True, scoring=scoring
            ),
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
    share = scoring == "r2" or (scoring is None and cv is not None)
    squares = [abs(1 - score) if share else abs(score) for score in known]
    difference = abs(squares[0] - squares[1]) / max(*squares, 1e-300)
    allowed = _allowed(spec, data, max(error for error in errors if error is not None))
    tie = difference <= allowed
    return Tie(
        tie,
        f"{'tie' if tie else 'no tie'}: RidgeCV's squared errors with {chosen:g} and {reference:g} "
        f"differ by {difference:.1g}, and are known to {allowed:.1g}",
    )


def _allowed(spec: FitSpec, data: FitData, error: float) -> float:
    """Return the relative difference of squared errors that is rounding."""
    single = "float32" in (spec.options.get("dtype"), str(data.train.X.dtype))
    return max(error, FLOAT32_ERROR if single else 0.0)


@dataclass(frozen=True)
class Comparison:
    """Comparison of penalties per target: ``same`` is None where there was none; see ``note``."""

    same: bool | None
    tie: bool | None
    note: str | None


def compare_targets(
    entry: CachedProblem,
    data: FitData,
    spec: FitSpec,
    alphas: tuple[float, ...],
    chosen: tuple[float, ...],
    timeout: float | None = None,
) -> Comparison:
    """Compare the penalties of the sampled targets with those that RidgeCV chooses for each.

    Parameters
    ----------
    alphas : candidates that were compared.
    chosen : the penalties of the targets that `sample_targets` draws.
    timeout : seconds that the fit may take.
    """
    (t, p), s = data.train.X.shape, data.train.Y.shape[1]
    targets = sample_targets(s, spec.seed)
    scheme = folds(spec.options) if spec.options.get("cv") != "gcv" else None
    refusal = not_compared(spec.options, (t, p, len(targets)), data)
    if refusal is None and scheme is not None:
        refusal = "RidgeCV was not run for comparison: it has no penalty per target with folds"
    if refusal is None and len(alphas) > len(spec.penalties):
        refusal = "RidgeCV was not run for comparison: it has no grid that grows for each target"
    if refusal is not None:
        return Comparison(None, None, refusal)
    job = RidgeCVJob(
        data.train,
        alphas,
        spec.fit_intercept,
        None,
        exactness=True,
        scoring=spec.options.get("scoring"),
        targets=tuple(targets.tolist()),
    )
    found = ridgecv(entry, job, timeout)
    if found.penalties is None or found.relative_error is None:
        return Comparison(None, None, f"RidgeCV was not compared: {found.reason}")
    other = [
        i for i, pair in enumerate(zip(chosen, found.penalties, strict=True)) if len(set(pair)) > 1
    ]
    if not other:
        return Comparison(True, None, None)
    text = f"{len(other)} of {len(targets)} sampled targets have another penalty than RidgeCV's"
    if found.squares is None:
        return Comparison(False, None, f"{text}; their scores were not compared")
    place = {alpha: number for number, alpha in enumerate(alphas)}
    if foreign := sorted({chosen[i] for i in other} - set(place)):
        return Comparison(False, False, f"{text}; {foreign[0]:g} is no candidate")
    worst = 0.0
    for i in other:
        pair = [found.squares[i][place[alpha]] for alpha in (chosen[i], found.penalties[i])]
        worst = max(worst, abs(pair[0] - pair[1]) / max(*pair, 1e-300))
    allowed = _allowed(spec, data, found.relative_error)
    tie = worst <= allowed
    return Comparison(
        False,
        tie,
        f"{'tie' if tie else 'no tie'}: {text}; squared errors differ by up to {worst:.1g}, and "
        f"are known to {allowed:.1g}",
    )
