"""``bmor-shared``: batches of targets on nodes, X factorised once, one penalty for all targets.

S. Ahmadi, "Scaling up Machine Learning Models for fMRI Brain Encoding" (Concordia University,
2025), names it as future work: in B-MOR every node factorises X anew. Here one node does, while
the others multiply targets; what the penalties' scores need is summed over the nodes by a tree,
and the solution is broadcast once. The answer is RidgeCV's, whatever the number of nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bench_core.checks import check_xy
from bench_core.cluster import RowFile
from bench_core.data import THESIS_ALPHAS
from bench_core.errors import InputError
from bench_core.progress import Progress, silent
from bench_core.records.fit_plan import FitPlan
from bench_core.ridge.inputs import (
    by_gcv,
    find_folds,
    find_form,
    fit_shape,
    product_dtype,
    safe_in_float32,
)
from bench_core.ridge.penalty_grid import PenaltyGrid, make_grid
from bench_core.ridge.planning.flops import Selection
from bench_core.ridge.planning.nodes import Factorise, NodePlan, make_node_plan
from bench_core.ridge.solvers.base import Fold
from bench_core.ridge.solvers.choice import Choice, choose
from bench_core.ridge.solvers.penalty_scores import Scores, mean_scores
from bench_core.ridge.solvers.trust import Method, Remedy, remedy, require_scores, too_inexact
from bench_core.scaling.costs import own as costs
from bench_core.scaling.operations import FitCost
from bench_core.strategies import _shared_nodes as on_node
from bench_core.strategies._base import COMMON_OPTIONS, Strategy
from bench_core.strategies._coef_rows import float_dtype, keep_rows, open_rows
from bench_core.strategies._plans import common_plan
from bench_core.strategies._ridgecv import default_scoring, own_cv
from bench_core.strategies._shared_nodes import Job, Penalties

if TYPE_CHECKING:
    from distributed import Future

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
    device : device of every node: "cpu", "torch", "cuda", …
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

    def _node_plan(self, t: int, p: int, s: int, dtype: str, nodes: int) -> NodePlan:
        products = product_dtype(self.dtype, dtype)
        return self._plan((t, p, s), self._folds(t), Method(products), nodes)

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
        return make_node_plan(
            shape,
            nodes,
            form=find_form(self.solver),
            selection=method.selection or self._selection,
            joint=self._joint if method.joint is None else method.joint,
            factorise=way,
        )

    def fit_checked(self, X: NDArray[Any], Y: NDArray[Any], alphas: NDArray[np.float64]) -> None:
        """Fit on the cluster; see `Strategy.fit_checked`."""
        cluster = self.running_cluster()
        dtype = product_dtype(self.dtype, X.dtype, Y.dtype)
        with self.phases("reading"):
            if dtype == np.float32 and not (safe_in_float32(X) and safe_in_float32(Y)):
                dtype = np.dtype(np.float64)
        size = (X.shape[0], X.shape[1], Y.shape[1])
        folds = self._folds(X.shape[0])
        scoring = default_scoring(self.scoring, self.cv)
        grid = self._grid()
        rows = open_rows(cluster, self.coef, (Y.shape[1], X.shape[1]), float_dtype(X.dtype))
        try:
            method, done = Method(dtype), None
            while done is None:
                plan = self._plan(size, folds, method, cluster.nodes)
                with cluster.shared(X, Y, nodes=_holders(plan), columns=_columns(plan)) as (
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
                    fit = _Fit(cluster, job, grid, method, self.progress or silent)
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


class _Fit:
    """One fit as the driver sees it: tasks on nodes, started in the order in which they can run."""

    def __init__(
        self, cluster: Cluster, job: Job, grid: PenaltyGrid, method: Method, progress: Progress
    ) -> None:
        self.cluster, self.job, self.grid = cluster, job, grid
        self.method, self.progress = method, progress
        plan = job.plan
        self.scoring = [node for node, (start, stop) in enumerate(plan.targets) if stop > start]
        self.solving = [node for node, (start, stop) in enumerate(plan.solved) if stop > start]

    def run(self, rows: RowFile, folds: list[Fold]) -> tuple[Choice, NDArray[np.float64]] | Remedy:
        """Return what was chosen and the intercepts (s,).

        The remedy instead, with nothing solved, where that was not exact enough.
        """
        # A folder for every try: a node that was killed may have left half a file.
        with _folder(self.cluster, folds) as folder:
            self.job = replace(self.job, folder=folder)
            return self._run(rows)

    def _run(self, rows: RowFile) -> tuple[Choice, NDArray[np.float64]] | Remedy:
        shape = self.job.plan.shape
        solvers = self._factorised()
        scores = self._scores(solvers)
        choice = choose(scores, self.grid, per_target=shape.per_target)
        plan = self.job.plan
        wanted = remedy(choice.scores, self.method, plan.selection, choice.chosen, joint=plan.joint)
        if wanted is not None:
            return wanted
        require_scores(choice.scores, choice.alphas, self.job.scoring, folds=bool(shape.folds))
        if shape.folds:  # X as a whole was not factorised for the scores
            error = self._submit(0, on_node.error, solvers[0], choice.alpha)
            if too_inexact(self.cluster.gather([error])[0], self.method):
                return "exact"
        return choice, self._solved(rows, solvers, choice.alpha)

    def _submit(self, node: int, function: Any, *arguments: Any) -> Future:
        return self.cluster.submit(node, function, self.job, *arguments)

    def _factorised(self) -> dict[int, Future]:
        """Start the factorisation; return its future on every node that has it of its own."""
        plan = self.job.plan
        used, holders = _used(plan), _holders(plan)
        solvers = {node: self._submit(node, on_node.factorise) for node in holders}
        if len(holders) < len(used) and plan.sums_need_x:  # others wait for the factors
            self.cluster.wait([self._submit(0, on_node.broadcast, solvers[0])])
            self.cluster.spread(self.job.folder, source=0)
        return solvers

    def _scores(self, solvers: dict[int, Future]) -> Scores:
        """Return the scores, summed over nodes in every pass and averaged over passes."""
        plan = self.job.plan
        found = []
        for number in range(plan.passes):
            parts = {
                node: self._submit(
                    node,
                    on_node.partial_sums,
                    number,
                    slice(*plan.targets[node]),
                    solvers.get(node) if plan.sums_need_x else None,
                )
                for node in self.scoring
            }
            several = f", pass {number + 1} of {plan.passes}" * (plan.passes > 1)
            self._watch(f"scoring targets{several}", list(parts.values()))
            total = self._summed(parts)
            # With "each", nodes have scored their targets: node 0 needs no factors for the mean.
            own = None if plan.selection == "each" else solvers[0]
            choice = self._submit(0, on_node.score, number, own, total)
            del parts, total
            found += self.cluster.gather([choice])
        return mean_scores(found)

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
        self, rows: RowFile, solvers: dict[int, Future], alphas: Penalties
    ) -> NDArray[np.float64]:
        plan = self.job.plan
        shares = {node: slice(*plan.solved[node]) for node in range(plan.nodes)}

        def own(node: int) -> Penalties:
            return alphas if isinstance(alphas, float) else alphas[shares[node]]

        one = plan.factorise == "one"
        others = one and len(self.solving) > 1
        solutions = {
            node: self._submit(node, on_node.solve, solver, own(node), others)
            for node, solver in solvers.items()
            if node == 0 or not one
        }
        solvers.clear()  # nodes free what is no longer needed
        if others:
            self.cluster.wait([solutions.pop(0)])
            self.cluster.spread(self.job.folder, source=0)
        found = {node: self._kept(node, shares[node], own(node)) for node in self.solving}
        left = [node for node in self.solving if found[node] is None]
        tasks = [
            self._submit(
                node,
                on_node.write_coefficients,
                shares[node],
                rows,
                own(node),
                solutions.get(node),
            )
            for node in left
        ]
        if self.cluster.recovery is None:
            self._watch("solving", tasks)
            found |= zip(left, self.cluster.gather(tasks), strict=True)
        else:
            done = len(found) - len(left)
            self.progress("solving", done, len(found))
            for place, intercepts in self.cluster.finished(tasks):
                node = left[place]
                found[node] = intercepts
                self._keep(node, intercepts, own(node))
                self.progress("solving", done := done + 1, len(found))
        return np.concatenate([found[node] for node in self.solving])

    def _kept(self, node: int, columns: slice, alphas: Penalties) -> NDArray[np.float64] | None:
        """Return the intercepts of targets whose coefficients are written, with these penalties."""
        if self.cluster.recovery is None:
            return None
        kept = self.cluster.recovery.ledger.find(f"{node}")
        if kept is None or not np.array_equal(kept[1], alphas):
            return None
        return kept[0] if len(kept[0]) == columns.stop - columns.start else None

    def _keep(self, node: int, intercepts: NDArray[np.float64], alphas: Penalties) -> None:
        assert self.cluster.recovery is not None
        self.cluster.recovery.ledger.keep(f"{node}", (intercepts, np.asarray(alphas)))

    def _watch(self, what: str, futures: list[Future]) -> None:
        """Report futures as they are done; what they raise is raised where they are gathered."""
        if self.progress is silent:
            return
        for done in range(len(futures) + 1):
            self.progress(what, done, len(futures))
            if done < len(futures):
                self.cluster.wait(futures[done : done + 1])


@contextmanager
def _folder(cluster: Cluster, folds: list[Fold]) -> Iterator[str]:
    """Make a folder on scratch for the files of one try, with the rows of the folds in it."""
    with cluster.folder("shared-") as folder:
        on_node.save_folds(folder, folds)
        cluster.spread(folder)
        yield folder


def _used(plan: NodePlan) -> list[int]:
    """Return the nodes that have targets to score or to solve, and node 0."""
    shares = zip(plan.targets, plan.solved, strict=True)
    busy = [node for node, both in enumerate(shares) if any(stop > start for start, stop in both)]
    return sorted({0, *busy})


def _holders(plan: NodePlan) -> list[int]:
    """Return the nodes that need X."""
    return _used(plan) if plan.holders > 1 else [0]


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
