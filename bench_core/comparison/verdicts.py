"""Verdicts on pairs of measurements: faster, slower, no difference, or cannot tell.

The interval of a ratio covers repeats and runs (`bench_core.comparison.noise`). A case is faster
or slower where its p value is significant at a false-discovery rate over all cases of the
comparison (Benjamini and Hochberg 1995). Otherwise there is no difference where the interval rules
out one of ``margin``, and where it does not, nobody can tell.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bench_core.comparison.noise import DRAWS, Errors, Noise, Runs, estimate, location
from bench_core.errors import InputError
from bench_core.fdr import adjusted_p

Verdict = Literal["faster", "slower", "no difference", "cannot tell"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

RATE = 0.05
"""False-discovery rate over the cases of a comparison."""

MARGIN = 0.2
"""Difference that "no difference" rules out, as a ratio minus 1."""

MEAN_LEVEL = 0.01
"""p value from which the geometric mean is a difference: it is the number that is quoted."""

_MOST_VALUES = 40_000_000
"""Draws of all pairs together from which on every pair has fewer, but `_FEWEST_DRAWS`."""

_FEWEST_DRAWS = 10_000


@dataclass(frozen=True)
class CaseVerdict:
    """Ratio of the second side's time to the first's, its 95 % interval, and the verdict on it.

    ``interval``, ``p`` and ``adjusted`` are None where one time alone says nothing of its noise.

    Examples
    --------
    >>> pair = ((1.0, 1.01, 0.99),), ((2.0, 2.02, 1.98),)
    >>> found = judge([pair] * 6).cases[0]
    >>> found.verdict, round(found.ratio, 2)
    ('slower', 2.0)
    """

    ratio: float
    interval: tuple[float, float] | None
    p: float | None
    adjusted: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Judgement:
    """Verdicts on all cases, and on their geometric mean; ``mean`` is None without a case.

    Examples
    --------
    >>> judge([]).mean is None
    True
    """

    cases: tuple[CaseVerdict, ...]
    mean: CaseVerdict | None
    noise: Noise

    def count(self, verdict: Verdict) -> int:
        """Return the number of cases with a verdict."""
        return sum(one.verdict == verdict for one in self.cases)


def judge(
    pairs: Sequence[tuple[Runs, Runs]],
    *,
    rate: float = RATE,
    margin: float = MARGIN,
    others: Sequence[Runs] = (),
    interleaved: Sequence[bool] = (),
    same: Sequence[tuple[Runs, Runs]] = (),
    seed: int = 0,
) -> Judgement:
    """Judge the second side of every pair of repeated times against the first.

    Parameters
    ----------
    others : runs of further cases of the same machine, which tell its noise.
    interleaved : for every pair, whether its sides were measured in turn, run by run, so that they
        share what slows the machine for minutes. None are where nothing is given.
    same : such pairs of an environment with itself (A/A), which tell the noise between sides.

    Raises
    ------
    InputError : a rate or a margin that is none.
    """
    if not 0 < rate < 1:
        raise InputError(f"false-discovery rate {rate:g} is not between 0 and 1: 0.05 is usual")
    if not margin > 0:
        raise InputError(f"margin {margin:g} is not above 0: 0.2 stands for 20 %")
    together = list(interleaved) or [False] * len(pairs)
    parts = list(zip(pairs, together, strict=True))
    apart = [side for pair, both in parts if not both for side in pair]
    noise = estimate(
        [*apart, *others], interleaved=[pair for pair, both in parts if both], same=same
    )
    errors = Errors(noise, seed=seed, draws=_draws(len(pairs)))
    changes = [location(second) - location(first) for first, second in pairs]
    total = _Total()
    tests: list[_Test | None] = []
    for change, (pair, both) in zip(changes, parts, strict=True):
        repeats = _difference(errors, pair)
        if repeats is None:
            tests.append(None)
            continue
        first, second = map(len, pair)
        total.add(change, repeats, first, second, both)
        tests.append(_test(change, repeats + errors.of_runs(first, second, interleaved=both)))
    adjusted = adjusted_p([math.nan if one is None else one.p for one in tests])
    cases = tuple(
        _case(change, test, float(value), rate, margin)
        for change, test, value in zip(changes, tests, adjusted, strict=True)
    )
    return Judgement(cases, _mean(errors, total, margin), noise)


@dataclass(frozen=True)
class _Test:
    """p value of a change of log time, and its interval."""

    p: float
    low: float
    high: float


@dataclass
class _Total:
    """The geometric mean as its cases come: draws are summed, so that none has to be kept."""

    changes: list[float] = field(default_factory=list)
    errors: NDArray[np.float64] | None = None
    fewest: tuple[int, int] = (0, 0)
    together: bool = True

    def add(
        self, change: float, error: NDArray[np.float64], first: int, second: int, both: bool
    ) -> None:
        least = (first, second) if not self.changes else self.fewest
        self.fewest = min(least[0], first), min(least[1], second)
        self.errors = error if self.errors is None else self.errors + error
        self.together = self.together and both
        self.changes.append(change)


def _draws(pairs: int) -> int:
    """Return the draws for so many pairs: fewer where many pairs would take minutes."""
    return max(_FEWEST_DRAWS, min(DRAWS, _MOST_VALUES // max(pairs, 1)))


def _difference(errors: Errors, pair: tuple[Runs, Runs]) -> NDArray[np.float64] | None:
    first, second = errors.of_repeats(pair[0]), errors.of_repeats(pair[1])
    return None if first is None or second is None else second - first


def _p(change: float, error: NDArray[np.float64]) -> float:
    return float((1 + np.sum(np.abs(error) >= abs(change))) / (1 + len(error)))


def _test(change: float, error: NDArray[np.float64]) -> _Test:
    low, high = (change - float(edge) for edge in np.quantile(error, [0.975, 0.025]))
    return _Test(_p(change, error), low, high)


def _case(
    change: float, test: _Test | None, adjusted: float, rate: float, margin: float
) -> CaseVerdict:
    if test is None:
        return CaseVerdict(math.exp(change), None, None, None, "cannot tell")
    low, high = test.low, test.high
    verdict: Verdict = "cannot tell"
    if adjusted <= rate:
        verdict = "slower" if change > 0 else "faster"
    elif max(-low, high) < math.log1p(margin):
        verdict = "no difference"
    return CaseVerdict(math.exp(change), (math.exp(low), math.exp(high)), test.p, adjusted, verdict)


def _mean(errors: Errors, total: _Total, margin: float) -> CaseVerdict | None:
    """Judge the geometric mean over the cases that have an interval.

    What differs between two runs may slow every case of a run alike, so averaging does not lessen
    it: all cases share one draw.
    """
    if total.errors is None:
        return None
    error = total.errors / len(total.changes)
    error = error + errors.of_runs(*total.fewest, interleaved=total.together)
    change = float(np.mean(total.changes))
    test = _test(change, error)
    return _case(change, test, test.p, MEAN_LEVEL, margin)
