"""What the model expects of a problem elsewhere: on more threads, and on more machines."""

from __future__ import annotations

from collections.abc import Sequence

from bench_core import strategies
from bench_core.advice.advise import Advice, Limits, advise, way
from bench_core.advice.candidates import ProblemSize
from bench_core.own_problem.model import Model
from bench_core.own_problem.problem import OwnProblem
from bench_core.report.units import seconds_text
from bench_core.runner.penalty_request import PenaltyRequest

MORE_THREADS = 4
"""A machine with so many times the cores."""

MACHINES = 8
"""So many machines like this one."""


def expectations(
    problem: OwnProblem,
    models: Sequence[Model],
    *,
    cores: int,
    dtypes: Sequence[str],
    penalty: PenaltyRequest | None = None,
) -> tuple[str, ...]:
    """Return a line for a larger machine, and one for several; none without a calibration.

    penalty : how penalties are chosen; None for what holds without.

    The recommended way of each (`bench_core.advice.advise`), with its predicted time and interval.
    Threads beyond the cores that were calibrated are extrapolated by Amdahl's law.
    """
    calibrations = [one.calibration for one in models if one.trusted]
    if not calibrations:
        return ("No calibration of this machine: nothing is expected of others",)
    sizes = (problem.training_samples, problem.p, problem.s)
    size = ProblemSize(*sizes, penalty or PenaltyRequest())
    memory = calibrations[0].machine.memory_bytes
    threads = MORE_THREADS * cores
    larger = advise(
        size,
        calibrations,
        Limits(1, threads, MORE_THREADS * memory),
        names=strategies.with_cost(),
        dtypes=dtypes,
        nodes=(1,),
        threads=(threads,),
    )
    several = advise(
        size,
        calibrations,
        Limits(MACHINES, cores, memory, machines=MACHINES),
        names=strategies.with_cost(),
        dtypes=dtypes,
        nodes=(1, MACHINES),
        threads=(cores,),
    )
    places = (
        (larger, f"{threads} threads of such a processor"),
        (several, f"{MACHINES} machines like this one"),
    )
    return tuple(_line(advice, place) for advice, place in places)


def _line(advice: Advice, place: str) -> str:
    best = advice.best
    if best is None:
        return f"On {place} the model expects nothing that fits in memory"
    found = best.prediction
    low, middle, high = map(seconds_text, (found.low, found.seconds, found.high))
    start = f", and {seconds_text(found.start_s)} to start the nodes" if found.start_s else ""
    return f"On {place} the model expects {way(best)}: {middle} ({low} to {high}){start}"
