"""Proposals of change points: a piecewise constant fit whose loss is bounded.

A value far from its level costs the same however far it is, so a spike of one or two commits is
cheaper than two changes (P. Fearnhead and G. Rigaill, J. Am. Stat. Assoc. 114, 2019, "Changepoint
detection in the presence of outliers", equation 3). Proposals are generous:
`bench_core.history.steps` tests each of them.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SPIKE = 3.0
"""Standard deviations from its level at which a value is a spike."""

_PENALTY = 2.5
"""Cost of a change, as a multiple of log n; squared standard deviations."""

_MAD_TO_SD = 1.4826
_NEIGHBOURS = 3
"""Commits on either side whose median a spike is told from."""


def difference_sd(y: Floats) -> float:
    """Return a standard deviation of ``y`` that neither steps, nor drift, nor a few spikes change.

    The median absolute difference of neighbours, scaled to normal noise: for independent noise of
    standard deviation σ a difference has √2 σ. 0 for fewer than two values.
    """
    if len(y) < 2:
        return 0.0
    return float(np.median(np.abs(np.diff(y)))) * _MAD_TO_SD / math.sqrt(2)


_TIE = 1e-6
"""Weight of the distance beside its truncated square: it decides between equal sums alone."""


def propose_changes(
    y: Floats, sd: float, weights: Floats | None = None, *, spikes: bool = True
) -> list[int]:
    """Return the first positions of all segments of ``y`` (n,) but the first.

    Minimises the sum of min(w_i (y_i - m_i)² / sd², K²) plus a penalty for every change of the
    level m, exactly, over levels that are values of ``y`` or halfway between two of them. Of equal
    sums that with spikes nearer to their levels is taken: a step is beside a spike, not on it.

    Parameters
    ----------
    sd : standard deviation of noise, above 0.
    weights : (n,), of values: 1 for the usual one, less for a noisier one.
    spikes : False where no value is by chance far from its level: K is infinite.
    """
    n = len(y)
    if n < 2:
        return []
    values = np.unique(y)
    levels = np.unique(np.concatenate([values, (values[1:] + values[:-1]) / 2]))
    w = np.ones(n) if weights is None else weights
    most = SPIKE**2 if spikes else math.inf
    penalty = _PENALTY * math.log(max(n, 8))
    cost = np.zeros(len(levels))
    came = np.empty((n, len(levels)), dtype=np.intp)
    for i in range(n):
        best = int(np.argmin(cost))
        stay = cost <= cost[best] + penalty if i else np.ones(len(levels), dtype=bool)
        came[i] = np.where(stay, np.arange(len(levels)), best)
        cost = np.where(stay, cost, cost[best] + penalty)
        squares = w[i] * (y[i] - levels) ** 2 / sd**2
        cost = cost + np.minimum(squares, most) + _TIE * np.log1p(squares)
    level = int(np.argmin(cost))
    changes = []
    for i in range(n - 1, 0, -1):
        before = int(came[i, level])
        if before != level:
            changes.append(i)
        level = before
    return changes[::-1]


def usual_values(y: Floats, sd: float, changes: list[int]) -> NDArray[np.bool_]:
    """Return which values of ``y`` (n,) are no spikes, given where segments begin.

    A spike is far from the median of its neighbours in its segment (F. R. Hampel, J. Am. Stat.
    Assoc. 69, 1974), so drift makes none.
    """
    usual = np.ones(len(y), dtype=bool)
    for start, end in segments(len(y), changes):
        for i in range(start, end):
            near = y[max(start, i - _NEIGHBOURS) : min(end, i + _NEIGHBOURS + 1)]
            usual[i] = len(near) < 3 or abs(y[i] - np.median(near)) <= SPIKE * sd
    return usual


def segments(n: int, changes: list[int]) -> list[tuple[int, int]]:
    """Return first position and end of every segment.

    >>> segments(5, [2])
    [(0, 2), (2, 5)]
    """
    edges = [0, *changes, n]
    return list(itertools.pairwise(edges))
