"""Time of a sweep: what is left of it, and what the next case will take, start to end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from bench_core.records.case import Until
from bench_core.runner.repeats import LEAST_REPEATS

Clock = Callable[[], float]

FIRST_OVERHEAD_S = 8.0
"""Seconds of a measurement beside its fits, before one was made: processes, imports, checks."""

RESERVE_S = 10.0
RESERVE_PART = 0.05
"""What is kept for the results: this part of the time, and no more than so many seconds."""


@dataclass
class Budget:
    """Time that a sweep may take.

    Parameters
    ----------
    within_s : None for no limit. clock : seconds that only grow.

    Examples
    --------
    >>> seconds = iter([100.0, 130.0])
    >>> Budget(60.0, clock=lambda: next(seconds)).left()
    27.0
    """

    within_s: float | None
    clock: Clock = time.monotonic
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    def left(self) -> float:
        """Return the seconds in which measurements may still end; infinite without a limit."""
        if self.within_s is None:
            return math.inf
        reserve = min(RESERVE_S, RESERVE_PART * self.within_s)
        return self.within_s - reserve - (self.clock() - self.began)


@dataclass
class CaseTimes:
    """What a measurement takes beside and with its fits, learned from those that were made.

    Parameters
    ----------
    until : when the repeats of a run end.

    Examples
    --------
    >>> times = CaseTimes(Until(budget_s=10.0))
    >>> times.fits(0.5), times.fits(4.0), times.fits(60.0)
    (2.5, 14.0, 120.0)
    >>> times.add(wall_s=9.0, fit_s=1.0)
    >>> times.expected(0.5)
    6.5
    """

    until: Until
    overheads: list[float] = field(default_factory=list)

    def fits(self, fit_s: float) -> float:
        """Return the seconds of all fits of a case: warm-up, repeats, and one on shuffled rows."""
        if fit_s >= self.until.budget_s:
            return 2 * fit_s
        return min((LEAST_REPEATS + 2) * fit_s, self.until.budget_s + fit_s)

    def expected(self, fit_s: float | None) -> float:
        """Return the seconds that a case takes whose fit takes ``fit_s``; None if unknown."""
        overhead = median(self.overheads) if self.overheads else FIRST_OVERHEAD_S
        return overhead + (0.0 if fit_s is None else self.fits(fit_s))

    def add(self, *, wall_s: float, fit_s: float) -> None:
        """Learn from a measurement that took ``wall_s`` in all."""
        self.overheads.append(max(0.0, wall_s - self.fits(fit_s)))
