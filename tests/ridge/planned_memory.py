"""Memory that a plan says, and what numpy allocates."""

from __future__ import annotations

import tracemalloc
from typing import Any

from numpy.typing import NDArray

from bench_core.ridge import MultiTargetRidgeCV
from bench_core.ridge.banded import BandedRidgeCV


def planned_and_peak(
    model: MultiTargetRidgeCV | BandedRidgeCV, X: NDArray[Any], Y: NDArray[Any]
) -> tuple[int, int]:
    """Fit, and return the planned bytes and the most that was allocated at once."""
    model.fit(X, Y)  # imports and caches
    tracemalloc.start()
    try:
        model.fit(X, Y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    if isinstance(model, BandedRidgeCV):
        assert model.plan_ == model.plan_shape(*X.shape, Y.shape[1], X.dtype)
    else:
        assert model.plan_ == model.plan(X, Y)
    return model.plan_.peak_bytes, peak
