"""Tasks of a ``bmor-shared`` fit: functions that run on nodes and call the ridge solvers.

Y and X are mapped files, and a node reads its own columns of Y in blocks. What a node keeps
between two tasks is a Dask result that never leaves it; what one node makes for the others is a
file that they map.
"""

from __future__ import annotations

import operator
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench_core.cluster import ArrayRef, RowFile, forget_pages, task_phases
from bench_core.cluster.delivery import SentArray, own_path
from bench_core.phases import Phases
from bench_core.ridge.arrays.backend import find_device, full_float32_products, to_numpy
from bench_core.ridge.arrays.device_memory import DeviceBudget, device_budget, smallest_share
from bench_core.ridge.arrays.target_blocks import fits_in_memory
from bench_core.ridge.formulas.eigensystem import Eigh
from bench_core.ridge.planning.nodes import NodePlan
from bench_core.ridge.solvers import SOLVERS, Solver
from bench_core.ridge.solvers.base import Fold
from bench_core.ridge.solvers.dual import TO_SOLVE, DualSolution
from bench_core.ridge.solvers.penalty_scores import Scores
from bench_core.ridge.solvers.solution import Factors, RestorableSolution, Solution, factor_arrays
from bench_core.ridge.solvers.targets import Sums, TargetColumns, TargetSums

if TYPE_CHECKING:
    from bench_core.cluster import Cluster

Penalties = float | NDArray[np.float64]
"""One penalty for all targets, or that of every target."""


@dataclass(frozen=True)
class Job:
    """Arguments common to all tasks. In ``folder`` one node leaves files for the others."""

    X: ArrayRef | SentArray
    Y: ArrayRef | SentArray
    alphas: NDArray[np.float64]
    intercept: bool
    scoring: str
    device: str
    plan: NodePlan
    folder: str = ""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Precision of the products."""
        return np.dtype(self.plan.shape.dtype)

    @property
    def phases(self) -> Phases:
        """The timer of this fit on this node, which waits for the device if there is one."""
        phases = task_phases()
        phases.settle_with(find_device(self.device).settle)
        return phases

    def solver(self, X: NDArray[Any] | None) -> Solver:
        """Return a solver that holds X, or nothing yet."""
        return SOLVERS[self.plan.form](
            X,
            self.alphas,
            selection=self.plan.selection,
            dtype=self.dtype,
            intercept=self.intercept,
            scoring=self.scoring,
            folds=_load_folds(self),
            device=find_device(self.device),
            exact=self.plan.shape.exact,
            gcv=self.plan.shape.gcv,
            triangles=self.plan.triangles,
            phases=self.phases,
            joint=self.plan.joint,
        )

    def targets(self, columns: slice) -> TargetColumns:
        """Return columns of Y as the solvers read them."""
        Y = self.Y.columns(columns.start, columns.stop)
        return TargetColumns(
            Y,
            self.plan.width,
            self.dtype,
            find_device(self.device),
            centre=self.intercept,
            view_file=fits_in_memory(Y),
            phases=self.phases,
        )


def save_folds(folder: str, folds: list[Fold]) -> None:
    """Write the rows of all folds, if there are any, where every node finds them."""
    for number, rows in enumerate(folds):
        for name, index in zip(("train", "test"), rows, strict=True):
            _save(folder, f"{name}-{number}", index)


def budget(device: str) -> DeviceBudget | None:
    """Return the memory of this node's GPU; None for the processor."""
    return device_budget(find_device(device))


def smallest_budget(cluster: Cluster, device: str) -> int | None:
    """Return what each node may use of its GPU, which nodes may share; None without GPUs."""
    if not device.startswith("cuda"):
        return None
    return smallest_share(cluster.run(budget, device))


def factorise(job: Job) -> Solver:
    """Return a solver with X factorised; raise `InputError` where X is not finite."""
    X = job.X.open()
    solver = job.solver(X)
    forget_pages(X)
    solver.factorise()
    return solver


def broadcast(job: Job, solver: Solver) -> None:
    """Write what other nodes need of the factorisation to score.

    Vectors are in the products' precision, but for folds from one factorisation.
    """
    factors, dtype = solver.factors, job.dtype
    if job.plan.form == "dual":
        factors = replace(factors, basis=None, x_mean=None)
        if job.plan.joint:  # systems are solved with them
            dtype = np.dtype(np.float64)
    with job.phases("transfers"):
        _save_all(job, factor_arrays(factors, dtype))


def partial_sums(job: Job, number: int, columns: slice, solver: Solver | None) -> Sums:
    """Return what pass ``number`` adds up over these targets; see `Solver.partial_sums`.

    Without a solver, sums are taken with the factors that another node has written.
    """
    phases = job.phases
    if solver is None:
        with phases("transfers"):
            solver = _restored(job) if job.plan.sums_need_x else job.solver(None)
    with full_float32_products(solver.device):
        with phases("scores"):
            sums = solver.partial_sums(number, job.targets(columns))
        with phases("transfers"):
            return sums.on_host()


def add(left: Any, right: Any) -> Any:
    """Return left + right, in place: a part is used once."""
    with task_phases()("scores"):
        return operator.iadd(left, right)


def score(job: Job, number: int, solver: Solver | None, total: Sums) -> Scores:
    """Return the scores of every penalty from the sums of all nodes; see `Solver.scores`."""
    solver = solver or job.solver(None)
    phases = job.phases
    if isinstance(total, TargetSums):
        with phases("transfers"):
            total = total.on(solver.device)
    with full_float32_products(solver.device), phases("scores"):
        scores = solver.scores(number, total)
    return scores if job.plan.shape.per_target else replace(scores, each=None)


def error(job: Job, solver: Solver, alphas: Penalties) -> float:
    """Return the largest relative error of 1/(w + λ) with these penalties; see `Solver.error`."""
    return solver.error(alphas)


def solve(job: Job, solver: Solver, alphas: Penalties, others: bool) -> Solution | None:
    """Return the solution; write it instead where ``others`` need it.

    alphas : the penalty, or that of every target of this node.
    """
    phases = job.phases
    with phases("solution"):
        solution = solver.solve(alphas)
        if not others:
            return solution
        assert isinstance(solution, RestorableSolution)
        arrays = solution.arrays()
    with phases("transfers"):
        _save_all(job, arrays)
    return None


def write_coefficients(
    job: Job, columns: slice, rows: RowFile, alphas: Penalties, solution: Solution | None
) -> NDArray[np.float64]:
    """Write the coefficients of these targets into ``rows`` and return their intercepts.

    alphas : the penalty, or that of every one of these targets. Without a solution, the one that
    another node has written is mapped.
    """
    phases = job.phases
    if solution is None:
        with phases("transfers"):
            solution = _restored_solution(job, alphas)
    intercepts = np.zeros(columns.stop - columns.start)
    with full_float32_products(solution.device):
        for block in job.targets(columns).blocks("solving"):
            with phases("solution"):
                coef = to_numpy(solution.coefficients(block))
            with phases("transfers"):
                rows.write(columns.start + block.columns.start, coef)
            if solution.x_mean is not None:
                with phases("solution"):
                    known = coef @ solution.x_mean.astype(coef.dtype)
                    intercepts[block.columns] = block.means() - known
    return intercepts


def _restored(job: Job) -> Solver:
    solver = job.solver(None)
    eigen = _eigen(job, "")
    if job.plan.form == "dual":  # for scores only
        solver.factors = Factors(eigen, None, None)
    else:
        solver.factors = Factors(eigen, solver.device.put(_load(job, "basis")), _mean(job))
    return solver


def _eigen(job: Job, suffix: str) -> Eigh:
    put = find_device(job.device).put
    rounding, known = _load(job, f"accuracy{suffix}")
    return Eigh(
        put(np.array(_load(job, f"values{suffix}"))),
        put(_load(job, f"vectors{suffix}")),
        constant=job.intercept and job.plan.form == "dual",
        rounding=float(rounding),
        known=bool(known),
    )


def _restored_solution(job: Job, alphas: Penalties) -> Solution:
    if job.plan.form == "primal":
        return _restored(job).solve(alphas)
    device = find_device(job.device)
    common: dict[str, Any] = {"x_mean": _mean(job), "dtype": job.dtype, "device": device}
    if isinstance(alphas, float):
        return DualSolution(
            None, None, alphas, solution=device.put(_load(job, "solution")), **common
        )
    basis = device.put(_load(job, f"basis{TO_SOLVE}"))
    return DualSolution(None, _eigen(job, TO_SOLVE), alphas, basis=basis, **common)


def _mean(job: Job) -> NDArray[np.float64] | None:
    return np.array(_load(job, "mean")) if job.intercept else None


def _load_folds(job: Job) -> list[Fold]:
    numbers = range(len(job.plan.shape.folds))
    return [
        (np.array(_load(job, f"train-{number}")), np.array(_load(job, f"test-{number}")))
        for number in numbers
    ]


def _save_all(job: Job, arrays: dict[str, NDArray[Any]]) -> None:
    """Write arrays that are not there yet: factors that were broadcast serve to solve, too."""
    for name, array in arrays.items():
        if not own_path(Path(job.folder, f"{name}.npy")).exists():
            _save(job.folder, name, array)


def _save(folder: str, name: str, array: NDArray[Any]) -> None:
    with own_path(Path(folder, f"{name}.npy")).open("wb") as file:
        np.save(file, array)
        file.flush()
        os.fsync(file.fileno())  # other machines of a network file system are about to read it


def _load(job: Job, name: str) -> NDArray[Any]:
    array: NDArray[Any] = np.load(own_path(Path(job.folder, f"{name}.npy")), mmap_mode="r")
    return array
