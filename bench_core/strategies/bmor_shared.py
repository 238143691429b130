"""``bmor-shared``: batches of targets on nodes, X factorised once, one penalty for all targets.

S. Ahmadi, "Scaling up Machine Learning Models for fMRI Brain Encoding" (Concordia University,
2025), names it as future work: in B-MOR every node factorises X anew. Here one node does, while
the others multiply targets; what the penalties' scores need is summed over the nodes by a tree,
and the solution is broadcast once. The answer is RidgeCV's, whatever the number of nodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bench_core.checks import check_xy
from bench_core.data import THESIS_ALPHAS
from bench_core.errors import InputError
from bench_core.progress import Progress, silent
from bench_core.records.fit_plan import FitPlan
from bench_core.ridge.arrays.device_memory import within_device
from bench_core.ridge.inputs import (
    by_gcv,
    find_folds,
    find_form,
    fit_shape,
    product_dtype,
    safe_dtype,
)
from bench_core.ridge.penalty_grid import PenaltyGrid, make_grid
from bench_core.ridge.planning.flops import Selection
from bench_core.ridge.planning.nodes import Factorise, NodePlan
from bench_core.ridge.solvers.base import Fold
from bench_core.ridge.solvers.trust import Method
from bench_core.scaling.costs import own as costs
from bench_core.scaling.node_plans import plan_nodes
from bench_core.scaling.operations import FitCost
from bench_core.strategies import _shared_nodes as on_node
from bench_core.strategies._base import COMMON_OPTIONS, Strategy
from bench_core.strategies._coef_rows import float_dtype, keep_rows, open_rows
from bench_core.strategies._plans import common_plan
from bench_core.strategies._ridgecv import default_scoring, own_cv
from bench_core.strategies._shared_fit import SharedFit
from bench_core.strategies._shared_nodes import Job

if TYPE_CHECKING:
    from bench_core.cluster import Cluster

WAYS = ("auto", "one", "each")


class SharedBatches(Strategy):
    """Every node reads its own targets; one factorises; sums by a tree; a penalty for all or each.

    Nodes map X and Y, and write their coefficients into one file on scratch, which ``coef_``
    maps; it goes when ``coef_`` does, unless ``coef`` names it.

    Parameters
    ----------
    alphas, fit_intercept, cluster : as for every `Strategy`.
    dtype : precision of the products with Y, "float64" or "float32"; None for that of X and Y.
        Float32 gives way to float64 where it could not decide between penalties.
    coef : a path ending in .npy that every node sees, to keep the file; None: it stays on scratch.
    cv : None for leave-one-out; "gcv" for generalised cross-validation; or, as for ``ridgecv``,
        folds.
    scoring : "neg_mean_squared_error", "r2" or "pearson"; None for what scikit-learn takes: the
        first for leave-one-out, "r2" for folds.
    alpha_per_target, extend_alphas : see `bench_core.ridge.MultiTargetRidgeCV`.
    solver : "dual", "primal" or "auto": see `bench_core.ridge.MultiTargetRidgeCV`.
    device : device of every node: "cpu", "torch", "cuda", … On a GPU what is free there is a limit
        of the plan; nodes that share one share that.
    factorise : "one" node, "each", or "auto": whichever the plan finds cheaper.
    progress : called with (what, tasks done, tasks in all), or None.

    Attributes
    ----------
    coef_ : (s, p), memory-mapped, read-only.
    alpha_ : the chosen penalty, (s,) with ``alpha_per_target``.
    cv_results_ : ``alphas`` (r,), those compared; ``best_score``, (s,) with ``alpha_per_target``;
        and ``mean_scores`` (r,).
    plan_ : the `bench_core.ridge.planning.nodes.NodePlan` that was carried out.
    """

    name = "bmor-shared"
    summary = "targets on nodes, X factorised once, one penalty for all targets; RidgeCV's answer"
    penalty_scope = "all"
    claims_ridgecv = True
    distributed = True
    phased = True
    supports = COMMON_OPTIONS - {"memory_limit", "spaces"}

    _selection: Selection | None = None
    """A way of scoring that every plan has to take, for tests of each."""

    _joint: bool | None = None
    """Whether folds have to come from one factorisation, for tests of either way."""

    def __init__(
        self,
        alphas: Sequence[float] = THESIS_ALPHAS,
        *,
        fit_intercept: bool = True,
        cluster: Cluster | None = None,
        dtype: str | None = None,
        coef: Any = None,
        cv: Any = None,
        scoring: str | None = None,
        alpha_per_target: bool = False,
        extend_alphas: int = 0,
        solver: str = "auto",
        device: str = "cpu",
        factorise: Literal["auto", "one", "each"] = "auto",
        progress: Progress | None = None,
    ) -> None:
        super().__init__(alphas, fit_intercept=fit_intercept, cluster=cluster)
        self.dtype = dtype
        self.coef = coef
        self.cv = cv
        self.scoring = scoring
        self.alpha_per_target = alpha_per_target
        self.extend_alphas = extend_alphas
        self.solver = solver
        self.device = device
        self.factorise = factorise
        self.progress = progress

    def check_options(self, t: int) -> None:
        """Check the options; see `Strategy.check_options`."""
        self.plan(t, 1, 1)

    @classmethod
    def bytes_needed(cls, t: int, p: int, s: int, dtype: DTypeLike, nodes: int) -> int:
        """Return the bytes of X, Y, the coefficients and of what every node holds."""
        return cls().cost(t, p, s, np.dtype(dtype).name, nodes).peak_bytes

    def plan(self, t: int, p: int, s: int, dtype: str = "float64", nodes: int = 1) -> FitPlan:
        """Return what `fit` would do on ``nodes`` nodes with arrays of these shapes."""
        return self._common(self._node_plan(t, p, s, dtype, nodes))

    def cost(self, t: int, p: int, s: int, dtype: str = "float64", nodes: int = 1) -> FitCost:
        """Return the work of the plan; see `Strategy.cost`."""
        return costs.bmor_shared(self._node_plan(t, p, s, dtype, nodes))

    def sent_bytes(self, t: int, p: int, s: int, dtype: str = "float64", nodes: int = 1) -> int:
        """Return what `Strategy.sent_bytes` counts, and what nodes send each other."""
        plan = self._node_plan(t, p, s, dtype, nodes)
        arrays = len(plan.nodes_with_x) * t * p + t * s + s * p
        exchanged = plan.sum_bytes + (len(plan.used_nodes) - 1) * plan.file_bytes
        return arrays * np.dtype(dtype).itemsize + exchanged

    def _node_plan(self, t: int, p: int, s: int, dtype: str, nodes: int) -> NodePlan:
        products, limit = product_dtype(self.dtype, dtype), within_device(self.device, None, nodes)
        return self._plan((t, p, s), self._folds(t), Method(products), nodes, limit)

    def _limit(self, cluster: Cluster) -> int | None:
        """Return what each node may use of its GPU, which nodes may share; None without one."""
        return on_node.smallest_budget(cluster, self.device)

    def carried_out(self) -> FitPlan:
        """Return the plan that `fit` carried out."""
        return self._common(self.plan_)

    def _common(self, plan: NodePlan) -> FitPlan:
        peak = sum(plan.node_bytes)
        return common_plan(self.name, plan, nodes=plan.nodes, node_bytes=plan.node_bytes, peak=peak)

    def _folds(self, t: int) -> list[Fold]:
        return find_folds(own_cv(self.cv, t), t, None)

    def _grid(self) -> PenaltyGrid:
        return make_grid(self.alphas, self.extend_alphas)

    def _plan(
        self,
        size: tuple[int, int, int],
        folds: list[Fold],
        method: Method,
        nodes: int,
        memory_limit: int | None,
    ) -> NodePlan:
        if self.factorise not in WAYS:
            raise InputError(f"factorise = {self.factorise!r}: give 'auto', 'one' or 'each'")
        way: Factorise | None = None if self.factorise == "auto" else self.factorise
        shape = fit_shape(
            *size,
            len(self._grid().alphas),
            folds=folds,
            dtype=method.dtype,
            scoring=default_scoring(self.scoring, self.cv),
            per_target=self.alpha_per_target,
            coef="file",
            exact=method.exact,
            gcv=by_gcv(self.cv),
        )
        return plan_nodes(
            replace(shape, on_gpu=self.device.startswith("cuda")),
            nodes,
            form=find_form(self.solver),
            selection=method.selection or self._selection,
            joint=self._joint if method.joint is None else method.joint,
            factorise=way,
            memory_limit=memory_limit,
        )

    def fit_checked(self, X: NDArray[Any], Y: NDArray[Any], alphas: NDArray[np.float64]) -> None:
        """Fit on the cluster; see `Strategy.fit_checked`."""
        cluster = self.running_cluster()
        with self.phases("reading"):
            dtype = safe_dtype(self.dtype, X, Y)
        size = (X.shape[0], X.shape[1], Y.shape[1])
        folds = self._folds(X.shape[0])
        scoring = default_scoring(self.scoring, self.cv)
        grid = self._grid()
        limit = self._limit(cluster)
        rows = open_rows(cluster, self.coef, (Y.shape[1], X.shape[1]), float_dtype(X.dtype))
        try:
            method, done = Method(dtype), None
            while done is None:
                plan = self._plan(size, folds, method, cluster.nodes, limit)
                with cluster.shared(X, Y, nodes=plan.nodes_with_x, columns=_columns(plan)) as (
                    X_ref,
                    Y_ref,
                ):
                    job = Job(
                        X_ref,
                        Y_ref,
                        grid.alphas,
                        self.fit_intercept,
                        scoring,
                        self.device,
                        plan,
                    )
                    fit = SharedFit(cluster, job, grid, method, self.progress or silent)
                    found = cluster.repeat(partial(fit.run, rows, folds))
                if isinstance(found, str):
                    method = method.improved(found)
                else:
                    done = found
            cluster.collect(rows)
            self.coef_ = keep_rows(rows, self.coef)
        except InputError:
            check_xy(X, Y)  # a node counts its own columns: name the value by its place in Y
            raise
        finally:
            rows.remove()
        choice, intercepts = done
        self.plan_ = plan
        self.alpha_ = choice.alpha
        self.intercept_ = intercepts.astype(self.coef_.dtype)
        self.cv_results_ = {
            "alphas": choice.alphas,
            "best_score": choice.best_score,
            "mean_scores": choice.scores.shared,
        }


def _columns(plan: NodePlan) -> list[tuple[int, int]]:
    """Return the columns of Y that each node needs: from the first it scores or solves to the last.

    The two shares of a node are contiguous and overlap, but for small problems.
    """
    found = []
    for both in zip(plan.targets, plan.solved, strict=True):
        own = [(start, stop) for start, stop in both if stop > start]
        found.append(
            (min(start for start, _ in own), max(stop for _, stop in own)) if own else (0, 0)
        )
    return found


STRATEGY = SharedBatches
