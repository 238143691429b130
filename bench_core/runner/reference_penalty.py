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
from typing import Any

from bench_core.errors import readable_bytes
from bench_core.progress import Progress
from bench_core.records import codec
from bench_core.runner.arrays import FitData, ProblemRef
from bench_core.runner.launcher import launch, worker_environment
from bench_core.runner.problem_cache import CachedProblem
from bench_core.runner.protocol import Keep, State, serve


@dataclass(frozen=True)
class RidgeCVJob:
    """One RidgeCV. ``cv`` is the number of folds, None for leave-one-out."""

    train: ProblemRef
    alphas: tuple[float, ...]
    fit_intercept: bool
    cv: int | None


@dataclass(frozen=True)
class RidgeCVResult:
    """The penalty that RidgeCV chose."""

    status: State
    reason: str | None = None
    error: str | None = None
    alpha: float | None = None


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
    from bench_core.machine import available_cores, available_memory
    from bench_core.strategies import get

    cv = options.get("cv")
    if options.get("scoring") is not None or not (cv is None or isinstance(cv, int)):
        return None, "RidgeCV was not run for comparison: it has no such scoring or folds"
    job = RidgeCVJob(data.train, alphas, fit_intercept, cv)
    asked = {name: value for name, value in asdict(job).items() if name != "train"}
    digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]
    path = entry.folder / f"ridgecv-{digest}.json"
    if path.is_file():
        return codec.read(RidgeCVResult, path).alpha, None
    shape, dtype = (*data.train.X.shape, data.train.Y.shape[1]), data.train.X.dtype
    needed = get("ridgecv").bytes_needed(shape[0], shape[1], shape[2], dtype, 1)
    if needed > (available := available_memory()):
        return None, (
            f"RidgeCV was not run for comparison: it needs about {readable_bytes(needed)} and "
            f"{readable_bytes(available)} are available"
        )
    environment = worker_environment(available_cores(), "default", None).variables
    found = launch(__name__, job, RidgeCVResult, environment=environment, timeout=timeout)
    if found.alpha is None:
        return None, f"RidgeCV was not compared: {found.reason}"
    codec.write(found, path)
    return found.alpha, None


def _work(job: RidgeCVJob, progress: Progress, keep: Keep) -> RidgeCVResult:
    import numpy as np
    from sklearn.linear_model import RidgeCV

    train = job.train.open()
    fit = RidgeCV(alphas=job.alphas, fit_intercept=job.fit_intercept, cv=job.cv)
    fit.fit(np.asarray(train.X), np.asarray(train.Y))
    return RidgeCVResult("ok", alpha=float(fit.alpha_))


if __name__ == "__main__":
    serve(_work, RidgeCVJob, RidgeCVResult, *sys.argv[1:3])
