"""Cases of a sweep: every combination that this machine can run, in the order to measure them.

The way that the model expects to be the fastest with RidgeCV's answer comes first, so that the
answer is there early; then the references of every saving, then the rest, fastest first.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bench_core import strategies
from bench_core.advice.advise import powers_of_two
from bench_core.errors import InputError, counted
from bench_core.measure.run import with_problem_spaces
from bench_core.measure.sweep_plan import fit_cost
from bench_core.own_problem.problem import OwnProblem
from bench_core.own_problem.request import REPEATS, UNTIL, SweepRequest
from bench_core.records.session import NotMeasured
from bench_core.report.own_results import SUITE
from bench_core.runner.planning import by_run
from bench_core.runner.spec import FitSpec
from bench_core.runner.split_choice import with_split
from bench_core.scaling.operations import FitCost

REFERENCE = "ridgecv"
"""Strategy against which savings are counted: on one node and one thread, and on all cores."""


@dataclass(frozen=True)
class SweepCase:
    """One case, in whatever environment.

    Parameters
    ----------
    spec : without a BLAS. cost : its work; None where the strategy says nothing of it.
    reference : True for the fits that savings are counted against, which are never left out as
        too slow.

    Examples
    --------
    >>> SweepCase(FitSpec("parcels", "bmor", nodes=2), None).text
    'bmor 2×1'
    """

    spec: FitSpec
    cost: FitCost | None
    reference: bool = False

    @property
    def text(self) -> str:
        """The case in words; double precision is not mentioned."""
        spec = self.spec
        precision = "" if spec.dtype == "float64" else f" {spec.dtype}"
        return f"{spec.strategy} {spec.nodes}×{spec.threads}{precision}"

    @property
    def ridgecv_answer(self) -> bool:
        """True where the strategy promises RidgeCV's answer."""
        return strategies.get(self.spec.strategy).claims_ridgecv


def make_cases(
    problem: OwnProblem, request: SweepRequest, cores: int
) -> tuple[list[SweepCase], list[NotMeasured]]:
    """Return the cases of a request, and those that cannot run with the reason.

    Parameters
    ----------
    cores : that nodes × threads may use.

    Raises
    ------
    InputError : nothing of what was asked for can run; the message has the reasons.
    """
    names = request.strategies or strategies.with_cost()
    thread_counts = request.threads or powers_of_two(cores)
    node_counts = request.nodes or powers_of_two(cores)
    dtypes = request.dtypes or (problem.dtype,)
    first = _spec(problem, request, REFERENCE, dtypes[0], 1, 1)
    found: dict[str, SweepCase] = {}
    refused: dict[tuple[str, str], NotMeasured] = {}
    grid = itertools.product(names, dtypes, node_counts, thread_counts)
    for strategy, dtype, nodes, threads in grid:
        kind = strategies.get(strategy)
        if nodes > 1 and not kind.distributed:
            continue  # one process, whatever the nodes
        spec = replace(first, strategy=strategy, dtype=dtype, nodes=nodes, threads=threads)
        reason, subject = _refusal(spec, problem, request, cores)
        if reason is not None:
            refused.setdefault((subject, reason), NotMeasured(subject, None, reason))
            continue
        spec = with_problem_spaces(request.penalty.applied(spec))
        found.setdefault(spec.key(), SweepCase(spec, _cost(spec, problem)))
    if not found:
        reasons = "; ".join(f"{one.case}: {one.reason}" for one in refused.values())
        raise InputError(f"nothing of what was asked for can run here: {reasons}")
    precision = "float64" if "float64" in dtypes else dtypes[0]
    for threads in dict.fromkeys((1, cores)):
        spec = replace(first, dtype=precision, threads=threads)
        if _refusal(spec, problem, request, cores)[0] is None:
            spec = request.penalty.applied(spec)
            found[spec.key()] = SweepCase(spec, _cost(spec, problem), reference=True)
    return list(found.values()), list(refused.values())


def in_order(
    cases: Sequence[SweepCase], seconds: Callable[[SweepCase], float | None]
) -> list[SweepCase]:
    """Return cases in the order to measure them.

    Parameters
    ----------
    seconds : predicted for a case; None where nothing is known, which comes last.
    """

    def key(case: SweepCase) -> float:
        found = seconds(case)
        return float("inf") if found is None else found

    fastest = sorted(cases, key=key)
    first = [one for one in fastest if one.ridgecv_answer][:1] or fastest[:1]
    references = sorted((one for one in cases if one.reference), key=lambda one: one.spec.threads)
    numbers = dict.fromkeys(map(cases.index, [*first, *references, *fastest]))
    return [cases[number] for number in numbers]


def _spec(
    problem: OwnProblem, request: SweepRequest, strategy: str, dtype: str, nodes: int, threads: int
) -> FitSpec:
    spec = FitSpec(
        problem.reference,
        strategy,
        suite=SUITE,
        scale=problem.scale,
        subject=problem.subject,
        seed=problem.seed,
        dtype=dtype,
        nodes=nodes,
        threads=threads,
        split=request.split,
        repeats=REPEATS,
        until=UNTIL,
    )
    return with_split(spec)


def _refusal(
    spec: FitSpec, problem: OwnProblem, request: SweepRequest, cores: int
) -> tuple[str | None, str]:
    """Return why a case cannot run, None if it can, and what cannot."""
    if spec.nodes * spec.threads > cores:
        text = f"{spec.nodes} × {spec.threads}"
        return f"more nodes × threads than the {counted(cores, 'core')} here", text
    kind = strategies.get(spec.strategy)
    size = (problem.training_samples, problem.p, problem.s)
    reason = kind.skip(*size, spec.nodes, spec.threads) or request.penalty.refusal(spec)
    return reason, spec.strategy


def _cost(spec: FitSpec, problem: OwnProblem) -> FitCost | None:
    """Return the work of a case, None where its strategy says nothing of it."""
    if by_run(spec.options):
        spec = replace(spec, options={**spec.options, "cv": max(2, problem.run_count)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fit_cost(spec, problem.shape, problem.training_samples)
