"""Choice of the penalty in one process, by a more exact method where the first was not enough."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from bench_core.errors import ResourceError
from bench_core.phases import NO_PHASES, Phases
from bench_core.progress import Progress, silent
from bench_core.ridge.arrays.backend import Device
from bench_core.ridge.penalty_grid import PenaltyGrid
from bench_core.ridge.planning.plan import Plan
from bench_core.ridge.solvers import SOLVERS
from bench_core.ridge.solvers.base import Fold, Solver
from bench_core.ridge.solvers.choice import Choice, choose
from bench_core.ridge.solvers.penalty_scores import Scores
from bench_core.ridge.solvers.targets import TargetColumns
from bench_core.ridge.solvers.tridiagonal import EigenvectorsNeededError, TridiagonalSolver
from bench_core.ridge.solvers.trust import Method, Remedy, remedy, require_scores, too_inexact


@dataclass(frozen=True)
class Task:
    """What is fitted and how penalties are scored; see `bench_core.ridge.MultiTargetRidgeCV`.

    X : (t, p). Y : (t, s). folds : none for a criterion without folds, ``gcv`` or leave-one-out.
    view_file : map a file of targets into the process instead of reading it.
    """

    X: NDArray[Any]
    Y: NDArray[Any]
    folds: list[Fold]
    grid: PenaltyGrid
    scoring: str
    intercept: bool
    device: Device
    gcv: bool = False
    per_target: bool = False
    view_file: bool = False
    progress: Progress = silent
    phases: Phases = NO_PHASES


@dataclass(frozen=True)
class Found:
    """A choice, the plan that was carried out, and what solves with it."""

    choice: Choice
    plan: Plan
    solver: Solver
    targets: TargetColumns


def search(task: Task, make_plan: Callable[[Method], Plan], method: Method) -> Found:
    """Return the choice of the penalty by ``method``, or by a more exact one where it has to be.

    make_plan : returns the plan of a method; raises `ResourceError` where none fits. What is less
    exact than it should be is then kept, with a warning.

    Raises
    ------
    InputError : a value that is not finite, or no penalty has a score.
    ResourceError : no plan fits the first method.
    """
    while True:
        plan = make_plan(method)
        try:
            solver, targets, scores = _scored(task, plan, method)
        except EigenvectorsNeededError:
            method = replace(method, tridiagonal=False)
            continue
        with task.phases("scores"):
            choice = choose(scores, task.grid, per_target=task.per_target)
            wanted = remedy(choice.scores, method, plan.selection, choice.chosen, joint=plan.joint)
        if wanted is None:
            _require(task, choice)
            if not too_inexact(solver.error(choice.alpha), method):
                return Found(choice, plan, solver, targets)
            wanted = "exact"
        better = method.improved(wanted)
        try:
            make_plan(better)
        except ResourceError as refusal:
            _require(task, choice)
            _warn(wanted, solver.error(choice.alpha), refusal)
            return Found(choice, plan, solver, targets)
        del solver  # its memory is the next one's
        method = better


def _scored(task: Task, plan: Plan, method: Method) -> tuple[Solver, TargetColumns, Scores]:
    """Return a solver with X factorised, the targets that it reads, and its scores."""
    make = TridiagonalSolver if plan.tridiagonal else SOLVERS[plan.form]
    solver = make(
        task.X,
        task.grid.alphas,
        selection=plan.selection,
        dtype=method.dtype,
        intercept=task.intercept,
        scoring=task.scoring,
        folds=task.folds,
        device=task.device,
        exact=method.exact,
        gcv=task.gcv,
        triangles=plan.triangles,
        joint=plan.joint,
        keep_coordinates=plan.keeps_coordinates,
        phases=task.phases,
    )
    targets = TargetColumns(
        task.Y,
        plan.width,
        method.dtype,
        task.device,
        centre=task.intercept,
        view_file=task.view_file,
        progress=task.progress,
        phases=task.phases,
    )
    solver.factorise()
    with task.phases("scores"):
        return solver, targets, solver.select(targets)


def _require(task: Task, choice: Choice) -> None:
    require_scores(choice.scores, choice.alphas, task.scoring, folds=bool(task.folds))


def _warn(wanted: Remedy, error: float, refusal: ResourceError) -> None:
    """Warn that a more exact method was due, and that the memory limit rules it out."""
    what = {
        "exact": "penalties this small against the squared singular values of X",
        "float64": "a fit in float32 that explains the targets this completely",
        "each": "sums over targets, for a fit that explains them this completely,",
        "separate": "folds from one factorisation of all samples, for penalties this small,",
    }[wanted]
    warnings.warn(
        f"{what} lose digits: solutions are right to about {error:.0e}, "
        f"scores may be less so. The more exact method does not fit: {refusal}",
        RuntimeWarning,
        stacklevel=6,
    )
