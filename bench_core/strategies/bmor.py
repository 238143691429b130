"""``bmor``: batches of targets in parallel, algorithm 1 of the thesis (B-MOR).

S. Ahmadi, "Scaling up Machine Learning Models for fMRI Brain Encoding" (Concordia University,
2025), section 3.2.2.4. The published code drops the targets beyond a multiple of c; here every
target is in a batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bench_core.checks import check_xy
from bench_core.cluster import ArrayRef, RowFile, task_phases
from bench_core.cluster.delivery import SentArray
from bench_core.data import THESIS_ALPHAS
from bench_core.errors import InputError
from bench_core.scaling.costs import ridgecv as costs
from bench_core.scaling.operations import FitCost
from bench_core.strategies._base import Strategy
from bench_core.strategies._ridgecv import (
    fit_ridgecv,
    gcv_form,
    gcv_shape,
    release,
    scored_options,
)

if TYPE_CHECKING:
    from bench_core.cluster import Cluster


def batch_boundaries(s: int, nodes: int) -> list[int]:
    """Return the n + 1 boundaries ⌊i·s/n⌋ of n = min(s, nodes) contiguous batches of s targets.

    >>> batch_boundaries(7, 3)
    [0, 2, 4, 7]
    """
    n = min(s, nodes)
    return [i * s // n for i in range(n + 1)]


class BatchMultiOutput(Strategy):
    """One RidgeCV per contiguous batch of targets, one batch per node, one penalty per batch.

    Nodes map X and Y and read only their targets; their coefficients go into one file on
    scratch, which ``coef_`` maps. The file has no name any more when the fit is done, so it goes
    when ``coef_`` does.

    Parameters
    ----------
    alphas, fit_intercept, cluster : as for every `Strategy`.
    gcv_mode, cv, scoring : as for ``ridgecv``.

    Attributes
    ----------
    coef_ : (s, p), memory-mapped, read-only.
    alpha_ : (s,), the penalty of every target's batch.
    cv_results_ : ``alphas`` (r,), ``boundaries`` (n + 1,), ``alpha`` (n,) per batch and
        ``best_score`` (n,), each batch's as for ``ridgecv``.
    """

    name = "bmor"
    summary = "batches of targets on nodes, RidgeCV each (algorithm 1); one penalty per batch"
    supports = frozenset({"cv", "scoring"})
    penalty_scope = "batch"
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
        return costs.bmor(shape, nodes, form=gcv_form(shape, self.gcv_mode), release=release())

    @classmethod
    def bytes_needed(cls, t: int, p: int, s: int, dtype: DTypeLike, nodes: int) -> int:
        """Return the bytes of X, Y, coefficients, and of a leave-one-out fit on every node."""
        return cls().cost(t, p, s, np.dtype(dtype).name, nodes).peak_bytes

    def fit_checked(self, X: NDArray[Any], Y: NDArray[Any], alphas: NDArray[np.float64]) -> None:
        """Fit; see `Strategy.fit_checked`."""
        cluster = self.running_cluster()
        options = scored_options(self.gcv_mode, self.cv, len(X), scoring=self.scoring)
        s, p = Y.shape[1], X.shape[1]
        bounds = batch_boundaries(s, cluster.nodes)
        rows = cluster.rows((s, p), X.dtype if X.dtype.kind == "f" else np.float64)
        try:
            shares = _batches(bounds)
            columns = [*shares, *[(0, 0)] * (cluster.nodes - len(shares))]
            with cluster.shared(X, Y, nodes=range(len(shares)), columns=columns) as refs:
                tasks = [
                    (*refs, start, stop, alphas, self.fit_intercept, options, rows)
                    for start, stop in shares
                ]
                batches = cluster.batches(_fit_batch, tasks)
                cluster.collect(rows)
            self.coef_ = rows.detach()
        except InputError:
            check_xy(X, Y)  # a node counts its own columns: name the target by its number in Y
            raise
        finally:
            rows.remove()
        intercepts, chosen, scores = zip(*batches, strict=True)
        self.intercept_ = np.concatenate(intercepts)
        self.alpha_ = np.repeat(np.array(chosen), np.diff(bounds))
        self.cv_results_ = {
            "alphas": alphas,
            "boundaries": np.array(bounds),
            "alpha": np.array(chosen),
            "best_score": np.array(scores),
        }


def _batches(bounds: Sequence[int]) -> list[tuple[int, int]]:
    return list(itertools.pairwise(bounds))


def _fit_batch(
    X_ref: ArrayRef | SentArray,
    Y_ref: ArrayRef | SentArray,
    start: int,
    stop: int,
    alphas: NDArray[np.float64],
    fit_intercept: bool,
    options: dict[str, Any],
    rows: RowFile,
) -> tuple[NDArray[Any], Any, Any]:
    """Fit targets start … stop − 1 on this node; return their intercepts, penalty and score."""
    X, Y, phases = X_ref.open(), Y_ref.columns(start, stop), task_phases()
    fitted = fit_ridgecv(X, Y, alphas, fit_intercept, options, phases)
    with phases("transfers"):
        rows.write(start, fitted.coef)
    return fitted.intercept, fitted.alpha, fitted.best_score


STRATEGY = BatchMultiOutput
