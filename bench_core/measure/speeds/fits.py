"""Whole fits that are timed for a calibration: some to check it, and fits of next to nothing."""

from __future__ import annotations

import gc
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench_core import strategies
from bench_core.errors import RidgebenchError
from bench_core.measure.speeds.timing import call_seconds
from bench_core.scaling.calibration import Calibration, CheckedFit, FitOverhead
from bench_core.scaling.operations import OVERHEADS
from bench_core.scaling.prediction import predict

if TYPE_CHECKING:
    from bench_core.cluster import Cluster

CHECKS: tuple[tuple[str, int, int, int], ...] = (
    ("ridgecv", 400, 600, 3000),
    ("ridgecv", 1500, 300, 300),
    ("multitarget", 700, 1200, 6000),
    ("multitarget", 2500, 500, 1000),
)
"""Strategies and t, p, s of the fits that are predicted and timed."""

EMPTY = (24, 36, 8)
"""t, p and s of a fit of next to nothing."""

EMPTY_TARGETS = {"mor": 48}
"""Targets of such a fit where every target is a task."""

LEAST_FITS, MOST_FITS = 3, 25
"""Fits of next to nothing that are timed."""

LEAST_FACTOR = 0.01


@dataclass(frozen=True)
class EmptyFit:
    """A fit of next to nothing that was timed."""

    strategy: str
    nodes: int
    threads: int
    seconds: float


def time_checks(threads: int, *, quick: bool = False) -> Iterator[CheckedFit]:
    """Yield the fits that are predicted, each with its median time."""
    rng = np.random.default_rng(1)
    for name, t, p, s in CHECKS:
        n, m, k = (t // 10, p // 10, s // 10) if quick else (t, p, s)
        X, Y = rng.standard_normal((n, m)), rng.standard_normal((n, k))
        model: Any = strategies.get(name)()
        seconds = call_seconds(partial(model.fit, X, Y), 0.0 if quick else 0.6)
        yield CheckedFit(name, n, m, k, threads, seconds)


def fit_seconds() -> float:
    """Return the time of scikit-learn's RidgeCV on next to nothing."""
    X, Y = _nothing("ridgecv")
    model: Any = strategies.get("ridgecv")()
    return call_seconds(lambda: model.fit(X, Y), 0.1)


def empty_fits(
    threads: int, *, cluster: Cluster | None = None, quick: bool = False
) -> Iterator[EmptyFit]:
    """Yield the fits of next to nothing of every strategy whose cost is known.

    Parameters
    ----------
    threads : of this process, or of every node.
    cluster : on which distributed strategies run; None for the others, in this process.
    """
    for name in strategies.with_cost():
        kind = strategies.get(name)
        if kind.distributed != (cluster is not None):
            continue
        try:
            seconds = _empty_seconds(kind, cluster, 0.0 if quick else 0.3)
        except (ImportError, RidgebenchError):
            continue  # of a package that is not installed
        yield EmptyFit(name, 1 if cluster is None else cluster.nodes, threads, seconds)


def _empty_seconds(kind: type[strategies.Strategy], cluster: Cluster | None, least: float) -> float:
    """Return the median time of fits as they are measured: of mapped files, each a new model.

    After a collection of garbage, too: what was in the caches before is then gone.
    """
    given: dict[str, Any] = {} if cluster is None else {"cluster": cluster}
    times: list[float] = []
    with tempfile.TemporaryDirectory(prefix="ridgebench-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # noise has no best penalty within the grid
        for name, values in zip("XY", _nothing(kind.name), strict=True):
            np.save(Path(folder, f"{name}.npy"), values)
        X, Y = (np.load(Path(folder, f"{name}.npy"), mmap_mode="r") for name in "XY")
        kind(**given).fit(X, Y)
        while len(times) < LEAST_FITS or (sum(times) < least and len(times) < MOST_FITS):
            gc.collect()
            model: Any = kind(**given)
            started = perf_counter()
            model.fit(X, Y)
            times.append(perf_counter() - started)
        del X, Y, model
    return median(times)


def overheads(empty: Iterable[EmptyFit], calibration: Calibration) -> tuple[FitOverhead, ...]:
    """Return what counted tasks, rounds and calls are multiplied by to meet empty fits.

    What little else is in such a fit of next to nothing stays as ``calibration`` predicts it.
    """
    found = []
    for one in empty:
        t, p, s = empty_size(one.strategy)
        cost = strategies.get(one.strategy)().cost(t, p, s, nodes=one.nodes)
        if cost is None:
            continue
        expected = predict(cost, calibration, one.threads, nodes_per_machine=one.nodes)
        counted = sum(expected.kinds.get(kind, 0.0) for kind in OVERHEADS)
        rest = expected.seconds - counted
        factor = max((one.seconds - rest) / counted, LEAST_FACTOR) if counted > 0 else 1.0
        found.append(FitOverhead(one.strategy, one.nodes, one.threads, one.seconds, factor))
    return tuple(found)


def empty_size(strategy: str) -> tuple[int, int, int]:
    """Return t, p and s of the fit of next to nothing of a strategy."""
    t, p, s = EMPTY
    return t, p, EMPTY_TARGETS.get(strategy, s)


def _nothing(strategy: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(2)
    t, p, s = empty_size(strategy)
    return rng.standard_normal((t, p)), rng.standard_normal((t, s))
