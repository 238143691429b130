"""How much rows resemble the rows beside them, measured in a sample of X and Y.

A random split puts neighbours on both sides. Where both X and Y change slowly in time, a test
sample then has a near copy among the training samples, noise included, and held-out accuracy is too
high. What counts is the correlation of a row with the next of its run: the lag-1 autocorrelation of
every column, and of all columns the median.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

STRETCHES = 32
"""Stretches of rows that are read, spread over the samples."""

ROWS = 64
"""Rows of a stretch."""

COLUMNS = 128
"""Columns that are read: a few groups of neighbours, as rows lie together in a file."""

GROUP = 16
"""Columns of a group."""

NOTABLE = 0.2
"""Autocorrelation from which on neighbours are called alike."""

DEVIATIONS = 3.5
"""Standard errors above 0, 1/√pairs each, that it must exceed too: few rows say little."""


@dataclass(frozen=True)
class Resemblance:
    """Median lag-1 autocorrelation of the columns of X and of Y, from so many pairs of rows.

    Examples
    --------
    >>> Resemblance(x=0.8, y=0.5, pairs=2000).leaks, Resemblance(x=0.8, y=0.02, pairs=2000).leaks
    (True, False)
    """

    x: float
    y: float
    pairs: int

    @property
    def leaks(self) -> bool:
        """True where both are too high for rows that say nothing of their neighbours."""
        if self.pairs < 1:
            return False
        least = max(NOTABLE, DEVIATIONS * self.pairs**-0.5)
        return min(self.x, self.y) > least


def measure_resemblance(
    X: NDArray[Any], Y: NDArray[Any], runs: NDArray[Any], *, seed: int = 0
) -> Resemblance:
    """Measure X (t, p) and Y (t, s), perhaps memory-mapped, within ``runs`` (t,).

    At most 32 stretches of 64 rows and 128 columns of each are read. Columns that are constant in
    the sample, or hold a value that is not finite, are left out; without any, 0 is returned.
    """
    rng = np.random.default_rng(seed)
    t = len(runs)
    rows = _rows(t, rng)
    # A pair is of one run, and of rows that were read one after the other.
    pairs = np.flatnonzero((np.diff(rows) == 1) & (runs[rows[1:]] == runs[rows[:-1]]))
    found = [_median(_sample(array, rows, rng), pairs) for array in (X, Y)]
    return Resemblance(found[0], found[1], len(pairs))


def _rows(t: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the rows that are read, ascending: all of few, else stretches."""
    if t <= STRETCHES * ROWS:
        return np.arange(t)
    edges = np.linspace(0, t - ROWS, STRETCHES + 1).astype(np.intp)
    starts = [int(rng.integers(a, max(a + 1, b - ROWS))) for a, b in pairwise(edges)]
    return np.unique(np.concatenate([np.arange(start, start + ROWS) for start in starts]))


def _sample(
    array: NDArray[Any], rows: NDArray[np.intp], rng: np.random.Generator
) -> NDArray[np.float64]:
    n = array.shape[1]
    if n <= COLUMNS:
        return np.asarray(array[rows], np.float64)
    starts = np.sort(rng.choice(n - GROUP + 1, COLUMNS // GROUP, replace=False))
    parts = [np.asarray(array[rows, start : start + GROUP]) for start in starts]
    return np.concatenate(parts, axis=1).astype(np.float64)


def _median(values: NDArray[np.float64], pairs: NDArray[np.intp]) -> float:
    """Return the median over columns of their correlation with the next row."""
    if not len(pairs):
        return 0.0
    values = values[:, np.isfinite(values).all(axis=0)]
    centred = values - values.mean(axis=0)
    first, second = centred[pairs], centred[pairs + 1]
    size = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    varies = size > 0
    if not varies.any():
        return 0.0
    return float(np.median((first * second).sum(axis=0)[varies] / size[varies]))


def share_beside_training(
    train: NDArray[np.intp], test: NDArray[np.intp], runs: NDArray[Any]
) -> float:
    """Return the part of the test rows that have a training row directly beside them in their run.

    Parameters
    ----------
    train, test : row numbers. runs : (t,) the run of every row.

    Examples
    --------
    >>> share_beside_training(np.array([0, 2]), np.array([1, 3, 4, 5]), np.repeat([1, 2], 3))
    0.25
    """
    trains = np.zeros(len(runs), dtype=bool)
    trains[train] = True
    same = runs[1:] == runs[:-1]
    beside = np.zeros(len(runs), dtype=bool)
    beside[1:] |= trains[:-1] & same
    beside[:-1] |= trains[1:] & same
    return float(beside[test].mean()) if len(test) else 0.0
