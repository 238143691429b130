"""The thesis's published times as observations, and its own model of them.

S. Ahmadi, "Scaling up Machine Learning Models for fMRI Brain Encoding" (Concordia University,
2025): equations 3.6 (MOR) and 3.7 (B-MOR), figures 3.6 and 3.9 to 3.11. The scikit-learn of its
time chose the penalty before it formed coefficients ("before 1.9" in
`bench_core.scaling.costs.ridgecv`), and its B-MOR sent X, targets and coefficients as messages.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from bench_core.data.shapes import shape
from bench_core.penalties import THESIS_ALPHAS
from bench_core.ridge.planning.flops import FitShape
from bench_core.scaling.calibration import CalibratedBlas, CalibratedMachine, Calibration
from bench_core.scaling.costs import ridgecv as costs
from bench_core.scaling.operations import FitCost
from bench_core.scaling.parameters import (
    Observation,
    Parameters,
    build_calibration,
)
from bench_core.scaling.published_times import PublishedTime

HELD_OUT = 0.1
"""Fraction of the samples that the thesis holds out."""

THREADS = (1, 2, 4, 8, 16, 32)
CPU = "Intel Xeon Gold 6130 @ 2.10GHz, 32 cores"
NODE_BYTES = 250 * 2**30
NODES = 8

PRIOR = Parameters(
    gemm=60.0,
    gemm_serial=0.03,
    eigh=20.0,
    eigh_serial=0.1,
    svd=30.0,
    svd_serial=0.05,
    memory=5.0,
    fresh_part=1.0,
    network=1.0,
    task_s=1.0,
    task_parallel_s=1.0,
    pages=5.0,
    message_s=0.001,
)
"""What is likely of a Xeon Gold 6130 (2.1 GHz, AVX-512) and of 10-gigabit Ethernet."""


@dataclass(frozen=True)
class Configuration:
    """One configuration of the thesis.

    Examples
    --------
    >>> Configuration("3.10", "whole-brain-bmor", "mkl", "bmor", 8, 32).nodes
    8
    """

    figure: str
    problem: str
    blas: str
    strategy: str
    nodes: int
    threads: int


@dataclass(frozen=True)
class PublishedPoint:
    """The times of one configuration over subjects: their geometric mean, and its cost.

    Examples
    --------
    >>> from bench_core.scaling.published_times import published_times
    >>> points = published_points(published_times())
    >>> len(points), points[0].configuration.threads
    (70, 1)
    """

    configuration: Configuration
    observation: Observation
    shape: FitShape


def thesis_shape(problem: str, targets: float | None = None) -> FitShape:
    """Return the shape that the thesis fits: the training samples of a problem."""
    size = shape(problem)
    train = size.t - math.ceil(HELD_OUT * size.t - 1e-9)
    return FitShape(train, size.p, round(targets or size.s), len(THESIS_ALPHAS))


def thesis_cost(strategy: str, fitted: FitShape, nodes: int) -> FitCost:
    """Return the cost of a fit as the thesis's code does it."""
    if strategy == "ridgecv":
        return costs.ridgecv(fitted, release="before 1.9")
    if strategy == "bmor":
        return costs.bmor(fitted, nodes, release="before 1.9", by_message=True)
    return costs.mor(fitted, nodes, release="before 1.9")


def published_points(times: Iterable[PublishedTime]) -> tuple[PublishedPoint, ...]:
    """Return the configurations in the order of the times, each with its subjects' mean."""
    grouped: dict[Configuration, list[PublishedTime]] = defaultdict(list)
    for one in times:
        key = Configuration(
            one.figure, one.resolution, one.blas, one.strategy, one.nodes, one.threads
        )
        grouped[key].append(one)
    found = []
    for key, group in grouped.items():
        targets = fmean(shape(one.resolution, subject=one.subject).s for one in group)
        fitted = thesis_shape(key.problem, targets)
        cost = thesis_cost(key.strategy, fitted, key.nodes)
        seconds = math.exp(fmean(math.log(one.seconds) for one in group))
        found.append(PublishedPoint(key, Observation(cost, key.threads, seconds), fitted))
    return tuple(found)


def thesis_calibration(values: Parameters, blas: str = "mkl") -> Calibration:
    """Return the calibration of the thesis's nodes with these parameters."""
    return build_calibration(
        values,
        machine=CalibratedMachine(
            f"xeon-6130-{blas}",
            "Intel Xeon Gold 6130 @ 2.10GHz (2 × 16 cores)",
            32,
            NODE_BYTES,
            NODES,
        ),
        blas=CalibratedBlas(blas, None, "SkylakeX"),
        threads=THREADS,
    )


@dataclass(frozen=True)
class PlainModel:
    """Equations 3.6 and 3.7 with one rate and Amdahl's law for threads.

    rate : Gflop/s of one thread. serial : part of the time that more threads do not shorten.

    Examples
    --------
    >>> model = PlainModel(rate=80.0, serial=0.1)
    >>> one, two = (model.seconds("bmor", thesis_shape("whole-brain-bmor"), c, 1) for c in (1, 2))
    >>> 1 < one / two < 2
    True
    """

    rate: float
    serial: float

    def seconds(self, strategy: str, fitted: FitShape, nodes: int, threads: int) -> float:
        """Return T = T_W / c + T_M for RidgeCV and B-MOR, (T_W + s T_M) / c for MOR."""
        shared, grown = plain_flops(fitted)
        repeats = fitted.s / nodes if strategy == "mor" else 1
        flops = grown / nodes + repeats * shared
        return flops / (1e9 * self.rate) * (self.serial + (1 - self.serial) / threads)


def plain_flops(fitted: FitShape) -> tuple[float, float]:
    """Return the flops of T_M, which depends on X alone, and of T_W, which grows with targets."""
    whole = thesis_cost("ridgecv", fitted, 1).flops()
    twice = thesis_cost("ridgecv", _with_targets(fitted, 2 * fitted.s), 1).flops()
    grown = twice - whole
    return whole - grown, grown


def _with_targets(fitted: FitShape, s: int) -> FitShape:
    return FitShape(fitted.t, fitted.p, s, fitted.r)


def fit_plain(points: Sequence[PublishedPoint]) -> PlainModel:
    """Return the rate and the serial part with the least squared logarithmic errors."""
    from scipy.optimize import least_squares

    seconds = np.log([one.observation.seconds for one in points])

    def model(values: NDArray[np.float64]) -> PlainModel:
        return PlainModel(float(np.exp(values[0])), float(1 / (1 + np.exp(-values[1]))))

    def residuals(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.log(plain_seconds(model(values), points)) - seconds

    return model(least_squares(residuals, np.array([math.log(50.0), -2.0])).x)


def plain_seconds(model: PlainModel, points: Sequence[PublishedPoint]) -> NDArray[np.float64]:
    """Return the plain model's seconds of every point."""
    return np.array(
        [
            model.seconds(
                one.configuration.strategy,
                one.shape,
                one.configuration.nodes,
                one.configuration.threads,
            )
            for one in points
        ]
    )
