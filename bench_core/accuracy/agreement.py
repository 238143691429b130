"""Agreement between maps of several subjects, and the noise ceiling of repeated stimuli."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench_core.accuracy.correlation import pearson_r
from bench_core.errors import InputError


def map_correlations(maps: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """Return Pearson's r (n, n) between n maps of one value per target (thesis figure 3.12).

    Every pair is compared over the targets where both are defined. NaN where these are fewer than
    two or do not vary.

    Raises `InputError` when the maps differ in length.
    """
    arrays = [np.asarray(each, dtype=np.float64).ravel() for each in maps]
    if len({len(each) for each in arrays}) > 1:
        raise InputError(
            f"maps of {', '.join(str(len(each)) for each in arrays)} values cannot be compared "
            "target by target"
        )
    found = np.eye(len(arrays))
    for i, a in enumerate(arrays):
        for j, b in enumerate(arrays[:i]):
            both = ~(np.isnan(a) | np.isnan(b))
            pair = np.stack([a[both], b[both]])
            r = pearson_r(pair[0][:, None], pair[1][:, None])[0] if both.sum() > 1 else np.nan
            found[i, j] = found[j, i] = r
    return found


def mean_between(correlations: NDArray[np.float64]) -> float:
    """Return the mean of all pairs of different maps; NaN when there is none."""
    pairs = correlations[np.tril_indices(len(correlations), -1)]
    return float(pairs[~np.isnan(pairs)].mean()) if (~np.isnan(pairs)).any() else float("nan")


@dataclass(frozen=True, eq=False)
class Ceiling:
    """Noise ceiling of every target, from repeats of one stimulus.

    Parameters
    ----------
    reliability : (s,) mean r between pairs of repeats. Where noise is independent between repeats,
        it estimates the part of the variance that the stimulus explains.
    ceiling : (s,) √reliability, the r between one repeat and the response without noise; 0 where
        the reliability is negative. The expected r of every model on one repeat is at most this.
    repeats : number of repeats.
    samples : samples of each.

    Examples
    --------
    >>> y = np.array([[1.0], [2.0], [3.0], [4.0]])
    >>> noise_ceiling([y, y[[1, 0, 2, 3]]]).reliability.round(2)
    array([0.8])
    """

    reliability: NDArray[np.float64]
    ceiling: NDArray[np.float64]
    repeats: int
    samples: int

    @property
    def least_reliability(self) -> float:
        """Reliability below which a target is too noisy to divide by its ceiling.

        Two standard errors of the mean r of as many pairs of unrelated repeats, 1 / √(samples ·
        pairs) each, and at least 0.01, a ceiling of 0.1.
        """
        pairs = self.repeats * (self.repeats - 1) / 2
        return float(max(0.01, 2 / np.sqrt(self.samples * pairs)))

    def normalised(self, r: ArrayLike) -> NDArray[np.float64]:
        """Return r / ceiling (s,): the part of the reachable r that was reached.

        Noise may take it above 1; it is not clipped. NaN where r is undefined or the reliability is
        below `least_reliability`. The ceiling is that of Schoppe et al. 2016, "Measuring the
        performance of neural models", Frontiers in Computational Neuroscience 10.

        Examples
        --------
        >>> Ceiling(np.array([0.64, 0.001]), np.array([0.8, 0.03]), 2, 1000).normalised([0.4, 0.4])
        array([0.5, nan])
        """
        found = np.asarray(r, dtype=np.float64).copy()
        enough = self.reliability >= self.least_reliability
        found[enough] /= self.ceiling[enough]
        found[~enough] = np.nan
        return found


def noise_ceiling(repeats: Sequence[NDArray[Any]]) -> Ceiling:
    """Return the noise ceiling from the targets (n, s) of runs that showed the same stimulus.

    Rows with the same number belong to the same moment of the stimulus.

    Raises `InputError` for fewer than two repeats or shapes that differ.
    """
    if len(repeats) < 2:
        raise InputError(f"{len(repeats)} repeats of a stimulus: a noise ceiling needs at least 2")
    pairs = [pearson_r(a, b) for i, a in enumerate(repeats) for b in repeats[:i]]
    reliability = np.mean(pairs, axis=0)
    return Ceiling(
        reliability,
        np.sqrt(np.maximum(reliability, 0)),
        len(repeats),
        len(repeats[0]),
    )
