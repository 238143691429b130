"""False-discovery rate over many tests, such as targets or cases (Benjamini & Hochberg 1995)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench_core.errors import InputError


def adjusted_p(p: ArrayLike) -> NDArray[np.float64]:
    """Return the smallest false-discovery rate at which each target is significant.

    ``p`` (s,) are p values, NaN where undefined, which stays NaN and does not count.

    Raises `InputError` for a value outside 0 … 1.

    Examples
    --------
    >>> adjusted_p([0.01, 0.04, 0.03, float("nan")])
    array([0.03, 0.04, 0.04,  nan])
    """
    values = np.array(p, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(values))
    found = values[known]
    if found.size and (found.min() < 0 or found.max() > 1):
        raise InputError(
            f"p values must lie between 0 and 1, not {found.min():g} to {found.max():g}"
        )
    order = np.argsort(found)
    raised = found[order] * len(found) / np.arange(1, len(found) + 1)
    # A larger p must not be more significant than a smaller one.
    raised = np.minimum.accumulate(raised[::-1])[::-1]
    values[known[order]] = np.minimum(raised, 1)
    return values


def significant(p: ArrayLike, rate: float = 0.05) -> NDArray[np.bool_]:
    """Return whether each target is significant at the false-discovery rate ``rate`` (s,)."""
    if not 0 < rate < 1:
        raise InputError(f"false-discovery rate {rate:g} is not between 0 and 1: 0.05 is usual")
    with np.errstate(invalid="ignore"):
        return adjusted_p(p) <= rate


def threshold(r: ArrayLike, chosen: NDArray[Any]) -> float | None:
    """Return the smallest r of the ``chosen`` targets, None when there are none."""
    values = np.asarray(r, dtype=np.float64)[chosen]
    return float(values.min()) if values.size else None
