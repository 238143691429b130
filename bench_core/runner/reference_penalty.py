"""The penalty that scikit-learn's RidgeCV chooses, computed once per problem.

Strategies that claim RidgeCV's answer have to choose its penalty. Leave-one-out errors can have
several minima over the penalties, so comparing the chosen penalty with its neighbours proves
nothing, and the sum over targets needs all of them. The exact way is one RidgeCV. It runs in a
process of its own on all cores, after the measured fit. Its answer is kept beside the cached
problem, for every later case of that problem, whatever its strategy, nodes, threads or BLAS.

Run as ``python -m bench_core.runner.reference_penalty JOB.json OUT.json``.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from bench_core.errors import readable_bytes
from bench_core.progress import Progress
from bench_core.records import codec
from bench_core.runner.arrays import FitData, ProblemRef
from bench_core.runner.launcher import launch, worker_environment
from bench_core.runner.planning import by_run
from bench_core.runner.problem_cache import CachedProblem
from bench_core.runner.protocol import Keep, State, serve

if TYPE_CHECKING:
    from numpy.typing import NDArray


Folds = int | Literal["run"] | None
"""A number of folds, folds by run, or None for leave-one-out."""


@dataclass(frozen=True)
class RidgeCVJob:
    """One RidgeCV.

    scoring : None for what RidgeCV takes. exactness : find out, too, how exact its scores can be.
    targets : choose a penalty for each of these targets; None: one for all targets.
    """

    train: ProblemRef
    alphas: tuple[float, ...]
    fit_intercept: bool
    cv: Folds
    exactness: bool = False
    scoring: str | None = None
    targets: tuple[int, ...] | None = None


@dataclass(frozen=True)
class RidgeCVResult:
    """The penalty that RidgeCV chose and its score.

    relative_error : of its squared errors with the smallest penalty, where that was asked for.
    penalties : of the targets that were asked for. squares : their mean squared errors with every
    candidate, None where another score was used.
    """

    status: State
    reason: str | None = None
    error: str | None = None
    alpha: float | None = None
    score: float | None = None
    relative_error: float | None = None
    penalties: tuple[float, ...] | None = None
    squares: tuple[tuple[float, ...], ...] | None = None


def reference_penalty(
    entry: CachedProblem,
    data: FitData,
    alphas: tuple[float, ...],
    fit_intercept: bool,
    options: Mapping[str, Any],
    timeout: float | None = None,
) -> tuple[float | None, str | None]:
    """Return RidgeCV's penalty for the cached problem, and None; or None, and why there is none.

    Parameters
    ----------
    options : of the strategy; ``cv`` is RidgeCV's own, other criteria are not compared.
    timeout : seconds that it may take.
    """
    (t, p), s = data.train.X.shape, data.train.Y.shape[1]
    refusal = not_compared(options, (t, p, s), data)
    if refusal is not None:
        return None, refusal
    job = RidgeCVJob(
        data.train, alphas, fit_intercept, folds(options), scoring=options.get("scoring")
    )
    found = ridgecv(entry, job, timeout)
    if found.alpha is None:
        return None, f"RidgeCV was not compared: {found.reason}"
    return found.alpha, None


def folds(options: Mapping[str, Any]) -> Folds:
    """Return the option ``cv`` as RidgeCV's job takes it; `not_compared` has looked at it."""
    cv = options.get("cv")
    if cv is None or cv == "loo":
        return None
    return "run" if by_run(options) else int(cv)


def not_compared(
    options: Mapping[str, Any], shape: tuple[int, int, int], data: FitData
) -> str | None:
    """Return why RidgeCV with these options is not run on t × p to t × s; None if it can be."""
    from bench_core.machine import available_memory
    from bench_core.strategies import get

    cv, scoring = options.get("cv"), options.get("scoring")
    if cv == "gcv":
        return "RidgeCV was not run for comparison: generalised cross-validation is not its own"
    known = cv is None or cv in ("loo", "run") or isinstance(cv, int)
    if scoring == "pearson" or not known:
        return "RidgeCV was not run for comparison: it has no such scoring or folds"
    needed = get("ridgecv").bytes_needed(*shape, data.train.X.dtype, 1)
    if needed > (available := available_memory()):
        return (
            f"RidgeCV was not run for comparison: it needs about {readable_bytes(needed)} and "
            f"{readable_bytes(available)} are available"
        )
    return None


def ridgecv(entry: CachedProblem, job: RidgeCVJob, timeout: float | None) -> RidgeCVResult:
    """Return RidgeCV's result, from beside the cached problem where it was computed before."""
    from bench_core.machine import available_cores

    asked = {name: value for name, value in asdict(job).items() if name != "train"}
    digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
    path = entry.folder / f"ridgecv-{digest}.json"
    if path.is_file():
        return codec.read(RidgeCVResult, path)
    environment = worker_environment(available_cores(), "default", None).variables
    found = launch(__name__, job, RidgeCVResult, environment=environment, timeout=timeout)
    if found.status == "ok":
        codec.write(found, path)
    return found


def _work(job: RidgeCVJob, progress: Progress, keep: Keep) -> RidgeCVResult:
    import numpy as np
    from sklearn.linear_model import RidgeCV

    from bench_core.strategies.ridgecv import scored_options

    train = job.train.open()
    cv = np.asarray(train.runs) if job.cv == "run" else job.cv
    each = job.targets is not None
    options = scored_options(None, cv, train.t, scoring=job.scoring, alpha_per_target=each)
    keep_all = each and job.scoring is None
    fit = RidgeCV(
        alphas=list(job.alphas),
        fit_intercept=job.fit_intercept,
        store_cv_results=keep_all,
        **options,
    )
    Y = train.Y if job.targets is None else train.Y[:, list(job.targets)]
    fit.fit(np.asarray(train.X), np.asarray(Y))
    error = None
    if job.exactness:
        # Leave-one-out tells the intercept by its eigenvalue, t: rounding must be small to it, too.
        least = train.t if job.fit_intercept and job.cv is None else None
        error = score_error(train.X, min(job.alphas), job.fit_intercept, least)
    if not each:
        return RidgeCVResult("ok", None, None, float(fit.alpha_), float(fit.best_score_), error)
    return RidgeCVResult(
        "ok",
        relative_error=error,
        penalties=tuple(np.atleast_1d(fit.alpha_).tolist()),
        squares=_table(fit.cv_results_.mean(axis=0)) if keep_all else None,
    )


def _table(values: NDArray[Any]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in values.tolist())


def score_error(
    X: NDArray[Any], alpha: float, fit_intercept: bool, least: float | None = None
) -> float:
    """Return the relative error of squared errors that come from the square of X (t, p).

    2 · 4 ε w_max / (w_min + λ), tenfold for room: see `bench_core.ridge.formulas.eigensystem`. It
    holds for RidgeCV's decompositions, and for Ridge's Cholesky factors in folds. ``least`` is an
    eigenvalue to tell apart beside those of X.
    """
    import numpy as np
    from scipy.linalg import svdvals

    values = np.array(X, dtype=np.float64)
    if fit_intercept:
        values -= values.mean(axis=0)
    w = svdvals(values, overwrite_a=True, check_finite=False) ** 2
    seen = w[w > (max(X.shape) * np.finfo(np.float64).eps) ** 2 * w[0]]
    smallest = min([*seen[-1:], *([] if least is None else [least])], default=float("inf"))
    return float(min(1.0, 80 * np.finfo(np.float64).eps * w[0] / (smallest + alpha)))


if __name__ == "__main__":
    serve(_work, RidgeCVJob, RidgeCVResult, *sys.argv[1:3])
