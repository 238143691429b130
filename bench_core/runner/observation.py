"""Fits with and without observation, side by side.

The fits of a round follow each other in an order that turns from round to round, so that a drift of
the machine affects all alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from time import perf_counter

from bench_core.phases import PHASES, Phases
from bench_core.progress import Progress
from bench_core.records.statistics import ratio_interval
from bench_core.runner.host_memory import HostsWatch
from bench_core.runner.memory import MemoryWatch
from bench_core.runner.phase_meter import PhaseMeter
from bench_core.runner.protocol import FitJob, OverheadResult, PhaseCost
from bench_core.runner.session import Session
from bench_core.runner.setup import open_session
from bench_core.runner.timing import timed_fits, watched_fits

_LOOPS, _CALLS = 50, 500


def time_pairs(job: FitJob, progress: Progress) -> OverheadResult:
    """Return the ratio of fit times with memory sampling and byte counters to those without.

    Where the strategy takes phases, a third fit of every round takes those alone.
    """
    with (
        open_session(job, progress) as session,
        session.watch_memory(job.interval_ms) as watch,
    ):
        timed_fits(session.make, session.train, 1)
        kinds = ["without", "watched", *(["phases"] if session.strategy.phased else [])]
        times: dict[str, list[float]] = {kind: [] for kind in kinds}
        meter, sampling = PhaseMeter(), 0.0
        for number in range(job.pairs):
            progress("fitting pairs", number, job.pairs)
            first = number % len(kinds)
            for kind in kinds[first:] + kinds[:first]:
                if kind == "watched":
                    seconds, cpu = _watched(session, watch)
                    sampling += cpu
                else:
                    phases = meter if kind == "phases" else None
                    (seconds,) = timed_fits(session.make, session.train, 1, phases=phases).times
                times[kind].append(seconds)
    ratio, low, high = ratio_interval(times["watched"], times["without"], seed=job.spec.seed)
    return OverheadResult(
        status="ok",
        ratio=ratio,
        ci95=(low, high),
        sampler_share=sampling / sum(times["watched"]),
        with_s=tuple(times["watched"]),
        without_s=tuple(times["without"]),
        phases=_phase_cost(meter, times["phases"], times["without"], job.spec.seed)
        if meter.records
        else None,
    )


def _watched(session: Session, watch: MemoryWatch | HostsWatch) -> tuple[float, float]:
    """Return the seconds of a fit that is observed as a measurement, and those of sampling."""
    fits, memory = watched_fits(
        session.make,
        session.train,
        1,
        watch,
        names=session.names,
        bytes_moved=session.bytes_moved,
        phases=PhaseMeter(),
    )
    return fits.times[0], memory.sampler_cpu_s


def _phase_cost(
    meter: PhaseMeter, with_s: Sequence[float], without_s: Sequence[float], seed: int
) -> PhaseCost:
    ratio, low, high = ratio_interval(with_s, without_s, seed=seed)
    each_s = seconds_per_phase()
    paths = [one.critical for one in meter.records]
    return PhaseCost(
        ratio=ratio,
        ci95=(low, high),
        fastest_ratio=min(with_s) / min(without_s),
        with_s=tuple(with_s),
        entered=meter.entered,
        each_s=each_s,
        share=meter.entered * each_s / median(with_s),
        deviation=median(one.deviation for one in meter.records),
        most_deviation=max(one.deviation for one in meter.records),
        other_share=median(path.other / path.total for path in paths),
    )


def seconds_per_phase() -> float:
    """Return the seconds that opening and closing a phase takes, in the quickest of some loops."""
    phases, found = Phases(), []
    with phases.whole():
        for _ in range(_LOOPS):
            began = perf_counter()
            for number in range(_CALLS):
                with phases(PHASES[number % len(PHASES)]):
                    pass
            found.append((perf_counter() - began) / _CALLS)
    return min(found)
