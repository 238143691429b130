"""Division of scikit-learn's time among phases, by the cost model: modelled, and marked so."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench_core import strategies
from bench_core.errors import RidgebenchError
from bench_core.phases import PHASES, Phase
from bench_core.records.case import CaseRecord
from bench_core.records.phases import ModelledPhases, PhaseSeconds, PhasesRecord
from bench_core.scaling.calibration import CALIBRATIONS, Calibration, read_calibration
from bench_core.scaling.node_plans import nominal_calibration
from bench_core.scaling.operations import OVERHEADS, FitCost, Operation
from bench_core.scaling.prediction import operation_seconds

_PHASES: dict[str, Phase] = {
    "reading": "reading",
    "centring": "centring",
    "Gram or covariance": "gram",
    "factorisation": "factorisation",
    "scores": "scores",
    "solution": "solution",
}
"""Phases of the cost model inside scikit-learn; what is not of them are transfers."""


def with_modelled(
    phases: PhasesRecord, case: CaseRecord, options: Mapping[str, Any], blas: str
) -> PhasesRecord:
    """Return the phases with scikit-learn's time divided, where its work is known.

    Parameters
    ----------
    case : with the sizes of the training part. options : that the strategy was made with.
    blas : whose calibration is taken, if this machine has one.
    """
    inside = phases.critical.sklearn
    problem = case.problem
    if inside <= 0 or not problem.t_train or not problem.p or not problem.s:
        return phases
    alphas: dict[str, Any] = {} if case.alphas is None else {"alphas": case.alphas}
    try:
        model = strategies.get(case.strategy)(**alphas, **options)
        cost = model.cost(problem.t_train, problem.p, problem.s, problem.dtype, case.nodes)
    except RidgebenchError:
        return phases  # folds that only the fit itself knows
    if cost is None:
        return phases
    calibration, name = own_calibration(blas)
    parts = phase_parts(cost, calibration, case.threads)
    added = {phase: inside * part for phase, part in parts.items()}
    path = phases.critical
    whole = {phase: path.seconds[phase] + added.get(phase, 0.0) for phase in PHASES}
    modelled = ModelledPhases(
        PhaseSeconds(path.process, **(whole | {"sklearn": 0.0})),
        PhaseSeconds(path.process, **added),
        name,
    )
    return replace(phases, modelled=modelled)


def phase_parts(cost: FitCost, calibration: Calibration, threads: int) -> dict[Phase, float]:
    """Return the part of scikit-learn's time that every phase takes; their sum is 1.

    Calls that do not depend on sizes are "other". Of nodes the slowest counts.
    """
    seconds: dict[Phase, float] = defaultdict(float)
    for stage in cost.stages:
        loads = [
            [
                (_phase(one), operation_seconds(one, calibration, threads, cost.nodes))
                for one in load.operations
                if one.phase in _PHASES
            ]
            for load in stage.loads
        ]
        slowest = max(loads, key=lambda load: sum(spent for _, spent in load), default=[])
        for phase, spent in slowest:
            seconds[phase] += spent
    total = sum(seconds.values())
    return {phase: spent / total for phase, spent in seconds.items()} if total > 0 else {}


def own_calibration(blas: str) -> tuple[Calibration, str]:
    """Return this machine's calibration of a BLAS, or the nominal node's, and its name."""
    project = os.environ.get("ASV_CONF_DIR")
    for root in (*([Path(project)] if project else []), Path.cwd()):
        path = root / CALIBRATIONS / f"{blas}.json"
        if path.is_file():
            found = read_calibration(path)
            return found, f"{blas}, {found.source} {found.started or ''}".rstrip()
    return nominal_calibration(), "a nominal node"


def _phase(operation: Operation) -> Phase:
    return "other" if operation.kind in OVERHEADS else _PHASES[operation.phase]
