"""Predicted times of a sweep's cases, from the calibrations that lie in a project."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench_core import strategies
from bench_core.cluster.settings import ClusterSettings
from bench_core.errors import RidgebenchError
from bench_core.measure.sweep_plan import CaseCost, PlannedEnvironment, PlannedTime, SweepPlan
from bench_core.runner.repeats import Repeats
from bench_core.runner.spec import FitSpec
from bench_core.runner.timing import ENOUGH_S
from bench_core.scaling.calibration import Calibration, read_calibration
from bench_core.scaling.operations import FitCost
from bench_core.scaling.prediction import Prediction, predict

BLAS = "RIDGEBENCH_BLAS"


def read_calibrations(folder: Path) -> tuple[dict[Path, Calibration], list[str]]:
    """Return the calibrations in a folder by their files, and why others could not be read."""
    found, problems = {}, []
    for path in sorted(folder.glob("*.json")):
        try:
            found[path] = read_calibration(path)
        except RidgebenchError as error:
            problems.append(str(error))
    return found, problems


def describe_calibration(calibration: Calibration) -> str:
    """Return what a calibration is of: BLAS, machine, day.

    >>> describe_calibration(read_calibration("xeon-6130-mkl")).partition(",")[0]
    'mkl SkylakeX'
    """
    machine = calibration.machine
    where = machine.name or machine.cpu or "a machine without a name"
    day = "" if calibration.started is None else f", {calibration.started.partition('T')[0]}"
    return f"{calibration.blas.text}, {where}{day}"


def choose_calibration(
    blas: str | None,
    calibrations: Mapping[Path, Calibration],
    machine: str,
    *,
    elsewhere: bool = False,
) -> tuple[Path | None, str | None]:
    """Return the calibration of an environment, or None and the reason.

    Parameters
    ----------
    blas : that the environment declares; None for any, if all there are agree.
    machine : name of the machine whose results the sweep adds to.
    elsewhere : nodes are not of this machine: only a calibration of that name is of them.
    """
    named = blas or "a BLAS that the environment does not declare"
    own = {
        path: one
        for path, one in calibrations.items()
        if (blas is None or one.blas.name == blas)
        and (one.machine.name == machine or not elsewhere)
    }
    # One of the machine itself comes before one that has another name, or none.
    best = sorted(own, key=lambda path: (own[path].machine.name != machine, path))
    if not best:
        where = f" on machine {machine}" if elsewhere else ""
        return None, f"no calibration of {named}{where}: `ridgebench calibrate` makes one"
    if blas is None and len({one.blas.name for one in own.values()}) > 1:
        return None, f"calibrations of several libraries, and {named}"
    return best[0], None


def with_times(
    plan: SweepPlan,
    costs: Sequence[CaseCost],
    environments: Iterable[str],
    calibrations: Mapping[Path, Calibration],
    *,
    machine: str,
    cluster: ClusterSettings,
) -> SweepPlan:
    """Return the plan with its environments, and the times that calibrations predict in each.

    Parameters
    ----------
    costs : of the plan's cases, from `bench_core.measure.sweep_plan.plan_sweep`.
    environments : their names, words such as ``RIDGEBENCH_BLAS=mkl``.
    machine : see `choose_calibration`. cluster : where the nodes are.
    """
    times: list[list[PlannedTime]] = [[] for _ in costs]
    found = []
    for name in environments:
        blas = dict(word.partition("=")[::2] for word in name.split()).get(BLAS)
        path, why_not = choose_calibration(blas, calibrations, machine, elsewhere=cluster.elsewhere)
        one = PlannedEnvironment(name, blas, why_not=why_not)
        if path is not None:
            calibration = calibrations[path]
            total = 0.0
            for place, each in enumerate(costs):
                time = predict_case(each, name, calibration, cluster)
                if time is not None:
                    times[place].append(time)
                    total += 0.0 if each.case.shared else time.case_s
            one = replace(
                one,
                calibration=str(path),
                calibrated=describe_calibration(calibration),
                seconds=total,
            )
        found.append(one)
    cases = tuple(
        replace(each.case, times=tuple(own)) for each, own in zip(costs, times, strict=True)
    )
    return replace(plan, cases=cases, environments=tuple(found))


def predict_case(
    one: CaseCost, environment: str, calibration: Calibration, cluster: ClusterSettings
) -> PlannedTime | None:
    """Return the predicted time of a case; None where it does not run or its cost is not known."""
    if one.cost is None or one.spec is None or one.case.reason is not None:
        return None
    found = predict_fit(one.spec, one.cost, calibration, cluster)
    seconds = one.case.runs * (found.start_s + timed_seconds(one.spec, found.seconds))
    return PlannedTime(environment, found.seconds, found.low, found.high, seconds)


def predict_fit(
    spec: FitSpec, cost: FitCost, calibration: Calibration, cluster: ClusterSettings
) -> Prediction:
    """Return the prediction of one fit on the nodes of a cluster."""
    machines = max(1, len(cluster.capacity().hosts)) if cluster.elsewhere else 1
    return predict(
        cost,
        calibration,
        spec.threads,
        nodes_per_machine=-(-spec.nodes // min(spec.nodes, machines)),
        distributed=strategies.get(spec.strategy).distributed or cluster.elsewhere,
    )


def timed_seconds(spec: FitSpec, fit_s: float) -> float:
    """Return the time of the fits of one run, by the rule that ends them, if none varies.

    >>> from bench_core.records.case import Until
    >>> timed_seconds(FitSpec("parcels", "ridgecv", repeats=3), 2.0)
    6.0
    >>> timed_seconds(FitSpec("parcels", "ridgecv", repeats=3, until=Until(0.05, 20.0)), 2.0)
    8.0
    """
    fits = Repeats(spec.repeats, spec.until, ENOUGH_S)
    while fits.stopped is None:
        fits.add(fit_s)
    return sum(fits.times)
