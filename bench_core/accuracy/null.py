"""Null distributions of r: permutations of the training rows, and the p values that follow.

Two nulls permute the training rows of X against those of Y: shuffled rows (the thesis's), and
runs shifted in a circle, which keeps the autocorrelation of both. At fixed penalties a ridge fit
is linear in Y, so no permutation needs a new factorisation; see `bench_core.accuracy.permutation`.
A third, `bench_core.accuracy.held_out`, leaves the fit as it is and shifts the held-out responses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from bench_core.accuracy.correlation import pearson_r
from bench_core.errors import InputError

Kind = Literal["rows", "shifts"]
KINDS: tuple[Kind, ...] = ("rows", "shifts")


def shuffled_rows(t: int, *, seed: int = 0) -> NDArray[np.intp]:
    """Return a seeded permutation (t,): train on ``X[shuffled_rows(t)]`` with Y as it is.

    The pairing of rows of X and Y is lost and the distribution of each is kept, so the held-out r
    is that of chance.
    """
    return np.random.default_rng([seed, t]).permutation(t)


def shifted_rows(runs: NDArray[Any], *, seed: int = 0, least: int = 0) -> NDArray[np.intp]:
    """Return row numbers (t,) that shift each run in a circle, by a seeded number of samples.

    X and Y keep their autocorrelation, which shuffling destroys. ``runs`` (t,) has every run in
    one stretch. Every shift has the same probability, none included. ``least`` samples in either
    direction may be asked for, but p values are then too small (`bench_core.accuracy.held_out`).

    Raises `InputError` for a run in pieces or too short to be shifted by ``least``, and where every
    run has a single sample.
    """
    rng = np.random.default_rng([seed, len(runs)])
    edges = np.flatnonzero(np.diff(runs)) + 1
    bounds = [0, *edges.tolist(), len(runs)]
    if len(bounds) - 1 != len(np.unique(runs)):
        raise InputError("a run is in pieces: put the samples of every run next to each other")
    if len(bounds) - 1 == len(runs):
        raise InputError("every run has one sample, which cannot be shifted: shuffle rows instead")
    rows = np.empty(len(runs), dtype=np.intp)
    for start, stop in pairwise(bounds):
        n = stop - start
        if 2 * least > n:
            raise InputError(
                f"run {runs[start]} has {n} samples, too few for a shift of {least} or more in "
                "either direction: ask for less"
            )
        # Up to n - 1, of which a shift by n would be none at all once more.
        by = int(rng.integers(least, n - least + 1 if least else n))
        rows[start:stop] = start + (np.arange(n) + by) % n
    return rows


@dataclass(frozen=True, eq=False)
class Permutations(Sequence[NDArray[np.intp]]):
    """``n`` seeded permutations of training rows, each made on demand.

    Parameters
    ----------
    kind : "rows" for `shuffled_rows`, "shifts" for `shifted_rows`.
    runs : (t,) the run of every training row.

    Examples
    --------
    >>> rows = Permutations("shifts", 100, np.repeat([1, 2], 4))
    >>> len(rows), sorted(rows[0][:4].tolist())
    (100, [0, 1, 2, 3])
    """

    kind: Kind
    n: int
    runs: NDArray[Any]
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"null {self.kind!r} is not one of {', '.join(KINDS)}")
        if self.n < 1:
            raise InputError(f"{self.n} permutations: give 1 or more")

    def __len__(self) -> int:
        return self.n

    @overload
    def __getitem__(self, number: int) -> NDArray[np.intp]: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[NDArray[np.intp]]: ...
    def __getitem__(self, number: int | slice) -> NDArray[np.intp] | Sequence[NDArray[np.intp]]:
        if isinstance(number, slice):
            return [self[k] for k in range(*number.indices(self.n))]
        if not 0 <= number < self.n:
            raise IndexError(number)
        entropy = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        if self.kind == "rows":
            return shuffled_rows(len(self.runs), seed=entropy)
        return shifted_rows(self.runs, seed=entropy)


@dataclass(frozen=True, eq=False)
class Null:
    """Chance r of every target, from n permutations, beside the r that was observed.

    Parameters
    ----------
    observed : (s,) r; NaN where undefined.
    exceed : (s,) permutations whose r is at least the observed one.
    largest : (n,) largest r over all targets in every permutation.
    mean_abs : (n,) mean |r| over all targets in every permutation.

    Examples
    --------
    >>> null = Null(np.array([0.5]), np.array([1]), np.array([0.1, 0.6, 0.2]), np.full(3, 0.1))
    >>> null.p_values(), null.p_max()
    (array([0.5]), array([0.5]))
    """

    observed: NDArray[np.float64]
    exceed: NDArray[np.int64]
    largest: NDArray[np.float64]
    mean_abs: NDArray[np.float64]

    @property
    def n(self) -> int:
        """Permutations."""
        return len(self.largest)

    def p_values(self) -> NDArray[np.float64]:
        """Return (b + 1) / (n + 1) of every target, b permutations having at least its r.

        One-sided; NaN where r is undefined (Phipson & Smyth 2010).
        """
        p = (self.exceed + 1) / (self.n + 1)
        p[np.isnan(self.observed)] = np.nan
        return p

    def p_max(self) -> NDArray[np.float64]:
        """Return p values that hold for all targets together: b counts the largest r of all.

        The family-wise error rate is controlled whatever the dependence (Nichols & Holmes 2002).
        """
        order = np.sort(self.largest)
        with np.errstate(invalid="ignore"):
            below = np.searchsorted(order, self.observed, side="left")
        p = (self.n - below + 1) / (self.n + 1)
        p[np.isnan(self.observed)] = np.nan
        return p


def refit_null(
    refit: Callable[[NDArray[np.intp]], NDArray[Any]],
    Y_test: NDArray[Any],
    observed: NDArray[np.float64],
    rows: Iterable[NDArray[np.intp]],
) -> Null:
    """Return the null of any estimator, fitted again for every permutation.

    ``refit(rows)`` fits on ``X_train[rows]`` and the training targets as they are, and returns
    its predictions (t_test, s). For ridge at known penalties, `permutation.ridge_null` gives the
    same with one factorisation.
    """
    exceed = np.zeros(len(observed), dtype=np.int64)
    largest, mean_abs = [], []
    for each in rows:
        r = pearson_r(Y_test, refit(each))
        exceed += count_exceeding(r, observed)
        low, total, defined = batch_figures(r)
        largest.append(low)
        mean_abs.append(total / max(1, defined))
    return Null(observed, exceed, np.array(largest), np.array(mean_abs))


def count_exceeding(r: NDArray[np.float64], observed: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return 1 where r is at least the observed one, allowing for rounding, else 0."""
    with np.errstate(invalid="ignore"):
        return (r >= observed - 1e-9).astype(np.int64)


def batch_figures(r: NDArray[np.float64]) -> tuple[float, float, int]:
    """Return the largest defined r (−1 without any), the sum of |r|, and how many there are."""
    defined = r[~np.isnan(r)]
    if not defined.size:
        return -1.0, 0.0, 0
    return float(defined.max()), float(np.abs(defined).sum()), int(defined.size)
