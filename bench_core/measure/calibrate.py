"""Calibration of this machine: kernels, memory, disk, Dask and the network, in under two minutes.

Kernels are timed in a fresh process for every thread count, so that the thread variables are in
force before the BLAS loads. Some small fits, which the calibration does not use, are timed beside
them: how far the predictions of these are off is the calibration's spread. What is timed is in
`bench_core.measure.speeds`.

Run as ``python -m bench_core.measure.calibrate JOB.json OUT.json``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import numpy as np

from bench_core import strategies
from bench_core.errors import RidgebenchError, counted
from bench_core.measure.speeds.exchange import time_exchange
from bench_core.measure.speeds.fits import (
    EmptyFit,
    empty_fits,
    fit_seconds,
    overheads,
    time_checks,
)
from bench_core.measure.speeds.kernels import time_kernels
from bench_core.measure.speeds.memory import memory_rates
from bench_core.progress import Progress, silent
from bench_core.records.blas import BlasCalls, LibraryRecord
from bench_core.runner.launcher import launch, worker_environment
from bench_core.runner.protocol import Keep, State, choose_cores, serve
from bench_core.scaling.calibration import (
    SCHEMA_CALIBRATION,
    CalibratedBlas,
    CalibratedMachine,
    Calibration,
    CheckedFit,
    KernelSpeed,
    MemorySpeed,
    TaskTime,
)
from bench_core.scaling.parameters import Observation, predicted

LEAST_SPREAD = 0.05
"""Spread of a calibration whose few checks happen to agree better."""

BUSY = 0.25
"""Cores kept busy by other work from which on rates are doubted."""

UNSTEADY = 0.1
"""Part of the kernels whose rounds are far apart from which on rates are doubted."""

LOOPBACK = "nodes are processes of one machine: the network is its loopback interface"


@dataclass(frozen=True)
class CalibrationJob:
    """What one process times.

    kernels : the kernels and the fits, with ``threads``; otherwise memory alone.
    """

    threads: int
    kernels: bool
    quick: bool = False


@dataclass(frozen=True)
class CalibrationResult:
    """What one process found.

    unsteady : as in `bench_core.measure.speeds.kernels.KernelTimes`.
    """

    status: State
    reason: str | None = None
    error: str | None = None
    kernels: tuple[KernelSpeed, ...] = ()
    unsteady: float = 0.0
    memory: tuple[MemorySpeed, ...] = ()
    fit_s: float | None = None
    checks: tuple[CheckedFit, ...] = ()
    empty: tuple[EmptyFit, ...] = ()
    blas: BlasCalls | None = None


def calibrate(
    *,
    blas: str | None = None,
    kernels: str = "default",
    scratch: Path | None = None,
    quick: bool = False,
    progress: Progress = silent,
) -> Calibration:
    """Return the calibration of this machine with the loaded BLAS.

    Parameters
    ----------
    blas : library that must answer. kernels : as for a fit.
    scratch : folder that nodes share.
    quick : one repetition of small sizes, for a first look and for tests.

    Raises
    ------
    BlasMismatchError : another library answers.
    RidgebenchError : a timing process failed; the message has its last line.
    """
    from bench_core.machine import available_cores, describe, load
    from bench_core.records.provenance import machine_name, versions

    began, started = time.monotonic(), datetime.now(UTC)
    cores = available_cores()
    busy = float(load()["busy_cores"])
    counts = _thread_counts(cores)
    found: list[CalibrationResult] = []
    for number, count in enumerate(counts):
        progress(f"kernels on {counted(count, 'thread')}", number, len(counts) + 2)
        found.append(_timed(CalibrationJob(count, True, quick), kernels, blas))
    progress("memory", len(counts), len(counts) + 2)
    memory = list(_memory(cores, kernels, blas, quick))
    progress("nodes and files", len(counts) + 1, len(counts) + 2)
    exchange = time_exchange(cores, scratch, blas, kernels, quick=quick)
    memory.append(MemorySpeed("file", 1, exchange.file))
    library = found[0].blas
    assert library is not None
    machine = describe()
    checks = tuple(check for one in found for check in one.checks)
    made = Calibration(
        schema=SCHEMA_CALIBRATION,
        source="measured",
        machine=CalibratedMachine(
            machine_name(), machine["cpu"]["model"], cores, machine["memory"]["total_bytes"]
        ),
        blas=CalibratedBlas(library.numpy.name, library.numpy.version, library.numpy.architecture),
        kernels=tuple(speed for one in found for speed in one.kernels),
        memory=tuple(memory),
        network_gbytes_s=exchange.network,
        latency_s=exchange.latency_s,
        tasks=(TaskTime(1, exchange.task_s),),
        message_s=exchange.message_s,
        round_s=exchange.round_s,
        fit_s=found[0].fit_s or 0.0,
        start_s=exchange.start_s,
        start_node_s=exchange.start_node_s,
        spread=0.0,
        checked=len(checks),
        versions=versions(),
        started=started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        seconds=0.0,
        notes=(LOOPBACK, *_doubts(busy, max(one.unsteady for one in found), quick=quick)),
        checks=checks,
    )
    empty = [fit for one in found for fit in one.empty]
    made = replace(made, overheads=overheads([*empty, *exchange.empty], made))
    progress("done", 1, 1)
    return replace(
        made,
        spread=max(LEAST_SPREAD, _spread(made)),
        seconds=round(time.monotonic() - began, 1),
    )


def _doubts(busy: float, unsteady: float, *, quick: bool) -> list[str]:
    """Return what speaks against the rates: other work on the machine, or too few repetitions."""
    found = []
    if busy > BUSY:
        found.append(f"other work kept {busy:.1f} cores busy at the start: calibrate again, idle")
    if unsteady > UNSTEADY:
        found.append(
            f"{unsteady:.0%} of the kernels took half as long again in one round as in another: "
            "the machine was not steady"
        )
    if quick:
        found.append("timed once, at small sizes: a first look, not to rely on")
    return found


def _thread_counts(cores: int) -> list[int]:
    """Return 1, 2, 4, … and the number of cores."""
    found = [2**k for k in range(cores.bit_length()) if 2**k <= cores]
    return sorted({*found, cores})


def _timed(job: CalibrationJob, kernels: str, blas: str | None) -> CalibrationResult:
    found = launch(
        "bench_core.measure.calibrate",
        job,
        CalibrationResult,
        environment=worker_environment(job.threads, kernels, blas).variables,
    )
    if found.status != "ok":
        raise RidgebenchError(f"calibrating with {counted(job.threads, 'thread')}: {found.reason}")
    return found


def _memory(cores: int, kernels: str, blas: str | None, quick: bool) -> Iterator[MemorySpeed]:
    """Yield the rates of one process, and of as many as there are cores at the same time."""
    job = CalibrationJob(1, False, quick)
    yield from _timed(job, kernels, blas).memory
    if cores == 1:
        return
    with ThreadPoolExecutor(cores) as pool:
        found = list(pool.map(lambda _: _timed(job, kernels, blas), range(cores)))
    for same in zip(*(one.memory for one in found), strict=True):
        rate = median(one.gbytes_s for one in same)
        yield replace(same[0], processes=cores, gbytes_s=rate)


def _spread(made: Calibration) -> float:
    """Return the root mean square of log(measured / predicted) of the checks."""
    observations: Sequence[Observation] = [
        Observation(cost, one.threads, one.seconds)
        for one in made.checks
        if (cost := strategies.get(one.strategy)().cost(one.t, one.p, one.s)) is not None
    ]
    if not observations:
        return 0.0
    measured = np.log([one.seconds for one in observations])
    left = measured - np.log(predicted(observations, made))
    return float(np.sqrt(np.mean(left * left)))


def _work(job: CalibrationJob, progress: Progress, keep: Keep) -> CalibrationResult:
    import warnings

    from bench_core.machine.pinning import keep as pin

    warnings.simplefilter("ignore")
    pin(choose_cores(job.threads))
    return time_job(job)


def time_job(job: CalibrationJob) -> CalibrationResult:
    """Return what this process finds; its BLAS has the threads of the job already."""
    from bench_core.blas import detect
    from bench_core.records.provenance import without_paths

    if not job.kernels:
        return CalibrationResult("ok", memory=memory_rates(quick=job.quick))
    times = time_kernels(job.threads, quick=job.quick)
    checks = tuple(time_checks(job.threads, quick=job.quick))
    empty = tuple(empty_fits(job.threads, quick=job.quick))
    report = without_paths(detect().to_dict())
    blas = BlasCalls(LibraryRecord(**report["numpy"]), LibraryRecord(**report["scipy"]))
    return CalibrationResult(
        "ok",
        kernels=times.speeds,
        unsteady=times.unsteady,
        fit_s=fit_seconds(),
        checks=checks,
        empty=empty,
        blas=blas,
    )


if __name__ == "__main__":
    serve(_work, CalibrationJob, CalibrationResult, *sys.argv[1:3])
