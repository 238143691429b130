"""Recorded fits as observations: the same costs that predictions are made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from bench_core import strategies
from bench_core.errors import RidgebenchError
from bench_core.penalties import THESIS_ALPHAS
from bench_core.records import EnvironmentRun, Record
from bench_core.records.runs import case_words
from bench_core.scaling.operations import FitCost, Operation, alone, eigh, gemm, svd, syrk
from bench_core.scaling.parameters import Observation


@dataclass(frozen=True)
class RecordedFit:
    """A valid record of a fit whose cost is known.

    problem : its name, with scale. dtype : of the problem; ``form`` of the cost. free : its options
    without those that choose a form, which is told by ``form``. architecture : the kernels of the
    BLAS, None where that is not known. pair : one side of an A/A pair, and no record of its own.
    alphas : its candidate penalties.
    """

    machine: str
    problem: str
    strategy: str
    form: str
    dtype: str
    free: tuple[tuple[str, str], ...]
    blas: str
    size: tuple[int, int, int]
    observation: Observation
    architecture: str | None = None
    pair: bool = False
    alphas: tuple[float, ...] = THESIS_ALPHAS


def recorded_kernels(
    runs: Iterable[EnvironmentRun], machine: str, blas: str
) -> Iterator[Observation]:
    """Yield the recorded kernel times of a machine with one BLAS."""
    for run in runs:
        for record in run.kernels:
            known = record.blas
            if run.machine != machine or record.status != "ok" or record.rates is None:
                continue
            if known is None or known.numpy.name != blas:
                continue
            size = record.case.size
            for dtype, rates in record.rates.items():
                for name, rate in rates.items():
                    operation = _kernel(name, size, dtype)
                    if operation is not None:
                        cost = FitCost("kernel", name, 1, alone((operation,)), (0,), 0, 0)
                        yield Observation(cost, record.case.threads, rate.seconds)


def _kernel(name: str, size: int, dtype: str) -> Operation | None:
    """Return the operation that `bench_core.measure.kernels` times under this name."""
    if name == "gemm":
        return gemm("scores", size, size, size, dtype=dtype)
    if name == "syrk":
        return syrk("scores", size, size, dtype=dtype)
    if name == "eigh":
        return eigh(size / 2, dtype=dtype)
    if name == "svd":
        return svd(size / 2, size / 2, dtype=dtype)
    return None


FORM_OPTIONS = frozenset({"solver", "gcv_mode"})


def recorded_fits(runs: Iterable[EnvironmentRun]) -> Iterator[RecordedFit]:
    """Yield the valid fits of these runs; those of strategies without a cost are left out."""
    for run in runs:
        for record in run.fits:
            found = recorded_fit(record, run.machine)
            if found is not None:
                yield found


def recorded_fit(record: Record, machine: str) -> RecordedFit | None:
    """Return a record as an observation; None if it is not valid or its cost is not known."""
    case, problem = record.case, record.case.problem
    if record.status != "ok" or record.times is None or record.blas is None:
        return None
    t, p, s = problem.t_train, problem.p, problem.s
    if record.blas.in_torch is not None or t is None or p is None or s is None:
        return None
    kind = strategies.STRATEGIES.get(case.strategy) if case.strategy in strategies.names() else None
    if kind is None or isinstance(case.options.get("cv"), list):
        return None
    try:
        model = kind(**({} if case.alphas is None else {"alphas": case.alphas}), **case.options)
        cost = model.cost(t, p, s, problem.dtype, case.nodes)
    except (RidgebenchError, TypeError):
        return None  # an option of another release
    if cost is None:
        return None
    seconds = record.times.median_s
    scale = "" if problem.scale in (None, 1.0) else f" 1/{round(1 / float(problem.scale or 1))}"
    return RecordedFit(
        machine=machine,
        problem=f"{problem.name}{scale}",
        strategy=case.strategy,
        form=cost.form,
        dtype=problem.dtype,
        free=_free(case.options),
        blas=record.blas.numpy.name,
        size=(t, p, s),
        observation=Observation(cost, case.threads, seconds, nodes_per_machine=case.nodes),
        architecture=record.blas.numpy.architecture,
        alphas=THESIS_ALPHAS if case.alphas is None else case.alphas,
    )


def _free(options: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the options that choose no form, sorted, their values as text."""
    found = {name: str(value) for name, value in options.items() if name not in FORM_OPTIONS}
    return tuple(sorted(found.items()))


def paired_fits(runs: Iterable[EnvironmentRun]) -> Iterator[RecordedFit]:
    """Yield the undisturbed A/A pairs of these runs as fits, both sides together.

    A pair names its case in words. The sizes are those of a record of the same case and
    environment, in any of the runs; without one the pair is left out.
    """
    found = list(runs)
    known = {
        (run.environment, case_words(record.case)): record
        for run in found
        for record in run.fits
        if record.status == "ok" and record.times is not None
    }
    for run in found:
        for pair in (pair for session in run.sessions for pair in session.same):
            record = known.get((run.environment, pair.case))
            fit = None if record is None else recorded_fit(record, run.machine)
            if fit is None or pair.disturbed is not None:
                continue
            seconds = median(
                time for side in (pair.first, pair.second) for repeats in side for time in repeats
            )
            seen = replace(fit.observation, seconds=seconds)
            yield replace(fit, observation=seen, architecture=None, pair=True)


def measured_beside(
    fits: Iterable[RecordedFit],
    *,
    size: tuple[int, int, int],
    strategy: str,
    form: str,
    dtype: str,
    blas: str,
    nodes: int,
    threads: int,
    options: Mapping[str, Any] | None = None,
    alphas: Sequence[float] | None = None,
) -> tuple[tuple[str, float], ...]:
    """Return the median seconds of recorded fits of the same way, by machine.

    options : of the strategy, those that choose its form among them.
    alphas : candidates, None for the thesis's.
    """
    found: dict[str, list[float]] = {}
    way = (size, strategy, form, dtype, blas, _free(options or {}))
    candidates = tuple(THESIS_ALPHAS if alphas is None else alphas)
    for one in fits:
        same = (one.size, one.strategy, one.form, one.dtype, one.blas, one.free) == way
        same &= one.alphas == candidates
        if same and (one.observation.cost.nodes, one.observation.threads) == (nodes, threads):
            found.setdefault(one.machine, []).append(one.observation.seconds)
    return tuple((machine, median(seconds)) for machine, seconds in sorted(found.items()))
