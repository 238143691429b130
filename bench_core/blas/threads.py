"""Proof of the threads that a matrix product runs on, whatever variables and libraries say.

A library may report n threads and use fewer: ``OMP_THREAD_LIMIT`` is one of many limits that its
count does not show. So a product is made, and the processor time of every thread of this process
is read before and after. A thread that took part has worked; one that was never started, or waits,
has not, and threads that are bound to one core count as one. A busy machine or a quota slows
threads down but does not make them vanish, so they raise no false alarm here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time, sleep

from bench_core.machine.pinning import TASKS, threads, usable, usable_by

#: A thread that did this part of the busiest one's work took part. Idle threads of another pool,
#: which wait in a loop for some milliseconds, did less.
_PART = 0.2
#: Seconds of products: the first proves threads on an idle machine, the others on a busy one.
_SECONDS = (0.2, 0.5, 1.5)
#: Seconds after which the threads of an earlier call have stopped waiting in a loop.
_SETTLE_S = 0.05
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class ProductThreads:
    """Threads of one package's matrix product.

    Attributes
    ----------
    package : "numpy", "scipy" or "torch".
    asked, used : threads that the process was given, and those that worked.
    busy : processor time over wall time.
    gflops : rate of the product.

    Examples
    --------
    >>> ProductThreads("numpy", asked=2, used=1, busy=1.0, gflops=45.0).enough
    False
    >>> ProductThreads("numpy", asked=64, used=60, busy=59.0, gflops=2900.0).enough
    True
    """

    package: str
    asked: int
    used: int
    busy: float
    gflops: float

    @property
    def enough(self) -> bool:
        """Whether all threads worked; of more than ten, nine tenths."""
        return self.used >= self.asked - self.asked // 10


def product_threads(threads: int, dtype: str = "float64") -> list[ProductThreads]:
    """Return the threads of a matrix product by numpy's and by scipy's BLAS in this process.

    Takes half a second; several where threads are missing, which is tried again.

    Parameters
    ----------
    threads : that this process was given.
    dtype : "float64" or "float32".
    """
    import numpy as np
    from scipy.linalg import blas

    n = _order(threads)
    a = np.random.default_rng(0).standard_normal((n, n)).astype(dtype)
    out = np.empty_like(a)
    fortran, result = np.asfortranarray(a), np.empty_like(a, order="F")
    gemm = blas.get_blas_funcs("gemm", (fortran,))
    calls: dict[str, Callable[[], object]] = {
        "numpy": lambda: np.matmul(a, a, out=out),
        "scipy": lambda: gemm(1.0, fortran, fortran, beta=0.0, c=result, overwrite_c=True),
    }
    return _threads_of(calls, threads, n)


def torch_threads(threads: int, dtype: str = "float64") -> list[ProductThreads]:
    """Return the threads of a matrix product in torch on the processor, as `product_threads`."""
    import torch

    n = _order(threads)
    a = torch.ones((n, n), dtype=getattr(torch, dtype))
    out = torch.empty_like(a)
    return _threads_of({"torch": lambda: torch.matmul(a, a, out=out)}, threads, n)


def _order(threads: int) -> int:
    """Return an order that is large enough for every thread to have rows of its own."""
    return min(4096, max(1024, 32 * threads))


def _threads_of(
    calls: dict[str, Callable[[], object]], threads: int, n: int
) -> list[ProductThreads]:
    """Return the threads of each package's product of order n."""
    found = []
    for package, call in calls.items():
        call()  # starts the threads
        for seconds in _SECONDS:
            one = _watched(package, call, threads, 2.0 * n**3, seconds)
            if one.enough:
                break
        found.append(one)
    return found


def _watched(
    package: str, call: Callable[[], object], asked: int, flops: float, seconds: float
) -> ProductThreads:
    """Return what threads did while ``call`` was repeated for so many seconds."""
    sleep(_SETTLE_S)
    before, cpu, started = thread_seconds(), process_time(), perf_counter()
    calls, wall = 0, 0.0
    while wall < seconds:
        call()
        calls += 1
        wall = perf_counter() - started
    spent = process_time() - cpu
    worked = {thread: now - before.get(thread, 0.0) for thread, now in thread_seconds().items()}
    most = max(worked.values(), default=0.0)
    active = [thread for thread, one in worked.items() if 0 < _PART * most <= one]
    used = max(1, min(len(active), len(_cores(active))))
    # Threads that were started for one call and have ended are in the process's time alone.
    ended = spent - sum(worked.values())
    if most and ended >= _PART * most:
        used = min(used + round(ended / most), len(usable()))
    return ProductThreads(package, asked, used, spent / wall, calls * flops / wall / 1e9)


def _cores(threads: list[int]) -> set[int]:
    """Return the cores that any of these threads may run on: several may be bound to one."""
    found: set[int] = set()
    for thread in threads:
        try:
            found |= usable_by(thread)
        except ProcessLookupError:  # ended meanwhile
            continue
    return found


def thread_seconds() -> dict[int, float]:
    """Return the processor time of every thread of this process; nothing off Linux."""
    found = {}
    for thread in threads():
        # It may have ended since the list was read.
        with suppress(OSError):
            found[thread] = _seconds_of(TASKS / str(thread))
    return found


def _seconds_of(task: Path) -> float:
    try:
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    except (FileNotFoundError, IndexError):  # a kernel without it: in ticks of 10 ms
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
