"""``banded-shared``: `banded` over nodes, each with its own targets; the answer is the same.

With one choice for all targets, nodes multiply their targets, the products are summed, and the
candidates are divided among the nodes. With a choice for every target each node predicts its own.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from bench_core.checks import check_held_out, check_xy, unmasked
from bench_core.progress import silent
from bench_core.records.fit_plan import FitPlan
from bench_core.ridge.arrays.device_memory import least, within_device
from bench_core.ridge.banded.planning import BandedPlan, BandedShape, make_plan
from bench_core.ridge.banded.scores import SearchSettings
from bench_core.ridge.banded.variance import SpaceScores
from bench_core.ridge.inputs import safe_dtype
from bench_core.ridge.penalty_grid import warn_at_edge
from bench_core.strategies._banded_driver import FitOnNodes, NodesFit, explained
from bench_core.strategies._banded_nodes import Job
from bench_core.strategies._base import Strategy
from bench_core.strategies._coef_rows import float_dtype, keep_rows, open_rows
from bench_core.strategies._shared_nodes import smallest_budget
from bench_core.strategies.banded import Banded
from bench_core.strategies.bmor import batch_boundaries

if TYPE_CHECKING:
    from bench_core.cluster import Cluster

MEMORY = "memory"
"""Option ``coef`` of one process; here coefficients are on scratch then."""


class BandedShared(Banded):
    """Batches of targets on nodes, a penalty for every feature space; the answer of `Banded`.

    Nodes map X and Y, read their own columns of Y, and write their coefficients into one file on
    scratch, which ``coef_`` maps; it goes when ``coef_`` does, unless ``coef`` names it.

    Parameters
    ----------
    cluster : where to run.
    memory_limit : bytes beyond X and Y, all nodes together. On a GPU what is free there is a limit
        too; nodes that share one share that.
    coef : a path ending in .npy that every node sees, to keep the file; else it is on scratch.
    others : as for `Banded`.

    Attributes
    ----------
    coef_ : (s, p), memory-mapped, read-only. plan_ : of one node. Others as of `Banded`.
    """

    name = "banded-shared"
    summary = "batches of targets on nodes, a penalty for every feature space; banded's answer"
    distributed = True

    def plan(self, t: int, p: int, s: int, dtype: str = "float64", nodes: int = 1) -> FitPlan:
        """Return what `fit` would do on ``nodes`` nodes with arrays of these shapes."""
        shape = self._estimator(t, p).shape_of(t, p, s, dtype)
        free = within_device(self.device, None, nodes) if shape.on_gpu else None
        return self._on_nodes(self._node_plan(shape, nodes, free), shape, nodes)

    def carried_out(self) -> FitPlan:
        """Return the plan that `fit` carried out."""
        nodes = self.running_cluster().nodes
        return self._on_nodes(self.plan_, self._shape, nodes)

    @classmethod
    def bytes_needed(cls, t: int, p: int, s: int, dtype: DTypeLike, nodes: int) -> int:
        """Return the bytes of X, Y, the coefficients and of what every node holds."""
        own = cls().plan(t, p, s, np.dtype(dtype).name, nodes).peak_bytes
        return (t * p + t * s) * np.dtype(dtype).itemsize + own

    def _node_plan(self, shape: BandedShape, nodes: int, on_gpu: int | None) -> BandedPlan:
        """Return the plan of a node, for its share of the targets or of the candidates.

        on_gpu : bytes that the node may use of its GPU; None without one.
        """
        own = replace(shape, s=-(-shape.s // min(nodes, shape.s)), coef="file")
        # Sums over targets arrive from another node and are copied, as they are needed again.
        summed = not shape.per_target and shape.scoring != "pearson"
        folds = len(shape.folds) if shape.scoring == "r2" else 1
        arrived = 8 * shape.t**2 * folds if summed else 0
        limit = least(None if self.memory_limit is None else self.memory_limit // nodes, on_gpu)
        plan = make_plan(own, memory_limit=None if limit is None else max(0, limit - arrived))
        return replace(plan, peak_bytes=plan.peak_bytes + arrived)

    def _on_nodes(self, plan: BandedPlan, shape: BandedShape, nodes: int) -> FitPlan:
        used = min(nodes, shape.s)
        flops = plan.flops * used
        if plan.selection == "shared":  # whose candidates are divided
            flops = make_plan(replace(shape, coef="file")).flops
        return FitPlan(
            strategy=self.name,
            nodes=nodes,
            form="dual",
            flops=flops,
            useful_flops=None,
            peak_bytes=plan.peak_bytes * used,
            node_bytes=(plan.peak_bytes,) * used,
            settings=plan.to_dict(),
            text=f"on each of {nodes} nodes:\n{plan}",
        )

    def fit_checked(self, X: NDArray[Any], Y: NDArray[Any], alphas: NDArray[np.float64]) -> None:
        """Fit on the cluster; see `Strategy.fit_checked`."""
        cluster = self.running_cluster()
        check_xy(X, Y)
        dtype = safe_dtype(self.dtype, X, Y)
        (t, p), s = X.shape, Y.shape[1]
        estimator = self._estimator(t, p)
        order, folds = estimator.ranges(t, None)
        # Y is mapped by every node: a pass reads it from memory, or from the page cache.
        self._shape = estimator.shape_of(t, p, s, dtype)
        free = smallest_budget(cluster, self.device)
        self.plan_ = plan = self._node_plan(self._shape, cluster.nodes, free)
        settings = SearchSettings(
            alphas,
            folds,
            order,
            estimator.scoring,
            self.fit_intercept,
            self.alpha_per_target,
            plan.together,
            loo=plan.shape.loo,
            interpolate=plan.interpolate,
        )
        coef = None if self.coef == MEMORY else self.coef
        rows = open_rows(cluster, coef, (s, p), float_dtype(X.dtype))
        self._shares = [slice(*pair) for pair in pairwise(batch_boundaries(s, cluster.nodes))]
        try:
            with self._shared(cluster, X, Y) as (X_ref, Y_ref):
                job = Job(
                    X_ref,
                    Y_ref,
                    estimator.columns(p),
                    settings,
                    self.balanced,
                    self.device,
                    plan,
                )
                draws = estimator.draws(plan.shape.spaces)
                fit = NodesFit(
                    cluster, job, self._shares, draws, self._shape, self.progress or silent
                )
                done = cluster.repeat(partial(fit.run, rows))
            cluster.collect(rows)
            self.coef_ = keep_rows(rows, coef)
        finally:
            rows.remove()
        self._data, self._job = (X, Y), job
        self._keep_choice(done, alphas)
        warn_at_edge(alphas, np.ravel(self.alpha_), stacklevel=3)

    def _shared(self, cluster: Cluster, X: Any, Y: Any) -> Any:
        """Share X with the nodes, and with each its own columns of Y."""
        columns = [(one.start, one.stop) for one in self._shares]
        columns += [(0, 0)] * (cluster.nodes - len(columns))
        return cluster.shared(X, Y, nodes=range(len(self._shares)), columns=columns)

    def _keep_choice(self, done: FitOnNodes, alphas: NDArray[np.float64]) -> None:
        chosen, found = done.chosen, done.candidates
        self._chosen = chosen
        self.alpha_, self.penalties_ = chosen.alpha, chosen.penalties
        self.intercept_ = done.intercept.astype(self.coef_.dtype)
        self._means = done.mean if self.fit_intercept else None
        self.cv_results_ = {
            "alphas": alphas,
            "weights": found.weights,
            "mean_scores": found.mean_scores,
            "best_score": chosen.best_score,
        }

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return predictions (t, s) for X (t, p); see `Strategy.predict`."""
        return Strategy.predict(self, X)

    def chosen_weights(self) -> NDArray[np.float64]:
        """Return γ of every space and target (spaces, s), or (spaces,)."""
        weights: NDArray[np.float64] = self._chosen.weights
        return weights

    def space_scores(self, X: ArrayLike, Y: ArrayLike) -> SpaceScores:
        """Return what every space explains of held-out Y (n, s) at X (n, p), found on the nodes.

        X and Y of the training must still be there, and the cluster must run.
        """
        X, Y = unmasked("X", X), unmasked("Y", Y)
        check_held_out(len(Y))
        cluster = self.running_cluster()
        with (
            self._shared(cluster, *self._data) as (X_ref, Y_ref),
            self._shared(cluster, X, Y) as (X_new, Y_new),
        ):
            job = replace(self._job, X=X_ref, Y=Y_ref)
            work = partial(explained, cluster, job, self._shares, self._chosen, self._means)
            parts = cluster.repeat(partial(work, X_new, Y_new))
        return SpaceScores(
            *(
                np.concatenate([getattr(one, name) for one in parts], axis=-1)
                for name in ("r", "r2", "unique", "shared")
            )
        )


STRATEGY = BandedShared
