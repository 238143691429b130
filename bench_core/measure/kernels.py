"""Rates of the kernels that every ridge is made of: gemm, syrk, eigh and svd.

One fresh process per thread count, so that the thread and kernel variables are in force before the
BLAS loads, times all of them next to each other: a fraction of the best matrix product means
something only within one run.

Run as ``python -m bench_core.measure.kernels JOB.json OUT.json``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter

from bench_core.errors import RidgebenchError, counted
from bench_core.progress import Progress
from bench_core.records import SCHEMA_KERNELS, KernelCase, KernelRate, KernelsRecord, codec
from bench_core.records.blas import BlasCalls
from bench_core.records.machine import ProcessorRecord, VariablesRecord
from bench_core.runner.blas_proof import wrong_kernels, wrong_threads
from bench_core.runner.launcher import launch, worker_environment
from bench_core.runner.protocol import Keep, State, serve

PRECISIONS = ("float64", "float32")
#: Flops of one call on n × n, counted as LAPACK's authors do: Golub and Van Loan, Matrix
#: Computations, 4th ed., sections 1.1, 8.3 (vectors included) and 8.6 (U, S and V).
FLOPS: dict[str, Callable[[int], float]] = {
    "gemm": lambda n: 2.0 * n**3,
    "syrk": lambda n: 1.0 * n * n * (n + 1),
    "eigh": lambda n: 9.0 * n**3,
    "svd": lambda n: 21.0 * n**3,
}
Rates = dict[str, dict[str, KernelRate]]


@dataclass(frozen=True)
class KernelJob:
    """Kernels to time, ``repeats`` times each, on so many threads."""

    size: int
    repeats: int
    operations: tuple[str, ...]
    threads: int = 1


@dataclass(frozen=True)
class KernelResult:
    """Rates, and the BLAS that reached them."""

    status: State
    reason: str | None = None
    error: str | None = None
    rates: Rates | None = None
    blas: BlasCalls | None = None
    processor: ProcessorRecord | None = None


def measure_kernels(
    threads: int,
    size: int,
    *,
    blas: str | None = None,
    kernels: str = "default",
    repeats: int = 5,
    operations: Sequence[str] = tuple(FLOPS),
    store: Path | None = None,
) -> KernelsRecord:
    """Return the kernel record of one thread count, timed in a fresh process.

    Parameters
    ----------
    threads : BLAS threads.
    size : n of the n × n matrices of gemm and syrk; eigh and svd take n / 2.
    blas : the library that must answer; another one makes the record invalid, and so
        do other threads or kernels than asked for.
    kernels : "default", "best" for the best kernels this CPU can run, or the name of kernels.
    operations : names of the kernels; the gemm is always among them.
    store : folder in which a record of the same parameters is read instead of measured again.

    Raises
    ------
    InputError : no such kernels.
    RidgebenchError : the timing process failed; its last line of output is in the message.
    """
    from bench_core.blas import kernel_environment
    from bench_core.machine import available_cores

    wanted = tuple(name for name in FLOPS if name in {"gemm", *operations})
    case = KernelCase(threads, size, blas, kernels.lower(), wanted)
    record = KernelsRecord(SCHEMA_KERNELS, "ok", None, case)
    cores = available_cores()
    if threads > cores:
        return replace(
            record,
            status="skipped",
            reason=f"{counted(threads, 'thread')}, {counted(cores, 'core')}",
        )
    if kernels == "best" and not kernel_environment(kernels):
        reason = "the library's own dispatch already chose the best kernels"
        return replace(record, status="skipped", reason=reason)
    built = worker_environment(threads, kernels, None)
    name = f"kernels-{case.kernels}-{threads}-{size}-{'-'.join(wanted)}.json"
    path = store / name if store else None
    if path is not None and path.exists():
        return codec.read(KernelsRecord, path)
    # The declared BLAS is compared here: a wrong one is recorded with its rates.
    found = launch(
        "bench_core.measure.kernels",
        KernelJob(size, repeats, wanted, threads),
        KernelResult,
        environment=built.variables,
    )
    if found.status != "ok" or found.blas is None:
        raise RidgebenchError(
            f"timing the kernels with {counted(threads, 'thread')} failed: {found.reason}"
        )
    record = replace(
        record,
        rates=found.rates,
        blas=found.blas,
        variables=VariablesRecord(built.chosen, built.overridden, built.passed),
        processor=found.processor,
    )
    doubt = (
        wrong_threads([found.blas], threads)
        or wrong_kernels([found.blas], case.kernels)
        or (None if found.processor is None else found.processor.note)
    )
    if doubt is not None:
        record = replace(record, status="invalid", reason=doubt)
    loaded = {found.blas.numpy.name, found.blas.scipy.name}
    if blas is not None and loaded != {blas}:
        reason = f"declared {blas}, loaded {' and '.join(sorted(loaded))}"
        record = replace(record, status="invalid", reason=reason)
    if path is not None:
        codec.write(record, path)
    return record


def time_kernels(size: int, repeats: int, operations: Sequence[str] = tuple(FLOPS)) -> Rates:
    """Return seconds, GFLOP/s and the fraction of the gemm beside it, per precision and kernel."""
    rates: Rates = {}
    for precision in PRECISIONS:
        calls = _calls(size, precision)
        found: dict[str, tuple[float, float]] = {}
        for name in operations:
            n, call = calls[name]
            call()  # starts the threads and touches the memory
            seconds = median([_seconds(call) for _ in range(repeats)])
            found[name] = seconds, FLOPS[name](n) / seconds / 1e9
        best = found["gemm"][1]
        rates[precision] = {
            name: KernelRate(seconds, rate, rate / best) for name, (seconds, rate) in found.items()
        }
    return rates


def _calls(size: int, precision: str) -> dict[str, tuple[int, Callable[[], object]]]:
    """Return, per kernel, the order of its matrix and a call of it."""
    import numpy as np
    from scipy.linalg import blas, eigh, svd

    rng = np.random.default_rng(0)
    a = rng.standard_normal((size, size)).astype(precision)
    b = rng.standard_normal((size, size)).astype(precision)
    out = np.empty_like(a)
    half = size // 2
    small = a[:half, :half].copy()
    symmetric = small + small.T
    fortran = np.asfortranarray(a)
    syrk = blas.dsyrk if precision == "float64" else blas.ssyrk
    return {
        "gemm": (size, lambda: np.matmul(a, b, out=out)),
        "syrk": (size, lambda: syrk(1.0, fortran)),
        "eigh": (half, lambda: eigh(symmetric, driver="evd", check_finite=False)),
        "svd": (half, lambda: svd(small, check_finite=False)),
    }


def _seconds(call: Callable[[], object]) -> float:
    started = perf_counter()
    call()
    return perf_counter() - started


def _work(job: KernelJob, progress: Progress, keep: Keep) -> KernelResult:
    from bench_core.blas import detect
    from bench_core.blas.threads import product_threads
    from bench_core.machine import limits
    from bench_core.records.blas import LibraryRecord
    from bench_core.records.provenance import without_paths
    from bench_core.runner.blas_proof import mixture
    from bench_core.runner.processor import FitMeter, processor_record

    meter = FitMeter()
    meter.begin()
    rates = time_kernels(job.size, job.repeats, job.operations)
    meter.end()
    products = {"main": product_threads(job.threads)} if job.threads > 1 else {}
    report = without_paths(detect().to_dict())
    blas = BlasCalls(LibraryRecord(**report["numpy"]), LibraryRecord(**report["scipy"]))
    processor = processor_record(
        meter,
        products,
        threads=job.threads,
        flops=None,
        further=mixture([blas]),
        quota=limits().cores,
    )
    return KernelResult("ok", rates=rates, blas=blas, processor=processor)


if __name__ == "__main__":
    serve(_work, KernelJob, KernelResult, *sys.argv[1:3])
