"""Made series over commits: noise, spikes and drift, half of them with one step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

COMMITS = 40
KINDS = ("noise 5 %", "noise 10 %", "noise 20 %", "spikes", "drift")
_NOISE = {"noise 5 %": 0.05, "noise 10 %": 0.1, "noise 20 %": 0.2, "spikes": 0.05, "drift": 0.05}
EDGE = 5
"""Commits before and after a step, at least."""


@dataclass(frozen=True)
class MadeSeries:
    """Times in seconds (40,), one per commit, and the step in them.

    ``position`` is that of the first commit after the step and ``ratio`` its size; None and 1
    where there is none.
    """

    kind: str
    seconds: NDArray[np.float64]
    position: int | None
    ratio: float


def make_series(
    kind: str,
    rng: np.random.Generator,
    *,
    step: bool,
    ratio: float | None = None,
    position: int | None = None,
    repeats: int | None = None,
) -> MadeSeries:
    """Return one series.

    Noise is lognormal. Steps are of 15 to 50 % unless ``ratio`` says another size, as often up as
    down, with at least five commits on either side. A spike makes one commit of twenty 1.5 to 3
    times as long. Drift is a line or half a wave of up to 20 %.
    """
    log = rng.normal(0, _NOISE[kind], COMMITS)
    place = np.linspace(0, 1, COMMITS)
    if kind == "spikes":
        hit = rng.random(COMMITS) < 0.05
        log = log + np.where(hit, np.log(rng.uniform(1.5, 3, COMMITS)), 0)
    if kind == "drift":
        shape = place if rng.random() < 0.5 else (1 - np.cos(math.pi * place)) / 2
        log = log + math.log(1 + rng.uniform(0.05, 0.2)) * rng.choice([-1, 1]) * shape
    at, size = None, 1.0
    if step:
        at = int(rng.integers(EDGE, COMMITS - EDGE + 1)) if position is None else position
        size = ratio or float(rng.uniform(1.15, 1.5))
        size = size if rng.random() < 0.5 else 1 / size
        log = log + math.log(size) * (np.arange(COMMITS) >= at)
    return MadeSeries(kind, np.exp(log), at, size)


def thousand(seed: int = 0, count: int = 1000) -> Iterator[MadeSeries]:
    """Yield ``count`` series: as many of each kind, every second one with a step."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        kind = KINDS[number // 2 % len(KINDS)]
        yield make_series(kind, rng, step=number % 2 == 0)
