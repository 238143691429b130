"""What a run of the suites will measure on this machine, and what not: from shapes alone.

Nothing is built, made or fitted. The suites are those of a checkout; they are asked for their
parameter sets and cases as asv asks them.
"""

from __future__ import annotations

import importlib
import itertools
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_core.cluster.settings import chosen_cluster
from bench_core.errors import RidgebenchError, counted
from bench_core.runner.preflight import preflight
from bench_core.runner.problem_cache import problem_shape
from bench_core.runner.spec import FitSpec

PROFILE = "RIDGEBENCH_PROFILE"


@dataclass(frozen=True)
class PlannedCase:
    """One case of a suite.

    Parameters
    ----------
    text : problem, strategy, nodes × threads; or a suite's parameters where it does not fit.
    key : of its specification, which suites may share; None where it does not fit.
    data_bytes : of X and Y. needed_bytes : memory of the fit; None where they are not known.
    reason : why it will be skipped; None if it runs.

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


@dataclass(frozen=True)
class SweepPlan:
    """Cases in the order of the suites, and parameter sets left out, counted by suite and reason.

    Examples
    --------
    >>> SweepPlan([], Counter({("threads", "more than 2 cores"): 3})).runs
    0
    """

    cases: list[PlannedCase]
    left_out: Counter[tuple[str, str]]

    @property
    def runs(self) -> int:
        """Number of cases that will be measured in each environment; shared ones count once."""
        run = [case for case in self.cases if case.reason is None]
        return len({case.key or (case.suite, case.text) for case in run})


def plan_sweep(benchmarks: Path, profile: str) -> SweepPlan:
    """Return what the suites in the folder ``benchmarks`` will do in a profile."""
    os.environ[PROFILE] = profile
    if str(benchmarks.parent) not in sys.path:
        sys.path.insert(0, str(benchmarks.parent))
    common = importlib.import_module(f"{benchmarks.name}.common")
    return plan_suites(common.suites())


def plan_suites(suites: Iterable[Any]) -> SweepPlan:
    """Return what the suites will do; see `benchmarks.common.Suite` for what is asked of them."""
    plan = SweepPlan([], Counter())
    for suite in suites:
        for parameters in itertools.product(*suite.params):
            reason = suite.reason_to_skip(*parameters)
            if reason is not None:
                plan.left_out[suite.suite, reason] += 1
                continue
            plan.cases.append(_case(suite, parameters))
    return plan


def _case(suite: Any, parameters: tuple[Any, ...]) -> PlannedCase:
    if not hasattr(suite, "case"):
        named = zip(suite.param_names, parameters, strict=True)
        text = ", ".join(f"{name} {value}" for name, value in named)
        return PlannedCase(suite.suite, text, None, None, None, None)
    spec: FitSpec = suite().case(*parameters)
    cluster = chosen_cluster()
    try:
        shape = problem_shape(spec)
        samples = shape.training_samples(spec.split)
        checked = preflight(spec, shape, samples, check_fits=True, cluster=cluster)
    except RidgebenchError as error:
        return PlannedCase(suite.suite, _text(spec), spec.key(), None, None, str(error))
    needed = None if checked.memory is None else checked.memory.needed_bytes
    reason = None if checked.error is None else str(checked.error)
    return PlannedCase(suite.suite, _text(spec), spec.key(), shape.nbytes, needed, reason)


def _text(spec: FitSpec) -> str:
    from bench_core.records.runs import scale_text

    options = [f"{name}={value}" for name, value in sorted(spec.options.items())]
    words = [spec.problem, scale_text(spec.scale), spec.subject, spec.dtype, spec.strategy]
    return " ".join([*words, *options, f"{spec.nodes} × {spec.threads}"])


def plan_rows(plan: SweepPlan) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield suite, case, bytes of data, bytes of memory and what becomes of it, as text."""
    from bench_core.errors import readable_bytes

    def size(count: int | None) -> str:
        return "" if count is None else readable_bytes(count)

    seen: set[str] = set()
    for case in plan.cases:
        fate = "runs" if case.reason is None else f"skipped: {case.reason}"
        if case.key is not None and case.key in seen:
            fate = "measured above"
        seen.add(case.key or "")
        yield case.suite, case.text, size(case.data_bytes), size(case.needed_bytes), fate


def left_out_lines(plan: SweepPlan) -> Iterator[str]:
    """Yield a line for every suite and reason that leaves parameter sets out."""
    for (suite, reason), count in sorted(plan.left_out.items()):
        yield f"{suite}: {counted(count, 'parameter set')} left out: {reason}"
