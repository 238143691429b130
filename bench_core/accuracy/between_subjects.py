"""Correlation between the maps of several subjects or fits (thesis figure 3.12)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.accuracy.agreement import map_correlations
from bench_core.data.problem import Problem
from bench_core.errors import InputError


def correlate_maps(
    problems: Sequence[Problem], values: Sequence[NDArray[Any]]
) -> NDArray[np.float64]:
    """Return Pearson's r (n, n) between n maps of one value per target of its problem.

    Targets of equal names (parcels) are compared one by one. Voxels of different masks are
    compared at the places that both have.

    Raises `InputError` when neither is possible.
    """
    names = [list(problem.target_names or ()) for problem in problems]
    if names[0] and all(each == names[0] for each in names):
        return map_correlations(values)
    spaces = [problem.space for problem in problems]
    first = spaces[0]
    if first is None or any(each is None or not first.same_grid(each) for each in spaces):
        raise InputError(
            f"targets of {', '.join(problem.name for problem in problems)} are neither the same "
            "parcels nor voxels of one grid: extract them in one standard space"
        )
    volumes = [
        space.volume(each) for space, each in zip(spaces, values, strict=True) if space is not None
    ]
    return map_correlations(volumes)
