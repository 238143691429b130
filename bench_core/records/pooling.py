"""Runs of one case, in processes of their own, as one set of times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bench_core.records.statistics import time_summary
from bench_core.records.times import RunTimes, Times

_RESAMPLES = 1000


def choose_runs(runs: Sequence[RunTimes]) -> tuple[RunTimes, ...]:
    """Return the runs with those counted that do: undisturbed ones, or all if every one was.

    Attempts that a run did not count stay so.
    """
    best: dict[int, RunTimes] = {}
    for one in sorted(runs, key=lambda one: (one.disturbed is not None, not one.counted)):
        best.setdefault(one.number, one)
    clean = any(one.disturbed is None for one in best.values())
    return tuple(
        replace(one, counted=one is best[one.number] and (one.disturbed is None or not clean))
        for one in runs
    )


def pool_runs(times: Times, more: Sequence[RunTimes], *, seed: int = 0) -> Times:
    """Return ``times`` with further runs of the case: median and interval over all that count.

    The interval resamples runs, and the repeats of each (A. C. Davison and D. V. Hinkley,
    "Bootstrap Methods and their Application", 1997, section 3.8).
    """
    runs = choose_runs((*times.runs, *more))
    counted = [one.fit_s for one in runs if one.counted]
    found = time_summary([seconds for one in counted for seconds in one], seed=seed)
    if len(counted) > 1:
        found["ci95_s"] = runs_interval(counted, seed=seed)
    return replace(times, **found, runs=runs)


def runs_interval(
    runs: Sequence[Sequence[float]], *, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return the interval of the median over runs, by resampling runs and repeats of each.

    >>> runs_interval([[1.0, 1.0], [2.0, 2.0]])
    (1.0, 2.0)
    """
    random = np.random.default_rng(seed)
    draws = np.empty(_RESAMPLES)
    for number in range(_RESAMPLES):
        chosen = random.integers(len(runs), size=len(runs))
        draws[number] = np.median(
            np.concatenate([random.choice(runs[one], len(runs[one])) for one in chosen])
        )
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
