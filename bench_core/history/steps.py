"""Steps in a series over commits: where, how large, and how sure.

A change of level is proposed by `bench_core.history.segments`. It is a step where

1. the levels before and after differ by more than noise explains, by Student's t with the search
   over all positions counted (K. J. Worsley, J. Am. Stat. Assoc. 74, 1979, "On the likelihood ratio
   test for a shift in location of normal populations": the Bonferroni bound of section 2), and
2. a straight line through both does not explain it, so slow drift is no step.

Where it is comes with the commits that it may as well be at, by their likelihood (A. F. M. Smith,
Biometrika 62, 1975, "A Bayesian approach to inference about a change-point", uniform prior).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student

from bench_core.errors import InputError
from bench_core.history.segments import (
    Floats,
    difference_sd,
    propose_changes,
    segments,
    usual_values,
)

LEVEL = 0.005
"""Probability of a step by chance in a series without any, for a series alone."""

WINDOW = 30
"""Most values on either side of a step that its test looks at."""

DRIFT = 0.005
"""Most that logarithms of times drift from one commit to the next: 0.5 %."""

_DRIFT_T = 4.0
"""Root of the likelihood ratio of a step beside drift from which on it is one."""

_DRIFT_FROM = 8
"""Values of a window from which on drift can be told from a step."""

_LINE_FROM = 6
"""Values of a segment from which on its residuals are those of a line."""

_LOCATION = 0.95
"""Probability that a step is within its range."""


@dataclass(frozen=True)
class Spread:
    """Noise of a series that is known beforehand, from other series or from repeats.

    Parameters
    ----------
    sd : standard deviation of a value about its level.
    df : degrees of freedom that it counts for beside those of the series; 0 for none.
    least : standard deviation that is not gone below, such as a clock's or rounding.

    Examples
    --------
    >>> Spread(0.5, 1.0).moderated(0.5, 3)
    (0.5, 4.0)
    """

    sd: float
    df: float
    least: float = 0.0

    def moderated(self, sd: float, df: float) -> tuple[float, float]:
        """Return both together, with their degrees of freedom.

        G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 3, 2004, equation 5.
        """
        whole = self.df + df
        variance = (self.sd**2 * self.df + sd**2 * df) / whole if whole else self.sd**2
        return max(math.sqrt(variance), self.least), whole


@dataclass(frozen=True)
class Step:
    """A step between two values of a series.

    Parameters
    ----------
    position : of the first value after it.
    first, last : positions that the first value after it may as well have, 95 %.
    before, after : levels on either side.
    size, interval : difference of the levels and its 95 % interval.
    p : probability of such a step, or a larger one, anywhere in a series without any.

    Examples
    --------
    >>> step = Step(5, 5, 5, 0.0, 1.0, 1.0, (0.9, 1.1), 1e-6)
    >>> step.size > 0
    True
    """

    position: int
    first: int
    last: int
    before: float
    after: float
    size: float
    interval: tuple[float, float]
    p: float


def find_steps(
    y: ArrayLike,
    *,
    level: float = LEVEL,
    least: float = 0.0,
    known: Spread | None = None,
    weights: ArrayLike | None = None,
    spikes: bool = True,
    drift: float = DRIFT,
) -> list[Step]:
    """Return the steps of a series, in order.

    Parameters
    ----------
    y : values (n,) in the order of commits, on a scale on which noise is the same at every level:
        logarithms of times.
    level : largest p of a step.
    least : smallest size of a step.
    known : noise that is known beforehand.
    weights : (n,), 1 for a usual value and less for a noisier one.
    spikes : whether single values may be far off by chance.
    drift : most that a level may drift from one commit to the next.

    Raises
    ------
    InputError : values or weights that are not finite, or weights that are not positive.

    Examples
    --------
    >>> y = [0.0, 0.1, -0.1, 0.05, 0.0, -0.05, 1.0, 1.1, 0.9, 1.05]
    >>> [(step.position, round(step.size, 1)) for step in find_steps(y)]
    [(6, 1.0)]
    """
    values = np.asarray(y, dtype=np.float64)
    w = np.ones(len(values)) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (np.isfinite(values).all() and np.isfinite(w).all() and (w > 0).all()):
        raise InputError(
            "a series needs finite values and positive weights: leave out what was not measured"
        )
    prior = known or Spread(0.0, 0.0)
    if len(values) < 2 or np.ptp(values) == 0:
        return []
    sd = prior.moderated(difference_sd(values), len(values) / 2)[0] or 1e-12
    changes = propose_changes(values, sd, w, spikes=spikes)
    while changes:
        usual = usual_values(values, sd, changes) if spikes else np.ones(len(values), dtype=bool)
        fit = _Fit(values, np.where(usual, w, 0.0), changes, prior, drift)
        tested = [fit.test(k) for k in range(len(changes))]
        beside = [fit.beside_drift(k) for k in range(len(changes))]
        wrong = [
            (beside[k], k)
            for k, (size, p) in enumerate(tested)
            if p > level or abs(size) < least or beside[k] < _DRIFT_T
        ]
        if not wrong:
            return [fit.step(k) for k in range(len(changes))]
        del changes[min(wrong)[1]]
    return []


def residual_spread(y: ArrayLike, steps: list[Step], *, spikes: bool = True) -> Spread:
    """Return the noise of a series about its levels, with its degrees of freedom."""
    values = np.asarray(y, dtype=np.float64)
    changes = [step.position for step in steps]
    sd = difference_sd(values)
    usual = usual_values(values, sd, changes) if spikes and sd else np.ones(len(values), bool)
    return _residuals(values, usual.astype(np.float64), changes)


def _residuals(y: Floats, w: Floats, changes: list[int]) -> Spread:
    """Return the weighted standard deviation about a level, or a line, in every segment."""
    total, df = 0.0, 0
    for start, end in segments(len(y), changes):
        part, weight = y[start:end], w[start:end]
        count = int(np.count_nonzero(weight))
        order = 1 if count >= _LINE_FROM else 0
        if count < 2:
            continue
        fitted = _design(count, order)
        kept = weight > 0
        total += _least_squares(fitted, part[kept], weight[kept])[1]
        df += count - order - 1
    return Spread(math.sqrt(total / df) if df else 0.0, df)


def _design(n: int, order: int, steps: Sequence[int] = ()) -> Floats:
    """Return columns: a constant, a line where ``order`` is 1, and the given steps."""
    place = np.arange(n, dtype=np.float64)
    columns = [np.ones(n)]
    if order:
        columns.append(place - place.mean())
    columns += [(place >= at).astype(np.float64) for at in steps]
    return np.stack(columns, axis=1)


def _least_squares(x: Floats, y: Floats, w: Floats) -> tuple[Floats, float, Floats]:
    """Return coefficients, weighted residual sum of squares and the inverse of Xᵀ W X."""
    root = np.sqrt(w)[:, None]
    inverse = np.linalg.pinv((root * x).T @ (root * x))
    coef = inverse @ (x.T @ (w * y))
    return coef, float(np.sum(w * (y - x @ coef) ** 2)), np.asarray(inverse, dtype=np.float64)


def _drift_fit(y: Floats, w: Floats, steps: Sequence[int], most: float) -> tuple[Floats, float]:
    """Return coefficients and squares of a constant, a line of bounded slope, and steps.

    The squares are convex in the slope, so a slope beyond the bound is best at it.
    """
    x = _design(len(y), 1, steps)
    coef, squares, _ = _least_squares(x, y, w)
    if abs(coef[1]) <= most:
        return coef, squares
    slope = math.copysign(most, coef[1])
    rest, squares, _ = _least_squares(np.delete(x, 1, axis=1), y - slope * x[:, 1], w)
    return np.insert(rest, 1, slope), squares


class _Fit:
    """Tests of the changes of one segmentation; ``w`` is 0 at spikes."""

    def __init__(
        self, y: Floats, w: Floats, changes: list[int], prior: Spread, drift: float
    ) -> None:
        self.y, self.w, self.changes, self.drift = y, w, changes, drift
        own = _residuals(y, w, changes)
        self.sd, self.df = prior.moderated(own.sd, own.df)

    def _window(self, k: int) -> tuple[int, int, int]:
        """Return first and end of the values around change ``k``, and its position in them."""
        edges = [0, *self.changes, len(self.y)]
        at = edges[k + 1]
        start, end = max(edges[k], at - WINDOW), min(edges[k + 2], at + WINDOW)
        return start, end, at - start

    def _model(self, k: int, order: int) -> tuple[float, float]:
        """Return size and standard error of step ``k`` beside a constant or a line."""
        start, end, at = self._window(k)
        x = _design(end - start, order, [at])
        coef, _, inverse = _least_squares(x, self.y[start:end], self.w[start:end])
        return float(coef[-1]), self.sd * math.sqrt(max(float(inverse[-1, -1]), 0.0))

    def _order(self, k: int) -> int:
        """Return 1 where drift beside the step is more than its own error, else 0."""
        start, end, at = self._window(k)
        if end - start < _DRIFT_FROM:
            return 0
        x = _design(end - start, 1, [at])
        coef, _, inverse = _least_squares(x, self.y[start:end], self.w[start:end])
        error = self.sd * math.sqrt(max(float(inverse[1, 1]), 0.0))
        return int(abs(float(coef[1])) > error)

    def beside_drift(self, k: int) -> float:
        """Return the root of the likelihood ratio for step ``k`` beside drift and other steps.

        Drift is a line of at most ``drift`` per commit. Student's t where the line is not at that
        bound; negative where the step turns round beside it. Infinite where the values are too few
        to tell drift from steps.
        """
        at = self.changes[k]
        start, end = max(0, at - WINDOW), min(len(self.y), at + WINDOW)
        inside = [one - start for one in self.changes if start < one < end]
        if end - start < _DRIFT_FROM + 2 * (len(inside) - 1):
            return math.inf
        others = [one for one in inside if one != at - start]
        part = self.y[start:end], self.w[start:end]
        _, without = _drift_fit(*part, others, self.drift)
        coef, beside = _drift_fit(*part, [at - start, *others], self.drift)
        plain, _ = self._model(k, 0)
        root = math.sqrt(max(without - beside, 0.0)) / max(self.sd, 1e-15)
        return root if coef[2] * plain > 0 else -root

    def test(self, k: int) -> tuple[float, float]:
        """Return size and p of step ``k``."""
        start, end, _ = self._window(k)
        size, _ = self._model(k, self._order(k))
        return size, self._p(*self._model(k, 0), end - start - 1)

    def step(self, k: int) -> Step:
        """Return step ``k`` with its p, range and interval."""
        start, _, at = self._window(k)
        size, error = self._model(k, self._order(k))
        reach = float(student.ppf(0.975, self.df)) * error if self.df else math.inf
        before = self._level(start, start + at)
        interval = size - reach, size + reach
        p = self.test(k)[1]
        return Step(start + at, *self._range(k), before, before + size, size, interval, p)

    def _p(self, size: float, error: float, positions: int) -> float:
        if not self.df or not math.isfinite(error):
            return 1.0
        if error == 0:
            return 0.0 if size else 1.0
        return min(1.0, positions * 2 * float(student.sf(abs(size) / error, self.df)))

    def _level(self, start: int, end: int) -> float:
        y, w = self.y[start:end], self.w[start:end]
        return float(np.average(y, weights=w)) if w.any() else float(np.median(y))

    def _range(self, k: int) -> tuple[int, int]:
        """Return the positions that step ``k`` may as well have."""
        start, end, at = self._window(k)
        places = range(1, end - start)
        order = self._order(k)
        y, w = self.y[start:end], self.w[start:end]
        squares = np.array(
            [_least_squares(_design(len(y), order, [one]), y, w)[1] for one in places]
        )
        likely = np.exp(-(squares - squares.min()) / (2 * max(self.sd, 1e-12) ** 2))
        likely /= likely.sum()
        taken: NDArray[np.intp] = np.argsort(-likely)
        taken = taken[: int(np.searchsorted(np.cumsum(likely[taken]), _LOCATION)) + 1]
        found = [start + 1 + int(taken.min()), start + 1 + int(taken.max())]
        return min(found[0], start + at), max(found[1], start + at)
