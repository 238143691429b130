"""Memory that a plan says, and what numpy allocates."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from bench_core.ridge import MultiTargetRidgeCV


def planned_and_peak(
    model: MultiTargetRidgeCV, X: NDArray[Any], Y: NDArray[Any]
) -> tuple[int, int]:
    """Fit, and return the planned bytes and the most that was allocated at once."""
    t, p = (20, 30) if X.shape[0] <= X.shape[1] else (40, 20)
    clone(model).fit(np.asarray(X[:t, :p]), np.asarray(Y[:t, :9]))  # imports and caches
    tracemalloc.start()
    try:
        model.fit(X, Y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert model.plan_ == model.plan(X, Y)
    return model.plan_.peak_bytes, peak
