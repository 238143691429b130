"""``bmor-shared``: batches of targets on nodes, X factorised once, one penalty for all targets.

S. Ahmadi, "Scaling up Machine Learning Models for fMRI Brain Encoding" (Concordia University,
2025), names it as future work: in B-MOR every node factorises X anew. Here one node does, while
the others multiply targets; what the penalties' scores need is summed over the nodes by a tree,
and the solution is broadcast once. The answer is RidgeCV's, whatever the number of nodes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from distributed import Future
from numpy.typing import DTypeLike, NDArray

from bench_core.checks import check_xy
from bench_core.cluster import Cluster, RowFile
from bench_core.data import THESIS_ALPHAS
from bench_core.errors import InputError
from bench_core.ridge.formulas.scores import best
from bench_core.ridge.inputs import product_dtype, safe_in_float32
from bench_core.ridge.planning.flops import FitShape, Selection
from bench_core.ridge.planning.nodes import Factorise, SharedPlan, floats, shared_plan
from bench_core.ridge.solvers.base import exact_enough
from bench_core.strategies import _shared_nodes as on_node
from bench_core.strategies._base import Strategy, node_cluster
from bench_core.strategies._ridgecv import problem_bytes
from bench_core.strategies._shared_nodes import Job


class SharedBatches(Strategy):
    """Every node reads its own targets; one factorises; sums by a tree; one penalty for all.

    Nodes map X and Y, and write their coefficients into one file on scratch, which ``coef_``
    maps; it goes when ``coef_`` does, unless ``coef`` names it.

    Parameters
    ----------
    alphas, fit_intercept, cluster : as for every `Strategy`.
    dtype : precision of the products with Y, "float64" or "float32"; None for that of X and Y.
        Float32 gives way to float64 where it could not decide between penalties.
    coef : a path ending in .npy that every node sees, to keep the file; None: it stays on scratch.
    factorise : "one" node, "each", or "auto": whichever the plan finds cheaper.
    progress : called with (what, tasks done, tasks in all), or None.

    Attributes
    ----------
    coef_ : (s, p), memory-mapped, read-only.
    cv_results_ : ``alphas`` (r,), ``best_score``, and ``mean_scores`` (r,): minus the mean
        squared leave-one-out error.
    plan_ : the plan that was carried out.
    """

    name = "bmor-shared"
    summary = "targets on nodes, X factorised once, one penalty for all targets; RidgeCV's answer"
    penalty_scope = "all"
    claims_ridgecv = True
    distributed = True

    def __init__(
        self,
        alphas: Sequence[float] = THESIS_ALPHAS,
        *,
        fit_intercept: bool = True,
        cluster: Cluster | None = None,
        dtype: str | None = None,
        coef: Any = None,
        factorise: Literal["auto", "one", "each"] = "auto",
        progress: Any = None,
    ) -> None:
        super().__init__(alphas, fit_intercept=fit_intercept, cluster=cluster)
        self.dtype = dtype
        self.coef = coef
        self.factorise = factorise
        self.progress = progress

    @classmethod
    def bytes_needed(cls, t: int, p: int, s: int, dtype: DTypeLike, nodes: int) -> int:
        """Return the bytes of X, Y, the coefficients and of what every node holds."""
        work = FitShape(t, p, s, len(THESIS_ALPHAS), dtype=floats(dtype).name)
        coefficients = s * p * np.dtype(dtype).itemsize
        return (
            problem_bytes(t, p, s, dtype) + coefficients + sum(shared_plan(work, nodes).node_bytes)
        )

    def plan(self, X: Any, Y: Any, nodes: int | None = None) -> SharedPlan:
        """Return what `fit` would do with arrays of these shapes and types; nothing is read.

        On ``nodes`` nodes, or on those of the cluster.
        """
        return self._plan(X, Y, self._products(X, Y), nodes or node_cluster(self).nodes)

    def _products(self, X: Any, Y: Any) -> np.dtype[Any]:
        return product_dtype(self.dtype, X, Y)

    def _plan(
        self,
        X: Any,
        Y: Any,
        dtype: np.dtype[Any],
        nodes: int,
        selection: Selection | None = None,
    ) -> SharedPlan:
        if self.factorise not in ("auto", "one", "each"):
            raise InputError(f"factorise = {self.factorise!r}: give 'auto', 'one' or 'each'")
        chosen: Factorise | None = None if self.factorise == "auto" else self.factorise
        work = FitShape(
            X.shape[0], X.shape[1], Y.shape[1], len(self.alphas), dtype=dtype.name, coef="file"
        )
        return shared_plan(work, nodes, selection=selection, factorise=chosen)

    def _fit(self, X: NDArray[Any], Y: NDArray[Any], alphas: NDArray[np.float64]) -> None:
        cluster = node_cluster(self)
        dtype = self._products(X, Y)
        if dtype == np.float32 and not (safe_in_float32(X) and safe_in_float32(Y)):
            dtype = np.dtype(np.float64)
        folder = tempfile.mkdtemp(prefix="shared-", dir=cluster.scratch)
        rows = self._rows(cluster, X, Y)
        try:
            with cluster.shared(X, Y) as (X_ref, Y_ref):
                done = None
                selection: Selection | None = None
                while done is None:
                    plan = self._plan(X, Y, dtype, cluster.nodes, selection)
                    job = Job(X_ref, Y_ref, alphas, self.fit_intercept, plan, folder)
                    done = _Fit(cluster, self.progress).run(job, rows)
                    # For another try, if that was not exact enough.
                    selection = "each" if dtype == np.float64 else None
                    dtype = np.dtype(np.float64)
            self.coef_ = self._taken(rows)
        except InputError:
            check_xy(X, Y)  # a node counts its own columns: name the value by its place in Y
            raise
        finally:
            rows.remove()
            shutil.rmtree(folder, ignore_errors=True)
        scores, chosen, intercepts = done
        self.plan_ = plan
        self.alpha_ = float(alphas[chosen])
        self.intercept_ = intercepts.astype(self.coef_.dtype)
        self.cv_results_ = {
            "alphas": alphas,
            "best_score": float(scores[chosen]),
            "mean_scores": scores,
        }

    def _rows(self, cluster: Cluster, X: Any, Y: Any) -> RowFile:
        shape, dtype = (Y.shape[1], X.shape[1]), floats(X.dtype)
        if self.coef is None:
            return cluster.rows(shape, dtype)
        path = Path(self.coef)
        if path.suffix != ".npy" or not path.parent.is_dir():
            raise InputError(
                f"coef = {str(path)!r}: give a file ending in .npy in a folder that exists, or None"
            )
        return RowFile.create(path.parent, shape, dtype)

    def _taken(self, rows: RowFile) -> NDArray[Any]:
        if self.coef is None:
            return rows.take()
        os.replace(rows.path, self.coef)
        coef: NDArray[Any] = np.load(self.coef, mmap_mode="r")
        return coef


class _Fit:
    """One fit as the driver sees it: tasks on nodes, started in the order in which they can run."""

    def __init__(self, cluster: Cluster, progress: Callable[[str, int, int], None] | None) -> None:
        self.cluster = cluster
        self.progress = progress

    def run(
        self, job: Job, rows: RowFile
    ) -> tuple[NDArray[np.float64], int, NDArray[np.float64]] | None:
        """Return the scores (r,), the chosen one's index and the intercepts (s,).

        None, with nothing solved, where the scores are not exact enough to decide.
        """
        plan, submit = job.plan, self.cluster.submit
        used = [node for node, (start, stop) in enumerate(plan.targets) if stop > start]
        factors = self._factors(job, used)
        parts = {
            node: submit(node, on_node.score, job, slice(*plan.targets[node]), factors.get(node))
            for node in used
        }
        self._watch("scoring targets", list(parts.values()))
        total = self._summed(parts)
        # With "each", nodes have scored their targets: node 0 needs no factors for a few sums.
        own = None if plan.selection == "each" else factors[0]
        choice = submit(0, on_node.select, job, own, total)
        del parts, total
        [(scores, magnified)] = self.cluster.gather([choice])
        if np.isnan(scores).all():
            raise InputError(
                f"no penalty of {job.alphas.tolist()} has a score: every one is too small to "
                "leave a sample out; give larger ones"
            )
        chosen = int(best(scores))
        if not exact_enough(scores, magnified, job.dtype, plan.selection):
            return None
        intercepts = self._solved(job, rows, factors, float(job.alphas[chosen]))
        return scores, chosen, intercepts

    def _factors(self, job: Job, used: list[int]) -> dict[int, Future]:
        """Start the factorisation; return its future on every node that has it of its own."""
        each = job.plan.factorise == "each"
        solving = [node for node, (start, stop) in enumerate(job.plan.solved) if stop > start]
        who = sorted({0, *used, *solving}) if each else [0]
        factors = {node: self.cluster.submit(node, on_node.factorise, job) for node in who}
        # Others wait for the basis, except where they only multiply targets with each other.
        waits = job.plan.selection == "each" or not job.dual
        if not each and waits and max(used + solving) > 0:
            self.cluster.wait([self.cluster.submit(0, on_node.broadcast, job, factors[0])])
        return factors

    def _summed(self, parts: dict[int, Future]) -> Future:
        """Sum over nodes in pairs, in the order of nodes: half the nodes send in every round."""
        left = sorted(parts.items())
        while len(left) > 1:
            pairs = zip(left[::2], left[1::2], strict=False)
            sums = [
                (node, self.cluster.submit(node, on_node.add, a, b)) for (node, a), (_, b) in pairs
            ]
            left = sums + left[len(left) - len(left) % 2 :]
        return left[0][1]

    def _solved(
        self, job: Job, rows: RowFile, factors: dict[int, Future], alpha: float
    ) -> NDArray[np.float64]:
        plan, submit = job.plan, self.cluster.submit
        shares = [(i, slice(*share)) for i, share in enumerate(plan.solved) if share[1] > share[0]]
        source = factors
        if job.dual:
            everybody = plan.factorise == "one" and len(shares) > 1
            source = {
                node: submit(node, on_node.solution, job, future, alpha, everybody)
                for node, future in factors.items()
            }
            factors.clear()  # nodes free what is no longer needed
            if everybody:
                self.cluster.wait([source.pop(0)])
        tasks = [
            submit(node, on_node.solve, job, columns, rows, alpha, source.get(node))
            for node, columns in shares
        ]
        self._watch("solving", tasks)
        return np.concatenate(self.cluster.gather(tasks))

    def _watch(self, what: str, futures: list[Future]) -> None:
        """Report futures as they are done; what they raise is raised where they are gathered."""
        if self.progress is None:
            return
        for done in range(len(futures) + 1):
            self.progress(what, done, len(futures))
            if done < len(futures):
                self.cluster.wait(futures[done : done + 1])


STRATEGY = SharedBatches
