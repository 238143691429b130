"""Memory that a plan says, and what numpy allocates."""

from __future__ import annotations

import tracemalloc
from typing import Any

from numpy.typing import NDArray

from bench_core.ridge import MultiTargetRidgeCV


def planned_and_peak(
    model: MultiTargetRidgeCV, X: NDArray[Any], Y: NDArray[Any]
) -> tuple[int, int]:
    """Fit, and return the planned bytes and the most that was allocated at once."""
    model.fit(X, Y)  # imports and caches
    tracemalloc.start()
    try:
        model.fit(X, Y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert model.plan_ == model.plan(X, Y)
    return model.plan_.peak_bytes, peak
