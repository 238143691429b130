"""``mor``: one RidgeCV per target, spread over the nodes by joblib (the thesis's MOR).

S. Ahmadi, "Scaling up Machine Learning Models for fMRI Brain Encoding" (Concordia University,
2025), section 3.2.2.3: scikit-learn's MultiOutputRegressor over RidgeCV on joblib's Dask
backend. X is factorised again for every target, which is what makes it slow; that is the
strategy. Copies of X and Y are not: nodes map their files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.linear_model import RidgeCV
from sklearn.multioutput import MultiOutputRegressor

from bench_core.checks import check_xy
from bench_core.cluster import ArrayRef, Cluster, timed_task
from bench_core.cluster.delivery import SentArray
from bench_core.data import THESIS_ALPHAS
from bench_core.scaling.costs import ridgecv as costs
from bench_core.scaling.operations import FitCost
from bench_core.strategies._base import Strategy
from bench_core.strategies._joblib import DaskBackend
from bench_core.strategies._ridgecv import (
    gcv_form,
    gcv_shape,
    release,
    require_score,
    scored_options,
)

KEPT_TOGETHER = 16
"""Targets per node that are kept as one batch, where a fit is to outlive the loss of nodes."""


@dataclass(frozen=True)
class _Data:
    """X and Y by file, in the place of X: what a task carries instead of them.

    Y is None where nodes see no file of it; a task then carries its target. fit : name of the fit,
    where its time is taken.
    """

    X: ArrayRef | SentArray
    Y: ArrayRef | SentArray | None
    fit: str | None = None


class _TargetRidgeCV(RidgeCV):
    """RidgeCV of one target, given by its number or itself."""

    def fit(self, data: _Data, target: NDArray[np.intp]) -> _TargetRidgeCV:
        """Map X and Y and fit column ``target`` (an array of one number) of Y, or the target."""
        # Folds, if any, are looped over here: the node is busy with this target already.
        with timed_task(data.fit) as phases, joblib.parallel_config(backend="sequential"):
            with phases("reading"):
                X = data.X.open()
                y = target if data.Y is None else np.asarray(data.Y.open()[:, target[0]])
            with phases("sklearn"):
                super().fit(X, y)
        return self


class MultiOutput(Strategy):
    """One RidgeCV per target in parallel; one penalty per target.

    Parameters
    ----------
    alphas, fit_intercept, cluster : as for every `Strategy`.
    gcv_mode, cv, scoring : as for ``ridgecv``.

    Attributes
    ----------
    alpha_ : (s,).
    cv_results_ : ``alphas`` (r,) and ``best_score`` (s,), each target's as for ``ridgecv``.
    """

    name = "mor"
    summary = "MultiOutputRegressor over RidgeCV on joblib's Dask backend; one penalty per target"
    supports = frozenset({"cv", "scoring"})
    penalty_scope = "target"
    distributed = True
    phased = True

    def __init__(
        self,
        alphas: Sequence[float] = THESIS_ALPHAS,
        *,
        fit_intercept: bool = True,
        cluster: Cluster | None = None,
        gcv_mode: str | None = None,
        cv: Any = None,
        scoring: str | None = None,
    ) -> None:
        super().__init__(alphas, fit_intercept=fit_intercept, cluster=cluster)
        self.gcv_mode = gcv_mode
        self.cv = cv
        self.scoring = scoring

    def check_options(self, t: int) -> None:
        """Check the options; see `Strategy.check_options`."""
        scored_options(self.gcv_mode, self.cv, t, scoring=self.scoring)

    def cost(self, t: int, p: int, s: int, dtype: str = "float64", nodes: int = 1) -> FitCost:
        """Return the work of a fit; see `Strategy.cost`."""
        shape = gcv_shape(t, p, s, len(self.alphas), self.cv, dtype)
        return costs.mor(shape, nodes, form=gcv_form(shape, self.gcv_mode), release=release())

    @classmethod
    def bytes_needed(cls, t: int, p: int, s: int, dtype: DTypeLike, nodes: int) -> int:
        """Return the bytes of X, Y, two copies of the coefficients, and a fit on every node."""
        return cls().cost(t, p, s, np.dtype(dtype).name, nodes).peak_bytes

    def fit_checked(self, X: NDArray[Any], Y: NDArray[Any], alphas: NDArray[np.float64]) -> None:
        """Fit; see `Strategy.fit_checked`."""
        cluster = self.running_cluster()
        options = scored_options(self.gcv_mode, self.cv, len(X), scoring=self.scoring)
        with self.phases("reading"):
            check_xy(X, Y)
        one = _TargetRidgeCV(alphas=alphas, fit_intercept=self.fit_intercept, **options)
        by_path = cluster.data == "path"
        with cluster.shared(X, *([Y] if by_path else [])) as refs:
            data = _Data(refs[0], refs[1] if by_path else None, cluster.timed_fit)
            sent = None if by_path else np.asarray(Y)
            batches = [
                _fit_batch(cluster, one, data, targets, sent)
                for targets in _batches(Y.shape[1], cluster)
            ]
        joined = (
            batches[0] if len(batches) == 1 else map(np.concatenate, zip(*batches, strict=True))
        )
        self.coef_, self.intercept_, self.alpha_, scores = joined
        self.cv_results_ = {"alphas": alphas, "best_score": scores}


def _batches(s: int, cluster: Cluster) -> list[range]:
    """Return all targets; in batches where a fit is to outlive the loss of nodes."""
    step = s if cluster.recovery is None else KEPT_TOGETHER * cluster.nodes
    return [range(start, min(start + step, s)) for start in range(0, s, step)]


def _fit_batch(
    cluster: Cluster,
    one: _TargetRidgeCV,
    data: _Data,
    targets: range,
    sent: NDArray[Any] | None,
) -> tuple[NDArray[Any], ...]:
    """Return coefficients (b, p), intercepts, penalties and scores (b,) of these targets.

    sent : Y (t, s), where tasks carry their targets; None where they map it.
    """
    ledger = None if cluster.recovery is None else cluster.recovery.ledger
    name = f"{targets.start}-{targets.stop}"
    if ledger is not None and (kept := ledger.find(name)) is not None:
        return kept
    # MultiOutputRegressor cuts its Y into columns and leaves X alone: given the targets' numbers as
    # Y, a task carries one number.
    numbers = np.array(targets)[None, :] if sent is None else sent[:, targets.start : targets.stop]

    def fit() -> list[_TargetRidgeCV]:
        with (
            cluster.watched(),
            joblib.parallel_config(DaskBackend.on(cluster)),
            cluster.waiting(),
        ):
            fitted = MultiOutputRegressor(one, n_jobs=-1).fit(data, numbers)
        found: list[_TargetRidgeCV] = fitted.estimators_
        return found

    fitted = cluster.repeat(fit)
    coef = np.stack([target.coef_ for target in fitted])
    result = (
        coef,
        np.array([target.intercept_ for target in fitted], coef.dtype),
        np.array([target.alpha_ for target in fitted], np.float64),
        np.array([require_score(float(target.best_score_)) for target in fitted]),
    )
    if ledger is not None:
        ledger.keep(name, result)
    return result


STRATEGY = MultiOutput
