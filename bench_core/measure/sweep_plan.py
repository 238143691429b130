"""What a run of the suites will measure on this machine, and what not: from shapes alone.

Nothing is built, made or fitted. The suites are those of a checkout; they are asked for their
parameter sets and cases as asv asks them. Times come from calibrations
(`bench_core.measure.sweep_times`).
"""

from __future__ import annotations

import importlib
import itertools
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench_core import strategies
from bench_core.cluster.settings import chosen_cluster
from bench_core.errors import RidgebenchError, counted, readable_bytes
from bench_core.records.skips import SkippedSets
from bench_core.runner.planning import planned_strategy
from bench_core.runner.preflight import preflight
from bench_core.runner.problem_cache import problem_shape
from bench_core.runner.spec import FitSpec, ProblemShape
from bench_core.scaling.operations import FitCost

PROFILE = "RIDGEBENCH_PROFILE"

Select = Callable[[type[Any], tuple[Any, ...]], bool]
"""Return whether a suite is asked for with these parameters."""


@dataclass(frozen=True)
class PlannedTime:
    """Predicted time of a case in one environment.

    Parameters
    ----------
    environment : its name.
    fit_s, low_s, high_s : of one fit, with the calibration's 95 % interval.
    case_s : of all fits of the case, warm-up included, and of starting their nodes. Times are taken
        not to vary: a machine that is not steady repeats more.

    Examples
    --------
    >>> PlannedTime("mkl", 2.0, 1.8, 2.2, 12.0).case_s
    12.0
    """

    environment: str
    fit_s: float
    low_s: float
    high_s: float
    case_s: float


@dataclass(frozen=True)
class PlannedCase:
    """One case of a suite.

    Parameters
    ----------
    text : problem, strategy, nodes × threads; or a suite's parameters where it does not fit.
    key : of its specification, which suites may share; None where it does not fit.
    data_bytes : of X and Y. needed_bytes : memory of the fit; None where they are not known.
    reason : why it will be skipped; None if it runs.
    shared : whether a case above has the same specification, which is measured once.
    read_bytes : of X and Y that all nodes together read in one fit: X on each of them.
    moved_bytes : that processes send each other in one fit, where nodes see the scratch folder;
        None where it is not known.
    sent_bytes : that a fit sends where they do not: X, Y and coefficients. None on this machine,
        and where one process fits.
    runs : processes that time it. times : by environment, where a calibration is there.

    Examples
    --------
    >>> PlannedCase("kernels", "gemm 1 1024", None, None, None, None).reason is None
    True
    """

    suite: str
    text: str
    key: str | None
    data_bytes: int | None
    needed_bytes: int | None
    reason: str | None
    shared: bool = False
    read_bytes: int | None = None
    moved_bytes: int | None = None
    sent_bytes: int | None = None
    runs: int = 1
    times: tuple[PlannedTime, ...] = ()


@dataclass(frozen=True)
class PlannedEnvironment:
    """An environment that the cases are measured in.

    Parameters
    ----------
    blas : that it declares; None where it declares none.
    calibration : file that its times are predicted from, and ``calibrated``, what that is of; None
        where there is none.
    why_not : why no times are predicted; None where they are.
    seconds : of all cases with a prediction; None without any.

    Examples
    --------
    >>> PlannedEnvironment("RIDGEBENCH_BLAS=mkl", "mkl").seconds is None
    True
    """

    name: str
    blas: str | None
    calibration: str | None = None
    calibrated: str | None = None
    why_not: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class SweepPlan:
    """Cases in the order of the suites, and what is left out of their grids.

    Parameters
    ----------
    profile : whose part of the grids runs. cluster : name of the cluster, "local" for this machine.
    selection : patterns of ``--bench``; empty for everything.
    left_out : parameter sets that do not run, counted by suite and reason.
    not_selected : parameter sets that would run and that no pattern selects.
    runs : cases that will be measured in each environment; shared ones count once.
    problem_bytes : of X and Y of the problems of these, each once.
    read_bytes, moved_bytes : of one fit of each of these, added up as far as they are known.

    Examples
    --------
    >>> SweepPlan("small", "local", (), (), (), 0, 0, 0, 0, 0).runs
    0
    """

    profile: str
    cluster: str
    selection: tuple[str, ...]
    cases: tuple[PlannedCase, ...]
    left_out: tuple[SkippedSets, ...]
    not_selected: int
    runs: int
    problem_bytes: int
    read_bytes: int
    moved_bytes: int
    environments: tuple[PlannedEnvironment, ...] = ()

    @property
    def measured(self) -> list[PlannedCase]:
        """The cases that will be measured, shared ones once."""
        return [case for case in self.cases if case.reason is None and not case.shared]


@dataclass(frozen=True)
class CaseCost:
    """A planned case with what predictions are made from; ``cost`` is None where it is not known.

    Examples
    --------
    >>> CaseCost(PlannedCase("kernels", "gemm", None, None, None, None), None, None).cost
    """

    case: PlannedCase
    spec: FitSpec | None
    cost: FitCost | None


def plan_sweep(
    benchmarks: Path, profile: str, *, selection: tuple[str, ...] = (), select: Select | None = None
) -> tuple[SweepPlan, list[CaseCost]]:
    """Return what the suites in the folder ``benchmarks`` will do in a profile, and its costs.

    selection, select : see `plan_suites`.
    """
    os.environ[PROFILE] = profile
    if str(benchmarks.parent) not in sys.path:
        sys.path.insert(0, str(benchmarks.parent))
    common = importlib.import_module(f"{benchmarks.name}.common")
    runs = int(common.profile().get("runs", 1))
    return plan_suites(
        common.suites(), profile=profile, runs=runs, selection=selection, select=select
    )


def plan_suites(
    suites: Iterable[Any],
    *,
    profile: str = "",
    runs: int = 1,
    selection: tuple[str, ...] = (),
    select: Select | None = None,
) -> tuple[SweepPlan, list[CaseCost]]:
    """Return what the suites will do, and what it costs.

    Parameters
    ----------
    suites : see `benchmarks.common.Suite` for what is asked of them.
    runs : of a case that is measured in turns.
    selection : patterns that were given, for the plan to name. select : whether they select a
        parameter set; None for all.
    """
    left_out: Counter[tuple[str, str]] = Counter()
    found: list[CaseCost] = []
    seen: set[str] = set()
    not_selected, problems = 0, {}
    for suite in suites:
        for parameters in itertools.product(*suite.params):
            reason = suite.reason_to_skip(*parameters)
            chosen = select is None or select(suite, parameters)
            if reason is not None:
                left_out[suite.suite, reason] += chosen
                continue
            if not chosen:
                not_selected += 1
                continue
            one = _case(suite, parameters, runs if getattr(suite, "in_turn", True) else 1)
            if one.case.key is not None and one.case.key in seen:
                one = replace(one, case=replace(one.case, shared=True))
            seen.add(one.case.key or "")
            found.append(one)
            if one.spec is not None and one.case.reason is None:
                problems[_problem(one.spec)] = one.case.data_bytes or 0
    cases = tuple(one.case for one in found)
    measured = [case for case in cases if case.reason is None and not case.shared]
    plan = SweepPlan(
        profile,
        chosen_cluster().label,
        selection,
        cases,
        tuple(SkippedSets(*which, count) for which, count in sorted(left_out.items()) if count),
        not_selected,
        len(measured),
        sum(problems.values()),
        sum(case.read_bytes or 0 for case in measured),
        sum(case.moved_bytes or 0 for case in measured),
    )
    return plan, found


def _problem(spec: FitSpec) -> tuple[Any, ...]:
    return spec.problem, spec.scale, spec.subject, spec.dtype, spec.seed


def _case(suite: Any, parameters: tuple[Any, ...], runs: int) -> CaseCost:
    if not hasattr(suite, "case"):
        named = zip(suite.param_names, parameters, strict=True)
        text = ", ".join(f"{name} {value}" for name, value in named)
        return CaseCost(PlannedCase(suite.suite, text, None, None, None, None), None, None)
    spec: FitSpec = suite().case(*parameters)
    planned = PlannedCase(suite.suite, _text(spec), spec.key(), None, None, None, runs=runs)
    try:
        shape = problem_shape(spec)
        samples = shape.training_samples(spec.split)
        checked = preflight(spec, shape, samples, check_fits=True, cluster=chosen_cluster())
    except RidgebenchError as error:
        return CaseCost(replace(planned, reason=str(error)), spec, None)
    cost = None if checked.error is not None else fit_cost(spec, shape, samples)
    elsewhere = cost is not None and chosen_cluster().elsewhere
    planned = replace(
        planned,
        data_bytes=shape.nbytes,
        needed_bytes=None if checked.memory is None else checked.memory.needed_bytes,
        reason=None if checked.error is None else str(checked.error),
        read_bytes=_read_bytes(spec, shape, samples),
        moved_bytes=None if cost is None else int(cost.amount("network")),
        sent_bytes=_sent_bytes(spec, shape, samples) if elsewhere else None,
    )
    return CaseCost(planned, spec, cost)


def fit_cost(spec: FitSpec, shape: ProblemShape, samples: int) -> FitCost | None:
    """Return what a fit of so many samples takes; None where the strategy does not say."""
    try:
        return _planned(spec, samples).cost(samples, shape.p, shape.s, spec.dtype, spec.nodes)
    except (RidgebenchError, TypeError):
        return None  # the fit is refused, which the plan says, or has options without a cost


def _sent_bytes(spec: FitSpec, shape: ProblemShape, samples: int) -> int | None:
    model = _planned(spec, samples)
    return model.sent_bytes(samples, shape.p, shape.s, spec.dtype, spec.nodes)


def _planned(spec: FitSpec, samples: int) -> strategies.Strategy:
    """Return the strategy with the options of the case, to plan so many samples with."""
    options = {**spec.options, "fit_intercept": spec.fit_intercept}
    return planned_strategy(spec.strategy, samples, spec.penalties, options)


def _read_bytes(spec: FitSpec, shape: ProblemShape, samples: int) -> int:
    """Return the bytes of training samples that nodes read: X on each, Y once."""
    nodes = min(spec.nodes, shape.s)
    return samples * (nodes * shape.p + shape.s) * (4 if spec.dtype == "float32" else 8)


def _text(spec: FitSpec) -> str:
    from bench_core.records.runs import scale_text

    options = [f"{name}={value}" for name, value in sorted(spec.options.items())]
    words = [spec.problem, scale_text(spec.scale), spec.subject, spec.dtype, spec.strategy]
    return " ".join([*words, *options, f"{spec.nodes} × {spec.threads}"])


def case_fate(case: PlannedCase) -> str:
    """Return what becomes of a case, in words."""
    if case.shared:
        return "measured above"
    return "runs" if case.reason is None else f"skipped: {case.reason}"


def size_text(count: int | None) -> str:
    """Return bytes as text; empty where they are not known."""
    return "" if count is None else readable_bytes(count)


def plan_rows(plan: SweepPlan) -> Iterator[tuple[str, ...]]:
    """Yield suite, case, bytes of data, of memory, read, moved and sent, and what becomes of it.

    Bytes sent are left out where the nodes are processes of this machine.
    """
    for case in plan.cases:
        sizes = [case.data_bytes, case.needed_bytes, case.read_bytes, case.moved_bytes]
        if plan.cluster != "local":
            sizes.append(case.sent_bytes)
        yield case.suite, case.text, *map(size_text, sizes), case_fate(case)


def left_out_lines(plan: SweepPlan) -> Iterator[str]:
    """Yield a line for every suite and reason that leaves parameter sets out."""
    for one in plan.left_out:
        yield f"{one.suite}: {counted(one.count, 'parameter set')} left out: {one.reason}"
    if plan.not_selected:
        patterns = " ".join(f"--bench {pattern}" for pattern in plan.selection)
        sets = counted(plan.not_selected, "parameter set")
        yield f"{sets} that would run are not selected by {patterns}"
