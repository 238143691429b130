"""What nodes take to start, to be given tasks and to send arrays, and what files take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench_core.measure.speeds.fits import EmptyFit, empty_fits
from bench_core.measure.speeds.timing import call_seconds

if TYPE_CHECKING:
    from bench_core.cluster import Cluster

TASKS = 100
"""Tasks that are handed out together."""

_BLOCK = 64 * 2**20


@dataclass(frozen=True)
class Exchange:
    """What nodes and their files take; seconds, and GB/s.

    empty : fits of next to nothing on nodes.
    """

    start_s: float
    start_node_s: float
    round_s: float
    task_s: float
    message_s: float
    latency_s: float
    network: float
    file: float
    empty: tuple[EmptyFit, ...] = ()


def time_exchange(
    cores: int, scratch: Path | None, blas: str | None, kernels: str, *, quick: bool
) -> Exchange:
    """Time clusters of one node and of two, and one node with a thread for every core."""
    from bench_core.cluster import start

    options: dict[str, Any] = {"blas": blas, "kernels": kernels, "scratch": scratch}
    nodes = min(2, cores)
    empty: list[EmptyFit] = []
    start_s = 0.0
    if not quick:
        for threads in sorted({1, cores}, reverse=True):
            began = perf_counter()
            with start("local", 1, threads, **options) as cluster:
                start_s = perf_counter() - began
                empty += empty_fits(threads, cluster=cluster)
    began = perf_counter()
    with start("local", nodes, 1, **options) as cluster:
        start_all = perf_counter() - began
        start_s = start_s or start_all
        found = _exchange(cluster, nodes, quick=quick)
        if nodes > 1 or quick:
            empty += empty_fits(1, cluster=cluster, quick=quick)
    return replace(
        found,
        start_s=start_s,
        start_node_s=max(0.0, start_all - start_s) / max(1, nodes - 1),
        empty=tuple(empty),
    )


def _exchange(cluster: Cluster, nodes: int, *, quick: bool) -> Exchange:
    least = 0.0 if quick else 0.5
    task = call_seconds(lambda: cluster.gather([cluster.submit(0, _nothing)]), least)

    def all_tasks() -> None:
        cluster.gather([cluster.submit(i % nodes, _nothing, i) for i in range(TASKS)])

    message = call_seconds(all_tasks, least) / TASKS
    network, latency = _between(cluster, nodes)
    written = min(_first_write(cluster) for _ in range(3))
    return Exchange(
        start_s=0.0,
        start_node_s=0.0,
        round_s=task,
        task_s=message,
        message_s=message,
        latency_s=max(0.0, latency - task),
        network=network,
        file=_BLOCK / written / 1e9,
    )


def _first_write(cluster: Cluster) -> float:
    """Return the seconds in which a node writes rows into a new file, whose pages are new, too."""
    rows = cluster.rows((_BLOCK // 8192, 1024), np.float64)
    try:
        found: list[float] = cluster.gather([cluster.submit(0, _write, rows, rows.shape[0])])
    finally:
        rows.remove()
    return found[0]


def _between(cluster: Cluster, nodes: int) -> tuple[float, float]:
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
