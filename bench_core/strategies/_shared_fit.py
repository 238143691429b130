"""Driver of a ``bmor-shared`` fit: tasks on nodes, started in the order in which they can run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench_core.cluster import RowFile
from bench_core.progress import Progress, silent
from bench_core.ridge.penalty_grid import PenaltyGrid
from bench_core.ridge.solvers.base import Fold
from bench_core.ridge.solvers.choice import Choice, choose
from bench_core.ridge.solvers.penalty_scores import Scores, mean_scores
from bench_core.ridge.solvers.trust import Method, Remedy, remedy, require_scores, too_inexact
from bench_core.strategies import _shared_nodes as on_node
from bench_core.strategies._node_sums import summed
from bench_core.strategies._shared_nodes import Job, Penalties

if TYPE_CHECKING:
    from distributed import Future

    from bench_core.cluster import Cluster


class SharedFit:
    """One fit as the driver sees it.

    job : arguments of all tasks. grid : the candidates. method : how exactly it is made.
    """

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
        used, holding = plan.used_nodes, plan.nodes_with_x
        solvers = {node: self._submit(node, on_node.factorise) for node in holding}
        if len(holding) < len(used) and plan.sums_need_x:  # others wait for the factors
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
            total = summed(self.cluster, parts, on_node.add)
            # With "each", nodes have scored their targets: node 0 needs no factors for the mean.
            own = None if plan.selection == "each" else solvers[0]
            choice = self._submit(0, on_node.score, number, own, total)
            del parts, total
            found += self.cluster.gather([choice])
        return mean_scores(found)

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
