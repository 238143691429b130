"""Time of a fit on a calibrated machine, from its operations.

Products and decompositions run at the rate that was measured for their kernel, precision, threads
and size, but no faster than memory gives them their operands. Everything else runs on one thread.
What does not depend on sizes (tasks, rounds, calls) is scaled to meet the strategy's fit of next to
nothing, where the calibration has one.
Between measured thread counts the time per flop is linear in 1/N (Amdahl's law); beyond them it
follows the line of least squares, moved to meet the last one. Between sizes, rates are linear on
logarithmic scales.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bench_core.ridge.planning.flops import KERNELS, Kernel
from bench_core.scaling.calibration import Calibration, MemorySpeed
from bench_core.scaling.operations import OVERHEADS, FitCost, Operation, Phase

Z95 = 1.96
"""Half the width of a 95 % interval, in standard deviations."""


@dataclass(frozen=True)
class Prediction:
    """Predicted time of one fit.

    seconds : of the fit. low, high : 95 % interval, from the calibration's spread.
    phases : seconds of every phase on the critical path; their sum is ``seconds``. kinds : the
    same by kernel and resource.
    start_s : of the cluster, which ``seconds`` does not hold; 0 without one.

    Examples
    --------
    >>> from bench_core.ridge.planning.flops import FitShape
    >>> from bench_core.scaling.calibration import read_calibration
    >>> from bench_core.scaling.costs.ridgecv import ridgecv
    >>> cost = ridgecv(FitShape(t=9000, p=16_384, s=264_805, r=11))
    >>> found = predict(cost, read_calibration("xeon-6130-mkl"), threads=32)
    >>> found.low < found.seconds < found.high
    True
    """

    seconds: float
    low: float
    high: float
    phases: dict[Phase, float]
    kinds: dict[str, float]
    start_s: float

    @property
    def total(self) -> float:
        """Seconds of the fit and of the start of its cluster."""
        return self.seconds + self.start_s


def predict(
    cost: FitCost,
    calibration: Calibration,
    threads: int,
    *,
    nodes_per_machine: int = 1,
    distributed: bool = False,
) -> Prediction:
    """Return the predicted time of a fit whose nodes have ``threads`` threads each.

    nodes_per_machine : nodes that share one machine's memory. distributed : a cluster is started.
    """
    phases: dict[Phase, float] = defaultdict(float)
    kinds: dict[str, float] = defaultdict(float)
    overhead = overhead_factor(calibration, cost.strategy, cost.nodes, threads)
    for stage in cost.stages:
        slowest: list[tuple[Operation, float]] = []
        longest = -1.0
        for load in stage.loads:
            found = [
                (
                    each,
                    operation_seconds(each, calibration, threads, nodes_per_machine)
                    * (overhead if each.kind in OVERHEADS else 1.0),
                )
                for each in load.operations
            ]
            total = sum(seconds for _, seconds in found)
            if total > longest:
                slowest, longest = found, total
        for operation, seconds in slowest:
            phases[operation.phase] += seconds
            kinds[operation.kind] += seconds
    seconds = sum(phases.values())
    factor = math.exp(Z95 * calibration.spread)
    start = calibration.start_s + (cost.nodes - 1) * calibration.start_node_s
    return Prediction(
        seconds,
        seconds / factor,
        seconds * factor,
        dict(phases),
        dict(kinds),
        start if distributed else 0.0,
    )


def operation_seconds(
    operation: Operation, calibration: Calibration, threads: int, together: int = 1
) -> float:
    """Return the time of one operation; ``together`` nodes share the machine's memory."""
    kind = operation.kind
    if kind in KERNELS:
        if operation.flops <= 0:
            return 0.0
        rate = kernel_rate(calibration, kind, operation.dtype, threads, operation.size)
        each = operation.amount / (3 * operation.count)  # bytes of one of three operands
        fed = operation.amount / (1e9 * memory_rate(calibration, "stream", together, each))
        return max(operation.flops / (1e9 * rate), fed)
    if kind == "network":
        return operation.amount / (1e9 * calibration.network_gbytes_s)
    if kind == "task":
        return operation.amount * (task_seconds(calibration, threads) + calibration.latency_s)
    if kind == "message":
        return operation.amount * calibration.message_s
    if kind == "round":
        return operation.amount * calibration.round_s
    if kind == "fit":
        return operation.amount * calibration.fit_s
    return operation.amount / (1e9 * memory_rate(calibration, kind, together, operation.size))


def overhead_factor(calibration: Calibration, strategy: str, nodes: int, threads: int) -> float:
    """Return what counted tasks, rounds and calls are multiplied by; 1 where that is not known.

    It is that of the largest number of nodes, and then of threads, that was timed and is not
    above these; of the smallest where all are above.
    """
    timed = [one for one in calibration.overheads if one.strategy == strategy]
    if not timed:
        return 1.0
    count = _at_most(nodes, [one.nodes for one in timed])
    timed = [one for one in timed if one.nodes == count]
    count = _at_most(threads, [one.threads for one in timed])
    return next(one.factor for one in timed if one.threads == count)


def _at_most(wanted: int, counts: Sequence[int]) -> int:
    """Return the largest count that is not above ``wanted``, else the smallest."""
    return max((one for one in counts if one <= wanted), default=min(counts))


@lru_cache(maxsize=65_536)
def kernel_rate(
    calibration: Calibration, kernel: Kernel, dtype: str, threads: int, size: float
) -> float:
    """Return Gflop/s of a kernel.

    Twice the rate of float64 where nothing was measured in float32. Where they were not measured,
    the staged decomposition runs as LAPACK's, and transposed products as others.
    """
    points = [one for one in calibration.kernels if (one.kernel, one.dtype) == (kernel, dtype)]
    if not points and dtype == "float32":
        return 2 * kernel_rate(calibration, kernel, "float64", threads, size)
    if not points and kernel == "staged":
        return kernel_rate(calibration, "eigh", dtype, threads, size)
    if not points:
        return kernel_rate(calibration, "gemm", dtype, threads, size)
    counts = sorted({one.threads for one in points})
    per_flop = []
    for count in counts:
        own = sorted((one.size, one.gflops) for one in points if one.threads == count)
        sizes, rates = zip(*own, strict=True)
        log_rate = np.interp(math.log(max(size, 1.0)), np.log(sizes), np.log(rates))
        per_flop.append(math.exp(-float(log_rate)))
    return 1 / over_threads(counts, per_flop, threads)


@lru_cache(maxsize=65_536)
def memory_rate(
    calibration: Calibration, kind: str, processes: int, array_bytes: float = 0.0
) -> float:
    """Return GB/s of each of some processes, moving arrays of this size; 0: of the largest size.

    "pages" as "fresh" where it was not measured, and that and "file" as "stream". Between sizes,
    rates are linear on logarithmic scales.
    """
    found = [one for one in calibration.memory if one.kind == kind]
    if not found:
        instead = "fresh" if kind == "pages" else "stream"
        return memory_rate(calibration, instead, processes, array_bytes)
    counts = sorted({one.processes for one in found})
    rates = [
        _rate_of_size([one for one in found if one.processes == count], array_bytes)
        for count in counts
    ]
    if processes >= counts[-1]:  # they share what the most could move
        return rates[-1] * (counts[-1] / processes if len(counts) > 1 else 1.0)
    return float(np.interp(processes, counts, rates))


def _rate_of_size(speeds: Sequence[MemorySpeed], array_bytes: float) -> float:
    """Return the rate for arrays of this size, from those of one number of processes."""
    sized = sorted((one.array_bytes or math.inf, one.gbytes_s) for one in speeds)
    if array_bytes <= 0 or len(sized) == 1 or array_bytes >= sized[-1][0]:
        return float(sized[-1][1])
    limits = [min(size, 2 * sized[-2][0]) for size, _ in sized]
    logs = np.log([rate for _, rate in sized])
    return math.exp(float(np.interp(math.log(array_bytes), np.log(limits), logs)))


def task_seconds(calibration: Calibration, threads: int) -> float:
    """Return the time of a task on its node beside its work."""
    found = sorted((one.threads, one.seconds) for one in calibration.tasks)
    counts, seconds = zip(*found, strict=True)
    return over_threads(counts, seconds, threads)


def over_threads(counts: Sequence[int], times: Sequence[float], threads: int) -> float:
    """Return the time with ``threads``, from times (k,) with ascending ``counts`` of threads (k,).

    >>> round(over_threads((1, 2), (10.0, 6.0), 4), 6)
    4.0
    """
    if len(counts) == 1:
        return float(times[0])
    if threads <= counts[-1]:
        inverse = [1 / count for count in reversed(counts)]
        return float(np.interp(1 / threads, inverse, list(reversed(times))))
    serial, parallel = amdahl(counts, times)
    last = serial + parallel / counts[-1]
    return float(times[-1] * (serial + parallel / threads) / last) if last > 0 else times[-1]


def amdahl(counts: Iterable[int], times: Iterable[float]) -> tuple[float, float]:
    """Return serial and parallel time of a + b / N, by least squares of relative errors, both ≥ 0.

    >>> [round(value, 6) for value in amdahl((1, 2, 4), (10.0, 6.0, 4.0))]
    [2.0, 8.0]
    """
    from scipy.optimize import nnls

    n, t = np.asarray(list(counts), float), np.asarray(list(times), float)
    design = np.column_stack([1 / t, 1 / (n * t)])
    solution, _ = nnls(design, np.ones(len(t)))
    return float(solution[0]), float(solution[1])
