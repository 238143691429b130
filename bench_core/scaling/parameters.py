"""A calibration from few numbers, fitted to times of whole fits.

Published and recorded times say nothing of single kernels. What they can tell is one rate and one
serial fraction for each kernel, the memory's rate and the cost of tasks. Each has a prior, a wide
one, so that what the times do not touch stays where it is likely.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from bench_core.scaling.calibration import (
    SCHEMA_CALIBRATION,
    CalibratedBlas,
    CalibratedMachine,
    Calibration,
    KernelSpeed,
    MemorySpeed,
    TaskTime,
)
from bench_core.scaling.operations import FitCost, Kernel
from bench_core.scaling.prediction import predict

NOISE = 0.05
"""Relative error that a single time is taken to have."""

_LARGEST = 8192


@dataclass(frozen=True)
class Parameters:
    """Speeds of a machine in few numbers.

    gemm, eigh, svd : Gflop/s on one thread in float64; syrk runs as gemm. ``…_serial`` : the part
    of a kernel's time on one thread that more threads do not shorten. half_size : size of a product
    at half its rate. memory : GB/s of one thread. fresh_part : rate of new memory as a part of
    that. pages : GB/s without huge pages. network : GB/s between nodes. task_s, task_parallel_s :
    seconds of a task, task_s + task_parallel_s / threads. message_s, round_s, fit_s : as in
    `Calibration`.

    Examples
    --------
    >>> Parameters().gemm > Parameters().eigh
    True
    """

    gemm: float = 50.0
    gemm_serial: float = 0.03
    eigh: float = 20.0
    eigh_serial: float = 0.1
    svd: float = 25.0
    svd_serial: float = 0.05
    half_size: float = 16.0
    memory: float = 8.0
    fresh_part: float = 0.6
    pages: float = 1.6
    network: float = 1.0
    task_s: float = 0.001
    task_parallel_s: float = 0.0001
    message_s: float = 0.003
    round_s: float = 0.01
    fit_s: float = 0.002

    def logs(self) -> NDArray[np.float64]:
        """Return the logarithms of all parameters."""
        return np.log([getattr(self, one.name) for one in fields(self)])

    @staticmethod
    def from_logs(values: NDArray[np.float64]) -> Parameters:
        """Return the parameters with these logarithms; serial parts are at most all."""
        found = {
            one.name: float(np.exp(value))
            for one, value in zip(fields(Parameters), values, strict=True)
        }
        return Parameters(
            **{
                name: min(value, 0.999) if name.endswith("_serial") else value
                for name, value in found.items()
            }
        )


WIDTHS = Parameters(
    gemm=0.7,
    gemm_serial=1.5,
    eigh=1.0,
    eigh_serial=1.5,
    svd=1.0,
    svd_serial=1.5,
    half_size=0.5,
    memory=0.7,
    fresh_part=0.5,
    pages=0.3,
    network=0.7,
    task_s=1.0,
    task_parallel_s=1.0,
    message_s=0.3,
    round_s=0.4,
    fit_s=0.3,
)
"""Standard deviations of the priors, of the logarithms."""


@dataclass(frozen=True)
class Observation:
    """One time of a whole fit.

    Examples
    --------
    >>> from bench_core.ridge.planning.flops import FitShape
    >>> from bench_core.scaling.costs.ridgecv import ridgecv
    >>> cost = ridgecv(FitShape(t=900, p=400, s=20, r=11))
    >>> Observation(cost, threads=2, seconds=0.5).threads
    2
    """

    cost: FitCost
    threads: int
    seconds: float
    nodes_per_machine: int = 1


def fit_parameters(
    observations: Sequence[Observation],
    build: Callable[[Parameters], Calibration],
    prior: Parameters | None = None,
    widths: Parameters | None = None,
) -> tuple[Parameters, float]:
    """Return the most likely parameters, and the standard deviation of log(measured / predicted).

    build : makes the machine's calibration of them. prior, widths : what is likely before, and
    the standard deviations of its logarithms; None for `Parameters` and `WIDTHS`.
    """
    from scipy.optimize import least_squares

    start = (prior or Parameters()).logs()
    wide = np.exp((widths or WIDTHS).logs())
    seconds = np.log([one.seconds for one in observations])

    def misfit(values: NDArray[np.float64]) -> NDArray[np.float64]:
        calibration = build(Parameters.from_logs(values))
        return seconds - np.log(predicted(observations, calibration))

    def residuals(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate([misfit(values) / NOISE, (values - start) / wide])

    found = least_squares(residuals, start, loss="soft_l1").x
    left = misfit(found)
    return Parameters.from_logs(found), float(np.sqrt(np.mean(left * left)))


def predicted(observations: Sequence[Observation], calibration: Calibration) -> NDArray[np.float64]:
    """Return the predicted seconds of every observation."""
    return np.array(
        [
            predict(
                one.cost, calibration, one.threads, nodes_per_machine=one.nodes_per_machine
            ).seconds
            for one in observations
        ]
    )


def build_calibration(
    values: Parameters,
    *,
    machine: CalibratedMachine,
    blas: CalibratedBlas,
    threads: Sequence[int],
) -> Calibration:
    """Return the calibration that these parameters describe, tabulated for thread counts."""
    kernels = []
    own: dict[Kernel, tuple[float, float]] = {
        "gemm": (values.gemm, values.gemm_serial),
        "syrk": (values.gemm, values.gemm_serial),
        "eigh": (values.eigh, values.eigh_serial),
        "svd": (values.svd, values.svd_serial),
    }
    for kernel, (rate, serial) in own.items():
        for count in threads:
            full = rate / (serial + (1 - serial) / count)
            for size in (1, 8, 64, 512, _LARGEST):
                small = size / (size + values.half_size) if kernel in ("gemm", "syrk") else 1.0
                kernels.append(KernelSpeed(kernel, "float64", count, size, max(full * small, 1e-6)))
    return Calibration(
        schema=SCHEMA_CALIBRATION,
        source="published",
        machine=machine,
        blas=blas,
        kernels=tuple(kernels),
        memory=(
            MemorySpeed("stream", 1, values.memory),
            MemorySpeed("fresh", 1, values.memory * values.fresh_part),
            MemorySpeed("pages", 1, values.pages),
        ),
        network_gbytes_s=values.network,
        latency_s=0.0,
        tasks=tuple(
            TaskTime(count, values.task_s + values.task_parallel_s / count) for count in threads
        ),
        message_s=values.message_s,
        round_s=values.round_s,
        fit_s=values.fit_s,
        start_s=10.0,
        start_node_s=0.0,
        spread=0.0,
        checked=0,
        versions={},
        started=None,
        seconds=0.0,
    )


def rounded(value: float, digits: int = 4) -> float:
    """Return a number to some significant digits.

    >>> rounded(123.456), rounded(0.00123456)
    (123.5, 0.001235)
    """
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, digits - 1 - math.floor(math.log10(abs(value))))
