"""Fits with and without observation, in pairs.

The two fits of a pair follow each other in alternating order, so that a drift of the machine
affects both alike.
"""

from __future__ import annotations

from bench_core.progress import Progress
from bench_core.records.statistics import ratio_interval
from bench_core.runner.protocol import FitJob, OverheadResult
from bench_core.runner.session import open_session
from bench_core.runner.timing import timed_fits, watched_fits


def time_pairs(job: FitJob, progress: Progress) -> OverheadResult:
    """Return the ratio of fit times with memory sampling and byte counters to those without."""
    times: dict[bool, list[float]] = {True: [], False: []}
    sampling = 0.0
    with (
        open_session(job, progress) as session,
        session.watch_memory(job.interval_ms) as watch,
    ):
        timed_fits(session.make, session.train, 1)
        for pair in range(job.pairs):
            progress("fitting pairs", pair, job.pairs)
            for watched in (True, False) if pair % 2 else (False, True):
                if watched:
                    _, took, _, memory = watched_fits(
                        session.make,
                        session.train,
                        1,
                        watch,
                        names=session.names,
                        bytes_moved=session.bytes_moved,
                    )
                    sampling += memory.sampler_cpu_s
                else:
                    _, took, _ = timed_fits(session.make, session.train, 1)
                times[watched] += took
    ratio, low, high = ratio_interval(times[True], times[False], seed=job.spec.seed)
    return OverheadResult(
        status="ok",
        ratio=ratio,
        ci95=(low, high),
        sampler_share=sampling / sum(times[True]),
        with_s=tuple(times[True]),
        without_s=tuple(times[False]),
    )
