"""Null of r by circular shifts of the held-out responses, each run by itself.

The predictions stay as they are. In every held-out run the responses are moved by some samples, and
those that leave at its end come in at its start. All targets move together, so that the largest r
of all targets keeps the correlation between them. Within a run the autocorrelation of responses and
predictions stays, except at the seam where its two ends meet.

Assumption: in each run the responses are stationary, and what was held out has no relation to the
predictions. Were the runs periodic, every combination of shifts, none included, would have the same
probability, and p would be exact (randomisation tests over a group: Lehmann & Romano, "Testing
Statistical Hypotheses", chapter 15). The seam makes it an approximation: a shift breaks the
autocorrelation at one place of the run, which matters less the longer the run is (time-shifted
surrogates: Lancaster et al. 2018, "Surrogate data for hypothesis testing of physical systems",
Physics Reports 748). docs/accuracy.md has the measured rates of false positives.

Short shifts belong to the group. Leaving them out, so that a shift exceeds the autocorrelation,
makes p too small: the products of a run summed over all its shifts do not depend on how predictions
and responses are aligned, so without the neighbours of a high r the rest is below chance.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.accuracy.columns import Columns
from bench_core.accuracy.null import Null, count_exceeding
from bench_core.checks import constant_columns
from bench_core.errors import InputError
from bench_core.progress import Progress, silent

_BATCH_BYTES = 128 * 2**20


@dataclass(frozen=True, eq=False)
class HeldOutShifts:
    """Circular shifts of the held-out runs: all that there are, or ``n`` seeded ones.

    Parameters
    ----------
    runs : (t_test,) the run of every held-out row. Rows of one run are in the order of time.
    n : number of shifts to draw. Where no more than these are possible, every one is taken once.

    Raises `InputError` for less than one shift.

    Examples
    --------
    >>> shifts = HeldOutShifts(np.repeat([7, 8], [2, 3]), n=1000)
    >>> shifts.distinct, shifts.table().tolist()
    (6, [[0, 1], [0, 2], [1, 0], [1, 1], [1, 2]])
    """

    runs: NDArray[Any]
    n: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n < 1:
            raise InputError(f"{self.n} permutations: give 1 or more")

    @property
    def rows(self) -> list[NDArray[np.intp]]:
        """Rows of every run, in ascending order of the runs' numbers."""
        return [np.flatnonzero(self.runs == run) for run in np.unique(self.runs)]

    @property
    def distinct(self) -> int:
        """Combinations of one shift per run, none included."""
        return math.prod(map(len, self.rows))

    @property
    def complete(self) -> bool:
        """Whether every combination is taken, because there are too few to draw from."""
        return self.distinct - 1 <= self.n

    def table(self) -> NDArray[np.intp]:
        """Return the samples that every run is shifted by, (shifts, runs).

        A complete table leaves out "no shift", the observed r: p counts that already.
        """
        lengths = [len(rows) for rows in self.rows]
        if self.complete:
            every = itertools.product(*map(range, lengths))
            return np.array(list(every)[1:], dtype=np.intp).reshape(-1, len(lengths))
        rng = np.random.default_rng([self.seed, len(self.runs)])
        return rng.integers(lengths, size=(self.n, len(lengths)), dtype=np.intp)


def held_out_null(
    Y_test: Columns,
    prediction: Columns,
    shifts: HeldOutShifts,
    *,
    progress: Progress = silent,
) -> Null:
    """Return the null of r from circular shifts of the held-out responses, for any estimator.

    r of all shifts of one run comes from one product of Fourier transforms: O(t log t) for each
    target, and one addition per run and shift.

    Parameters
    ----------
    Y_test, prediction : (t_test, s), read in batches of targets as ``[:, numbers]``.
    progress : called with the targets done.

    Raises
    ------
    InputError : shapes that do not fit together, or runs of one sample, which cannot be shifted.

    Examples
    --------
    >>> Y = np.array([[1.0], [2.0], [4.0], [3.0]])
    >>> null = held_out_null(Y, Y, HeldOutShifts(np.ones(4), n=99))
    >>> null.n, null.p_values()
    (3, array([0.25]))
    """
    t, s = prediction.shape
    if Y_test.shape != (t, s) or shifts.runs.shape != (t,):
        raise InputError(
            f"held-out Y {Y_test.shape}, predictions {prediction.shape} and runs "
            f"{shifts.runs.shape} must have the same rows, Y and predictions the same targets"
        )
    if shifts.distinct < 2:
        raise InputError(
            f"each of the {len(shifts.rows)} held-out runs has one sample and cannot be shifted: "
            "permute training rows instead (--permute rows)"
        )
    by, rows = shifts.table(), shifts.rows
    observed, exceed = np.full(s, np.nan), np.zeros(s, dtype=np.int64)
    largest, total = np.full(len(by), -1.0), np.zeros(len(by))
    defined = 0
    width = max(1, _BATCH_BYTES // (8 * (4 * t + 2 * len(by))))
    for batch in _batches(s, width):
        true, pred = _standardised(Y_test[:, batch]), _standardised(prediction[:, batch])
        r = np.zeros((len(by), len(batch)))
        for run, each in enumerate(rows):
            r += _cross_products(true[each], pred[each])[by[:, run]]
        observed[batch] = np.clip(np.einsum("ij,ij->j", true, pred), -1, 1)
        exceed[batch] = count_exceeding(r, observed[batch]).sum(axis=0)
        known = r[:, ~np.isnan(observed[batch])]
        if known.size:
            np.maximum(largest, np.clip(known, -1, 1).max(axis=1), out=largest)
            total += np.abs(known).sum(axis=1)
            defined += known.shape[1]
        progress("null", int(batch[-1]) + 1, s)
    return Null(observed, exceed, largest, total / max(1, defined))


def _batches(s: int, width: int) -> Iterator[NDArray[np.intp]]:
    for start in range(0, s, width):
        yield np.arange(start, min(start + width, s))


def _standardised(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return columns with mean 0 and norm 1 over all rows; NaN where they are constant."""
    found = np.array(values, dtype=np.float64)
    still = constant_columns(found)
    with np.errstate(all="ignore"):
        found -= found.mean(axis=0)
        found /= np.abs(found).max(axis=0)  # no overflow of squares
        found /= np.linalg.norm(found, axis=0)
    found[:, still] = np.nan
    return found


def _cross_products(true: NDArray[np.float64], pred: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n, s): row k has the product of ``pred`` with ``true`` shifted by k samples."""
    with np.errstate(all="ignore"):
        spectrum = np.conj(np.fft.rfft(pred, axis=0)) * np.fft.rfft(true, axis=0)
    found: NDArray[np.float64] = np.fft.irfft(spectrum, n=len(true), axis=0)
    return found
