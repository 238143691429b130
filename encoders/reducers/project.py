"""Sparse random projection, which nearly preserves distances and needs no training data.

Li, Hastie and Church (2006), Very sparse random projections: each output sums each of the d
features with probability 1/√d and a random sign, scaled so that the expected squared length is
preserved. The matrix depends on the seed and d alone: it comes from the raw stream of PCG64,
which does not change between versions of numpy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from encoders.reducers import check_count, flatten

_SHIFT = np.uint64(11)  # the upper 53 bits choose the entries, the lowest bit their signs


class SparseProjection:
    """Projection to ``components`` features with a seeded sparse random matrix.

    >>> SparseProjection(3).reduce(np.ones((2, 4, 5)), 1).shape
    (2, 3)
    """

    def __init__(self, components: int, *, seed: int = 0) -> None:
        self.components = check_count(components, "projected features")
        self.seed = seed
        self._matrix: Any = None

    def identity(self) -> dict[str, Any]:
        """Return the reducer's name, number of features and seed."""
        return {"name": "project", "components": self.components, "seed": self.seed}

    def reduce(self, features: NDArray[Any], channel_axis: int) -> NDArray[Any]:
        """Return (n, …) features as (n, components) float32."""
        flat = flatten(features)
        if self._matrix is None or self._matrix.shape[1] != flat.shape[1]:
            self._matrix = projection_matrix(self.components, flat.shape[1], self.seed)
        projected: NDArray[Any] = (self._matrix @ flat.T.astype(np.float32, copy=False)).T
        return np.ascontiguousarray(projected)


def projection_matrix(components: int, d: int, seed: int) -> sparse.csr_array:
    """Return the sparse float32 matrix (components, d)."""
    bits = np.random.PCG64(seed)
    threshold = np.uint64(2.0**53 / np.sqrt(d)) if d > 1 else np.uint64(2**53)
    indices, signs, ends = [], [], [0]
    for _ in range(components):
        raw = bits.random_raw(d)
        chosen = np.flatnonzero((raw >> _SHIFT) < threshold)
        indices.append(chosen)
        signs.append(1.0 - 2.0 * (raw[chosen] & np.uint64(1)))
        ends.append(ends[-1] + len(chosen))
    scale = np.sqrt(np.sqrt(d) / components)
    values = (np.concatenate(signs) * scale).astype(np.float32)
    return sparse.csr_array((values, np.concatenate(indices), ends), shape=(components, d))


REDUCER = SparseProjection
