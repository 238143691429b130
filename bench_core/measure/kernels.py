"""Rates of the kernels that every ridge is made of: gemm, syrk, eigh and svd.

One fresh process per thread count, so that the thread and kernel variables are in force before the
BLAS loads, times all of them next to each other: a fraction of the best matrix product means
something only within one run. The record is small and has a schema name of its own,
``ridgebench-kernels/1``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from bench_core.errors import RidgebenchError

PRECISIONS = ("float64", "float32")
#: Flops of one call on n × n, counted as LAPACK's authors do: Golub and Van Loan, Matrix
#: Computations, 4th ed., sections 1.1, 8.3 (vectors included) and 8.6 (U, S and V).
FLOPS: dict[str, Callable[[int], float]] = {
    "gemm": lambda n: 2.0 * n**3,
    "syrk": lambda n: 1.0 * n * n * (n + 1),
    "eigh": lambda n: 9.0 * n**3,
    "svd": lambda n: 21.0 * n**3,
}
SCHEMA = "ridgebench-kernels/1"


def measure_kernels(
    threads: int,
    size: int,
    *,
    blas: str | None = None,
    kernels: str = "default",
    repeats: int = 5,
    operations: Sequence[str] = tuple(FLOPS),
    store: Path | None = None,
) -> dict[str, Any]:
    """Return the kernel record of one thread count, timed in a fresh process.

    Parameters
    ----------
    threads : BLAS threads.
    size : n of the n × n matrices of gemm and syrk; eigh and svd take n / 2.
    blas : the library that must answer; another one makes the record invalid.
    kernels : ``"default"``, or ``"best"`` for the best kernels this CPU can run.
    operations : which of the kernels; the gemm is always among them.
    store : folder in which a record of the same parameters is read instead of measured again.

    Returns
    -------
    dict with ``status`` (``"ok"``, ``"skipped"`` or ``"invalid"``), ``reason``, ``rates``
    (precision → kernel → ``seconds``, ``gflops``, ``fraction_of_gemm``) and the BLAS proof.

    Raises
    ------
    RidgebenchError : the timing process failed; its last line of output is in the message.
    """
    from bench_core.blas import kernel_environment, thread_environment
    from bench_core.machine import available_cores

    wanted = [name for name in FLOPS if name in {"gemm", *operations}]
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "status": "ok",
        "reason": None,
        "case": {
            "threads": threads,
            "size": size,
            "blas": blas,
            "kernels": kernels,
            "operations": wanted,
        },
    }
    cores = available_cores()
    if threads > cores:
        return record | {"status": "skipped", "reason": f"{threads} threads, {cores} cores"}
    best = kernel_environment(kernels)
    if kernels == "best" and not best:
        reason = "the library's own dispatch already chose the best kernels"
        return record | {"status": "skipped", "reason": reason}
    name = f"kernels-{kernels}-{threads}-{size}-{'-'.join(wanted)}.json"
    path = store / name if store else None
    if path is not None and path.exists():
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return stored
    done = subprocess.run(
        [sys.executable, "-m", "bench_core.measure.kernels", str(size), str(repeats), *wanted],
        env={**os.environ, **thread_environment(threads), **best},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        last = (done.stderr.strip() or "no output").splitlines()[-1]
        raise RidgebenchError(f"timing the kernels with {threads} threads failed: {last}")
    record |= json.loads(done.stdout)
    if blas is not None and {record["blas"][who]["name"] for who in ("numpy", "scipy")} != {blas}:
        found = {who: record["blas"][who]["name"] for who in ("numpy", "scipy")}
        record |= {"status": "invalid", "reason": f"declared {blas}, loaded {found}"}
    if path is not None:
        temporary = path.with_suffix(".part")
        temporary.write_text(json.dumps(record), encoding="utf-8")
        temporary.replace(path)
    return record


def time_kernels(
    size: int, repeats: int, operations: Sequence[str] = tuple(FLOPS)
) -> dict[str, dict[str, dict[str, float]]]:
    """Return seconds, GFLOP/s and the fraction of the gemm beside it, per precision and kernel."""
    rates: dict[str, dict[str, dict[str, float]]] = {}
    for precision in PRECISIONS:
        calls = _calls(size, precision)
        rates[precision] = {}
        for name in operations:
            n, call = calls[name]
            call()  # spins up the threads and touches the memory
            seconds = median([_seconds(call) for _ in range(repeats)])
            rates[precision][name] = {
                "seconds": seconds,
                "gflops": FLOPS[name](n) / seconds / 1e9,
            }
        best = rates[precision]["gemm"]["gflops"]
        for rate in rates[precision].values():
            rate["fraction_of_gemm"] = rate["gflops"] / best
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


def _main() -> None:
    """Print, as JSON, what this process's libraries reach; `measure_kernels` starts it."""
    from bench_core.blas import detect
    from bench_core.records.provenance import without_paths

    size, repeats = int(sys.argv[1]), int(sys.argv[2])
    rates = time_kernels(size, repeats, sys.argv[3:])
    print(json.dumps({"rates": rates, "blas": without_paths(detect().to_dict())}))


if __name__ == "__main__":
    _main()
