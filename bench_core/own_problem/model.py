"""Predictions of a sweep's cases, from the calibration of every environment.

A calibration of this machine is taken where there is one (``.asv/calibration``). Else a quick one
is made, which is rough and says so by its interval. Without either, the order of cases follows the
shipped table of another machine, and no case is left out for its prediction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench_core import strategies
from bench_core.errors import RidgebenchError
from bench_core.own_problem.cases import SweepCase
from bench_core.own_problem.environments import BlasEnvironment
from bench_core.processes import run_step
from bench_core.scaling.calibration import SHIPPED, Calibration, read_calibration
from bench_core.scaling.prediction import Prediction, predict

QUICK_S = 30.0
"""Seconds that a quick calibration takes, about."""

PART = 0.2
"""Part of the sweep's time that quick calibrations may take."""

LONGEST_S = 300.0
"""Seconds that a quick calibration may take."""


@dataclass(frozen=True)
class Model:
    """What predicts the cases of one environment.

    Parameters
    ----------
    trusted : False for a table of another machine: it orders cases, and leaves none out.
    note : where the calibration comes from, in words.

    Examples
    --------
    >>> from bench_core.runner.spec import FitSpec
    >>> model = Model(read_calibration("xeon-6130-mkl"), False, "another machine's")
    >>> model.prediction(SweepCase(FitSpec("parcels", "bmor"), None)) is None
    True
    """

    calibration: Calibration
    trusted: bool
    note: str

    def prediction(self, case: SweepCase) -> Prediction | None:
        """Return the predicted time of a case; None where its work is unknown."""
        if case.cost is None:
            return None
        spec = case.spec
        return predict(
            case.cost,
            self.calibration,
            spec.threads,
            nodes_per_machine=spec.nodes,
            distributed=strategies.get(spec.strategy).distributed,
        )


def find_model(
    environment: BlasEnvironment,
    *,
    known: Path,
    quick: Path,
    cores: int,
    limit_s: float,
    make: Callable[[BlasEnvironment, Path], None] | None = None,
) -> Model:
    """Return the model of an environment.

    Parameters
    ----------
    known : folder of calibrations that `ridgebench calibrate` wrote. quick : one for quick ones.
    cores : of this machine; calibrations of others do not count.
    limit_s : seconds that a quick one may take; 0 for none.
    make : makes one; None for `calibrate_quickly`.
    """
    make = make or partial(calibrate_quickly, limit_s=limit_s)
    label = environment.label
    for path in sorted(known.glob("*.json")):
        found = _readable(path)
        if found is not None and _fits(found, environment.blas, cores):
            return Model(found, True, f"{label}: predicted by {path}, spread {found.spread:.0%}")
    path = quick / f"{environment.name}.json"
    hint = f"`ridgebench calibrate --blas {label}` in that environment makes a better one"
    found = _readable(path)
    reason = "no time was left for a quick one"
    if (found is None or found.machine.cores != cores) and limit_s > 0:
        try:
            make(environment, path)
            found = _readable(path)
        except RidgebenchError as error:
            reason = str(error)
    if found is not None and found.machine.cores == cores:
        note = f"{label}: no calibration was there, a quick one was made (spread {found.spread:.0%}"
        return Model(found, True, f"{note}): {hint}")
    table = next((name for name, blas in SHIPPED.items() if blas == environment.blas), None)
    other = read_calibration(table or next(iter(SHIPPED)))
    note = f"{label}: no calibration of this machine ({reason}): no case is left out as too slow, "
    return Model(other, False, f"{note}and cases are ordered by the table of another machine")


def time_for_quick(environments: int, within_s: float | None) -> float:
    """Return the seconds that each quick calibration may take; 0 where that is too little.

    >>> time_for_quick(2, 60.0), time_for_quick(2, 600.0), time_for_quick(2, None)
    (0.0, 60.0, 300.0)
    """
    if within_s is None:
        return LONGEST_S
    each = PART * within_s / environments
    return min(LONGEST_S, each) if each >= QUICK_S else 0.0


def calibrate_quickly(environment: BlasEnvironment, path: Path, limit_s: float = LONGEST_S) -> None:
    """Write a quick calibration of an environment to ``path``.

    Raises `RidgebenchError` with the last line of what failed.
    """
    command = [environment.python, "-m", "bench_core.cli", "calibrate", "--quick", "--json"]
    command += ["--out", str(path.absolute())]
    command += [] if environment.blas is None else ["--blas", environment.blas]
    path.parent.mkdir(parents=True, exist_ok=True)
    failed = run_step(command, limit_s, variables=environment.variables, folder=path.parent)
    if failed is not None:
        raise RidgebenchError(f"the quick calibration failed: {failed}")


def _readable(path: Path) -> Calibration | None:
    try:
        return read_calibration(path) if path.is_file() else None
    except RidgebenchError:
        return None


def _fits(found: Calibration, blas: str | None, cores: int) -> bool:
    return found.machine.cores == cores and blas in (None, found.blas.name)
