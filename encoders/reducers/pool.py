"""Pooling: the mean of each channel over positions, tokens and frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError


class Pooling:
    """The mean over all axes but samples and channels; a layer without positions is unchanged.

    >>> maps = np.arange(8.0).reshape(1, 2, 2, 2)
    >>> Pooling().reduce(maps, 1).tolist()
    [[1.5, 5.5]]
    """

    def identity(self) -> dict[str, Any]:
        """Return the reducer's name."""
        return {"name": "pool"}

    def reduce(self, features: NDArray[Any], channel_axis: int) -> NDArray[Any]:
        """Return (n, …) features as (n, channels)."""
        axis = channel_axis % features.ndim
        if axis == 0:
            raise InputError("channel axis 0 counts samples: give 1 or more")
        others = tuple(k for k in range(1, features.ndim) if k != axis)
        if not others:
            return features
        # In float64: half precision cannot hold the sum of a large map.
        means: NDArray[Any] = features.mean(axis=others, dtype=np.float64).astype(np.float32)
        return means


REDUCER = Pooling
