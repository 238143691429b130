"""No reduction: every value of a layer is a feature, in the layer's order."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from encoders.reducers import flatten


class NoReduction:
    """The identity: keeps every value.

    >>> import numpy as np
    >>> NoReduction().reduce(np.zeros((2, 3, 4)), 1).shape
    (2, 12)
    """

    def identity(self) -> dict[str, Any]:
        """Return the reducer's name."""
        return {"name": "none"}

    def reduce(self, features: NDArray[Any], channel_axis: int) -> NDArray[Any]:
        """Return (n, …) features as (n, q)."""
        return flatten(features)


REDUCER = NoReduction
