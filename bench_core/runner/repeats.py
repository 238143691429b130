"""How often a fit is repeated: warm-up until times settle, then until the median is known.

The first fit of a process is slower: its memory has not been touched, and the processor's clock
has not risen. So whole fits of the case's own size warm up, at least one, and more while each is
clearly faster than the one before.

Times are described by their median, not by the least of them. Repeats end at different numbers in
the two sides of a comparison, and the least of 20 is lower than the least of 3 by noise alone. The
median is not, whatever the number (``tests/runner/test_repeats.py`` counts both).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench_core.records.case import Until
from bench_core.records.scalars import Stopped

#: A fit is still warm-up if the next one takes less than this part of its time.
SETTLED = 0.95
#: Warm-up fits, at most: what does not settle is noise.
MOST_WARM_UP = 4
#: Repeats before a precision counts: fewer say too little of their own spread.
LEAST_REPEATS = 3
#: Standard error of the median over that of the mean, for normal noise.
_MEDIAN = math.sqrt(math.pi / 2)


def warm_up_fits(times: Sequence[float]) -> int:
    """Return how many of the first fits are warm-up: one, and those before times settle.

    >>> warm_up_fits([1.3, 1.0, 1.01, 0.99])
    1
    >>> warm_up_fits([2.0, 1.5, 1.0, 1.01])
    2
    """
    count = 1
    while count < min(MOST_WARM_UP, len(times) - 1) and times[count + 1] < SETTLED * times[count]:
        count += 1
    return count


def half_width(times: Sequence[float]) -> float:
    """Return the half-width of the 95 % interval of the median, relative to it.

    From the standard deviation of the logarithms, by Student's t; infinite for one time.

    >>> round(half_width([1.0, 1.02, 0.98, 1.0]), 3)
    0.033
    """
    from scipy.special import stdtrit

    n = len(times)
    if n < 2:
        return math.inf
    logs = [math.log(max(one, 1e-9)) for one in times]
    mean = sum(logs) / n
    sd = math.sqrt(sum((one - mean) ** 2 for one in logs) / (n - 1))
    return float(stdtrit(n - 1, 0.975)) * _MEDIAN * sd / math.sqrt(n)


@dataclass
class Repeats:
    """The fits of one process so far, and whether another is needed.

    Parameters
    ----------
    least : repeats before a precision counts; all of them where ``until`` is None.
    until : when to stop, after two repeats at the earliest unless the first fit spent the budget
        alone; None for a fixed number without warm-up.
    enough_s : seconds of fits after which none is begun, whatever was asked.

    Examples
    --------
    >>> fits = Repeats(3, Until(precision=0.05))
    >>> for seconds in (1.3, 1.0, 1.01, 1.0):
    ...     fits.add(seconds)
    >>> fits.stopped, fits.warm_up, fits.repeats
    ('precision', [1.3], [1.0, 1.01, 1.0])
    """

    least: int
    until: Until | None = None
    enough_s: float = math.inf
    times: list[float] = field(default_factory=list)

    def add(self, seconds: float) -> None:
        """Add the wall time of a fit."""
        self.times.append(seconds)

    @property
    def _warm(self) -> int:
        if self.until is None or not self.times:
            return 0
        # A fit that spends the budget alone counts: such long ones gain little by a warm-up.
        if len(self.times) == 1 and self.times[0] >= min(self.until.budget_s, self.enough_s):
            return 0
        return warm_up_fits(self.times)

    @property
    def warm_up(self) -> list[float]:
        """Wall times of the warm-up fits."""
        return self.times[: self._warm]

    @property
    def repeats(self) -> list[float]:
        """Wall times that count."""
        return self.times[self._warm :]

    @property
    def stopped(self) -> Stopped | None:
        """Why no further fit is needed; None if one is."""
        found = self.repeats
        if not found:
            return None
        spent = sum(self.times)
        if self.until is None:
            if len(found) >= self.least:
                return "repeats"
            return "budget" if spent >= self.enough_s else None
        over = spent >= min(self.until.budget_s, self.enough_s)
        # One time alone would say nothing of its noise, so a budget pays for two.
        if over and (len(found) >= min(2, self.least) or not self.warm_up):
            return "budget"
        if len(found) >= self.until.at_most:
            return "at most"
        if len(found) >= self.least and half_width(found) <= self.until.precision:
            return "precision"
        return None
