"""Calibration of this machine: kernels, memory, disk, Dask and the network, in under two minutes.

Kernels are timed in a fresh process for every thread count, so that the thread variables are in
force before the BLAS loads. Some small fits, which the calibration does not use, are timed beside
them: how far the predictions of these are off is the calibration's spread.

Run as ``python -m bench_core.measure.calibrate JOB.json OUT.json``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core import strategies
from bench_core.errors import RidgebenchError, counted
from bench_core.progress import Progress, silent
from bench_core.records.blas import BlasCalls, LibraryRecord
from bench_core.runner.launcher import launch, worker_environment
from bench_core.runner.protocol import Keep, State, choose_cores, serve
from bench_core.scaling.calibration import (
    SCHEMA_CALIBRATION,
    CalibratedBlas,
    CalibratedMachine,
    Calibration,
    KernelSpeed,
    MemorySpeed,
    TaskTime,
)
from bench_core.scaling.operations import Kernel, eigh, gemm, svd, syrk
from bench_core.scaling.parameters import Observation, predicted

LONG = 1024
"""The dimensions of a product that do not limit its rate."""

PRODUCT_SIZES = (1, 8, 32, 128, 512, 1024)
DECOMPOSITION_SIZES = (32, 128, 512, 1024)
LEAST_SPREAD = 0.05
"""Spread of a calibration whose few checks happen to agree better."""

BUSY = 0.25
"""Cores kept busy by other work from which on rates are doubted."""

LOOPBACK = "nodes are processes of one machine: the network is its loopback interface"

_BLOCK = 64 * 2**20
_SECONDS = 0.08
"""Time for which a kernel is repeated, at least; one call at least."""

CHECKS: tuple[tuple[str, int, int, int], ...] = (
    ("ridgecv", 400, 600, 3000),
    ("ridgecv", 1500, 300, 300),
    ("multitarget", 700, 1200, 6000),
    ("multitarget", 2500, 500, 1000),
)
"""Strategies and t, p, s of the fits that are predicted and timed."""


@dataclass(frozen=True)
class CalibrationJob:
    """What one process times.

    kernels : the kernels and the checks, with ``threads``; otherwise memory alone.
    """

    threads: int
    kernels: bool
    quick: bool = False


@dataclass(frozen=True)
class CheckedFit:
    """One fit that was timed beside the kernels."""

    strategy: str
    t: int
    p: int
    s: int
    seconds: float


@dataclass(frozen=True)
class CalibrationResult:
    """What one process found; rates of memory in GB/s."""

    status: State
    reason: str | None = None
    error: str | None = None
    kernels: tuple[KernelSpeed, ...] = ()
    stream: float | None = None
    fresh: float | None = None
    pages: float | None = None
    fit_s: float | None = None
    checks: tuple[CheckedFit, ...] = ()
    blas: BlasCalls | None = None


@dataclass(frozen=True)
class _Exchange:
    """What two nodes and their files take."""

    start_s: float
    start_node_s: float
    round_s: float
    task_s: float
    message_s: float
    latency_s: float
    network: float
    file: float


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
    from bench_core.records.provenance import versions

    began, started = time.monotonic(), datetime.now(UTC)
    cores = available_cores()
    busy = float(load()["busy_cores"])
    counts = _thread_counts(cores)
    found: list[tuple[int, CalibrationResult]] = []
    for number, count in enumerate(counts):
        progress(f"kernels on {counted(count, 'thread')}", number, len(counts) + 2)
        found.append((count, _timed(CalibrationJob(count, True, quick), kernels, blas)))
    progress("memory", len(counts), len(counts) + 2)
    memory = list(_memory(cores, found[0][1], kernels, blas, quick))
    progress("nodes and files", len(counts) + 1, len(counts) + 2)
    exchange = _exchange(min(2, cores), scratch, blas, kernels, quick=quick)
    memory.append(MemorySpeed("file", 1, exchange.file))
    library = found[0][1].blas
    assert library is not None
    machine = describe()
    made = Calibration(
        schema=SCHEMA_CALIBRATION,
        source="measured",
        machine=CalibratedMachine(
            _machine_name(), machine["cpu"]["model"], cores, machine["memory"]["total_bytes"]
        ),
        blas=CalibratedBlas(library.numpy.name, library.numpy.version, library.numpy.architecture),
        kernels=tuple(speed for _, one in found for speed in one.kernels),
        memory=tuple(memory),
        network_gbytes_s=exchange.network,
        latency_s=exchange.latency_s,
        tasks=(TaskTime(1, exchange.task_s),),
        message_s=exchange.message_s,
        round_s=exchange.round_s,
        fit_s=found[0][1].fit_s or 0.0,
        start_s=exchange.start_s,
        start_node_s=exchange.start_node_s,
        spread=0.0,
        checked=0,
        versions=versions(),
        started=started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        seconds=0.0,
        notes=(LOOPBACK, *_doubts(busy, quick=quick)),
    )
    checks = [(count, check) for count, one in found for check in one.checks]
    progress("done", 1, 1)
    return replace(
        made,
        spread=max(LEAST_SPREAD, _spread(made, checks)),
        checked=len(checks),
        seconds=round(time.monotonic() - began, 1),
    )


def _doubts(busy: float, *, quick: bool) -> list[str]:
    """Return what speaks against the rates: other work on the machine, or too few repetitions."""
    found = []
    if busy > BUSY:
        found.append(f"other work kept {busy:.1f} cores busy at the start: calibrate again, idle")
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


def _memory(
    cores: int, alone: CalibrationResult, kernels: str, blas: str | None, quick: bool
) -> Iterator[MemorySpeed]:
    """Yield the rates of one process, and of as many as there are cores at the same time."""
    assert alone.stream is not None
    assert alone.fresh is not None
    assert alone.pages is not None
    yield MemorySpeed("stream", 1, alone.stream)
    yield MemorySpeed("fresh", 1, alone.fresh)
    yield MemorySpeed("pages", 1, alone.pages)
    if cores == 1:
        return
    job = CalibrationJob(1, False, quick)
    with ThreadPoolExecutor(cores) as pool:
        found = list(pool.map(lambda _: _timed(job, kernels, blas), range(cores)))
    yield MemorySpeed("stream", cores, median(one.stream for one in found if one.stream))
    yield MemorySpeed("fresh", cores, median(one.fresh for one in found if one.fresh))
    yield MemorySpeed("pages", cores, median(one.pages for one in found if one.pages))


def _spread(made: Calibration, checks: Sequence[tuple[int, CheckedFit]]) -> float:
    """Return the root mean square of log(measured / predicted) of the checks."""
    observations = []
    for threads, check in checks:
        cost = strategies.get(check.strategy)().cost(check.t, check.p, check.s)
        if cost is not None:
            observations.append(Observation(cost, threads, check.seconds))
    if not observations:
        return 0.0
    measured = np.log([one.seconds for one in observations])
    left = measured - np.log(predicted(observations, made))
    return float(np.sqrt(np.mean(left * left)))


def _machine_name() -> str | None:
    from bench_core.records.provenance import machine_name

    return machine_name()


def time_kernels(threads: int, *, quick: bool = False) -> Iterator[KernelSpeed]:
    """Yield the rates of all kernels, sizes and precisions with the threads of this process."""
    for dtype in ("float64", "float32"):
        for kernel, size, flops, call in _calls(dtype, quick):
            seconds = _seconds(call, 0.0 if quick else _SECONDS)
            yield KernelSpeed(kernel, dtype, threads, size, max(flops / seconds / 1e9, 1e-6))


def _calls(dtype: str, quick: bool) -> Iterator[tuple[Kernel, int, float, Callable[[], object]]]:
    """Yield every kernel with its size, flops and a call of it."""
    rng = np.random.default_rng(0)
    long = 256 if quick else LONG
    X = rng.standard_normal((long, long)).astype(dtype)
    for size in PRODUCT_SIZES:
        if size > long:
            continue
        Y = rng.standard_normal((long, size)).astype(dtype)
        out = np.empty((long, size), dtype)
        flops = gemm("scores", long, size, long).flops
        yield "gemm", size, flops, partial(np.matmul, X, Y, out=out)
        if size > 1:
            A = np.ascontiguousarray(X[:size])
            yield "syrk", size, syrk("scores", size, long).flops, partial(np.matmul, A, A.T)
    for size in DECOMPOSITION_SIZES:
        if quick and size > long:
            continue
        square = rng.standard_normal((size, size))
        symmetric = np.asarray(square @ square.T, dtype)
        flops = eigh(size).flops
        yield "eigh", size, flops, partial(np.linalg.eigh, symmetric)
        if dtype == "float64":
            yield "staged", size, flops, partial(_staged, symmetric)
        wide = rng.standard_normal((size, 2 * size)).astype(dtype)
        call = partial(np.linalg.svd, wide, full_matrices=False)
        yield "svd", size, svd(size, 2 * size).flops, call


def _staged(symmetric: NDArray[np.float64]) -> object:
    """Return the eigenvalues and eigenvectors by the ridge's own steps, which overwrite."""
    from bench_core.ridge.arrays import eigh as staged

    return staged.eigh(symmetric.copy())


def _seconds(call: Callable[[], object], least: float) -> float:
    """Return the median time of a call, repeated for at least ``least`` seconds."""
    call()  # starts the threads and touches the memory
    times: list[float] = []
    while not times or (sum(times) < least and len(times) < 200):
        started = perf_counter()
        call()
        times.append(perf_counter() - started)
    return median(times)


def memory_rates(*, quick: bool = False) -> tuple[float, float, float]:
    """Return GB/s between arrays in use, both directions counted, and into new memory.

    The last is for new memory without huge pages, as `bench_core.ridge` takes for coefficients.
    """
    from bench_core.ridge.arrays.coef_file import fresh_memory

    least = 0.0 if quick else 0.5
    left: NDArray[np.float64] = np.ones(_BLOCK // 8)
    right = np.ones_like(left)
    stream = 2 * _BLOCK / _seconds(lambda: np.copyto(left, right), least) / 1e9
    fresh = _BLOCK / _seconds(lambda: np.full(_BLOCK // 8, 1.0), least) / 1e9
    shape = (_BLOCK // 8192, 1024)
    pages = _BLOCK / _seconds(lambda: fresh_memory(shape, np.float64).fill(1.0), least) / 1e9
    return stream, fresh, pages


def time_checks(*, quick: bool = False) -> Iterator[CheckedFit]:
    """Yield the fits that are predicted, with the median time of three."""
    rng = np.random.default_rng(1)
    for name, t, p, s in CHECKS:
        n, m, k = (t // 10, p // 10, s // 10) if quick else (t, p, s)
        X, Y = rng.standard_normal((n, m)), rng.standard_normal((n, k))
        model: Any = strategies.get(name)()
        seconds = _seconds(partial(model.fit, X, Y), 0.0 if quick else 0.6)
        yield CheckedFit(name, n, m, k, seconds)


def fit_seconds() -> float:
    """Return the time of scikit-learn's RidgeCV on next to nothing."""
    rng = np.random.default_rng(2)
    X, Y = rng.standard_normal((20, 4)), rng.standard_normal((20, 1))
    model: Any = strategies.get("ridgecv")()
    return _seconds(lambda: model.fit(X, Y), 0.1)


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
        stream, fresh, pages = memory_rates(quick=job.quick)
        return CalibrationResult("ok", stream=stream, fresh=fresh, pages=pages)
    kernels = tuple(time_kernels(job.threads, quick=job.quick))
    checks = tuple(time_checks(quick=job.quick))
    stream, fresh, pages = memory_rates(quick=job.quick)
    report = without_paths(detect().to_dict())
    blas = BlasCalls(LibraryRecord(**report["numpy"]), LibraryRecord(**report["scipy"]))
    return CalibrationResult(
        "ok",
        kernels=kernels,
        stream=stream,
        fresh=fresh,
        pages=pages,
        fit_s=fit_seconds(),
        checks=checks,
        blas=blas,
    )


def _nothing(*_: object) -> None:
    """Do nothing, on a node."""


def _block(count: int) -> NDArray[np.float64]:
    return np.ones(count)


def _length(values: NDArray[np.float64]) -> int:
    return len(values)


def _write(rows: Any, count: int) -> float:
    """Write rows on a node and return the seconds."""
    values = np.ones((count, rows.shape[1]))
    started = perf_counter()
    rows.write(0, values)
    return perf_counter() - started


def _exchange(
    nodes: int, scratch: Path | None, blas: str | None, kernels: str, *, quick: bool
) -> _Exchange:
    """Time a cluster of two nodes: its start, tasks, messages and files."""
    from bench_core.cluster import start

    options: dict[str, Any] = {"blas": blas, "kernels": kernels, "scratch": scratch}
    start_s = 0.0
    if not quick:
        began = perf_counter()
        with start("local", 1, 1, **options):
            start_s = perf_counter() - began
    began = perf_counter()
    with start("local", nodes, 1, **options) as cluster:
        start_all = perf_counter() - began
        start_s = start_s or start_all
        least = 0.0 if quick else 0.5
        task = _seconds(lambda: cluster.gather([cluster.submit(0, _nothing)]), least)
        many = 100

        def all_tasks() -> None:
            cluster.gather([cluster.submit(i % nodes, _nothing, i) for i in range(many)])

        message = _seconds(all_tasks, least) / many
        network, latency = _between(cluster, nodes)
        rows = cluster.rows((_BLOCK // 8192, 1024), np.float64)
        try:
            cluster.gather([cluster.submit(0, _write, rows, rows.shape[0])])
            written = min(
                cluster.gather([cluster.submit(0, _write, rows, rows.shape[0])])[0]
                for _ in range(2)
            )
        finally:
            rows.remove()
    return _Exchange(
        start_s=start_s,
        start_node_s=max(0.0, start_all - start_s) / max(1, nodes - 1),
        round_s=task,
        task_s=message,
        message_s=message,
        latency_s=max(0.0, latency - task),
        network=network,
        file=_BLOCK / written / 1e9,
    )


def _between(cluster: Any, nodes: int) -> tuple[float, float]:
    """Return GB/s from one node to another, and the seconds of a task that gets one value so."""
    times = {}
    for count in (1, _BLOCK // 8):
        found = []
        for _ in range(3):
            made = cluster.submit(0, _block, count)
            cluster.wait([made])
            started = perf_counter()
            cluster.gather([cluster.submit(nodes - 1, _length, made)])
            found.append(perf_counter() - started)
        times[count] = median(found)
    small, large = times[1], times[_BLOCK // 8]
    return _BLOCK / max(large - small, 1e-6) / 1e9, small


if __name__ == "__main__":
    serve(_work, CalibrationJob, CalibrationResult, *sys.argv[1:3])
