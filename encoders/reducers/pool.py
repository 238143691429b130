"""Pooling: the mean of every channel over positions, tokens and frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError


class Pooling:
    """Averages over all axes but samples and channels; a layer without positions is unchanged."""

    def identity(self) -> dict[str, Any]:
        """Return the reducer's name."""
        return {"name": "pool"}

    def reduce(self, features: NDArray[Any], channel_axis: int) -> NDArray[Any]:
        """Return (n, …) features as (n, channels)."""
        axis = channel_axis % features.ndim
        if axis == 0:
            raise InputError("axis 0 counts samples and cannot be the channels'")
        others = tuple(k for k in range(1, features.ndim) if k != axis)
        if not others:
            return features
        # In float64: half precision would lose the sum of a large map.
        means: NDArray[Any] = features.mean(axis=others, dtype=np.float64).astype(np.float32)
        return means


REDUCER = Pooling
