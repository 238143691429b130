"""Mean r over the targets of every region (thesis figure 3.7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench_core.errors import InputError


@dataclass(frozen=True)
class RegionAccuracy:
    """Figures over the targets of one region whose r is defined; None without any.

    ``significant`` is the number of significant targets, None where significance is unknown.

    Examples
    --------
    >>> (found,) = by_region([0.25, 0.75], np.array([7, 7]))
    >>> found.region, found.targets, found.max
    (7, 2, 0.75)
    """

    region: int
    targets: int
    defined: int
    mean: float | None
    median: float | None
    max: float | None
    significant: int | None


def by_region(
    r: ArrayLike, regions: NDArray[Any], significant: NDArray[np.bool_] | None = None
) -> list[RegionAccuracy]:
    """Return the accuracy of every region, in the order of their numbers.

    Parameters
    ----------
    r : (s,), NaN where undefined.
    regions : (s,) the region of every target, 0 for none.
    significant : (s,) whether each target is significant, None if unknown.

    Raises `InputError` when the lengths differ.

    Examples
    --------
    >>> [each.mean for each in by_region([0.25, 0.75, 0.5], np.array([1, 1, 7]))]
    [0.5, 0.5]
    """
    values = np.asarray(r, dtype=np.float64)
    if values.shape != regions.shape:
        raise InputError(f"{values.shape} r and {regions.shape} regions: give one for each target")
    found = []
    for region in np.unique(regions[regions != 0]):
        inside = regions == region
        here = values[inside & ~np.isnan(values)]
        figures = (here.mean(), np.median(here), here.max()) if here.size else (None, None, None)
        mean, median, largest = (None if x is None else float(x) for x in figures)
        count = None if significant is None else int(significant[inside].sum())
        found.append(
            RegionAccuracy(
                int(region), int(inside.sum()), int(here.size), mean, median, largest, count
            )
        )
    return found
