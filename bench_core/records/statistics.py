"""Statistics of repeated times: the median and its confidence interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

RESAMPLES = 4000

MOST_R_ERROR = 0.3
"""Standard error of r from which on held-out accuracy says nothing."""


def r_error(samples: int) -> float:
    """Return the standard error of Pearson's r over so many samples where nothing is to be found.

    1/√(n − 3), that of Fisher's z (R. A. Fisher, Metron 1, 1921), which r is near 0; infinite
    for 3 samples or fewer.
    """
    return float("inf") if samples <= 3 else float(samples - 3) ** -0.5


def few_samples(samples: int | None) -> str | None:
    """Return what is to be said of r over so few held-out samples, None where they are enough.

    Enough are 15: the standard error of r is then below 0.3.
    """
    if samples is None or r_error(samples) < MOST_R_ERROR:
        return None
    size = "is not defined" if samples <= 3 else f"is {r_error(samples):.2f}"
    return (
        f"r of {samples} held-out samples says nothing: where there is nothing to find its "
        f"standard error {size}; 15 samples or more make it less than {MOST_R_ERROR:g}"
    )


def median_interval(
    times: Sequence[float], *, level: float = 0.95, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float] | None:
    """Return the percentile-bootstrap confidence interval of the median of ``times``.

    Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), section 13.3: the
    ``(1 - level) / 2`` quantiles of the medians of ``resamples`` seeded resamples. None for
    fewer than two times, which say nothing about their own spread.
    """
    values = np.asarray(times, dtype=np.float64)
    if len(values) < 2:
        return None
    draws = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    medians = np.median(values[draws], axis=1)
    low, high = np.quantile(medians, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def ratio_interval(
    numerator: Sequence[float],
    denominator: Sequence[float],
    *,
    level: float = 0.95,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> tuple[float, float, float]:
    """Return the median ratio of paired times and its percentile-bootstrap interval.

    The pairs are resampled together: what disturbed the machine disturbed both of a pair.
    """
    ratios = np.asarray(numerator, dtype=np.float64) / np.asarray(denominator, dtype=np.float64)
    interval = median_interval(ratios.tolist(), level=level, seed=seed, resamples=resamples)
    middle = float(np.median(ratios))
    low, high = interval if interval is not None else (middle, middle)
    return middle, low, high


def quotient_interval(
    numerator: tuple[float, tuple[float, float]], denominator: tuple[float, tuple[float, float]]
) -> tuple[float, float]:
    """Return the interval of a ratio of two independent medians from their own intervals.

    The distances of the ends from the medians, as logarithms, add as squares (method of variance
    estimates recovery: Zou and Donner, Statistics in Medicine 27, 2008).

    Parameters
    ----------
    numerator, denominator : median and the ends of its interval, all above 0.

    Examples
    --------
    >>> low, high = quotient_interval((8.0, (6.0, 10.0)), (2.0, (2.0, 2.0)))
    >>> round(low, 6), round(high, 6)
    (3.0, 5.0)
    """
    (upper, (upper_low, upper_high)), (lower, (lower_low, lower_high)) = numerator, denominator
    ratio = upper / lower
    down = math.hypot(math.log(upper / upper_low), math.log(lower_high / lower))
    up = math.hypot(math.log(upper_high / upper), math.log(lower / lower_low))
    return ratio * math.exp(-down), ratio * math.exp(up)


def time_summary(times: Sequence[float], *, seed: int = 0) -> dict[str, Any]:
    """Return ``fit_s``, ``median_s`` and ``ci95_s`` (None for one repeat) of fit times, seconds."""
    interval = median_interval(times, seed=seed)
    return {
        "fit_s": tuple(float(value) for value in times),
        "median_s": float(np.median(times)),
        "ci95_s": interval,
    }
