"""Principal components, fitted on the training runs only.

The fit is exact and reads the features once. With more samples than features it sums the
covariance (q × q) batch by batch. Otherwise it holds all samples and computes their inner
products (n × n).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from bench_core.checks import check_memory
from bench_core.errors import InputError
from encoders.reducers import check_count, flatten


class PCA:
    """Projection to the ``components`` directions of largest variance in the training runs.

    Features are centred with the training mean and not scaled. The largest entry of each
    direction is positive.

    Examples
    --------
    >>> line = np.outer(np.arange(4.0), [3.0, 4.0])
    >>> pca = PCA(1)
    >>> pca.fit([line], line.shape)
    >>> pca.reduce(line, 1).round(1).ravel().tolist()
    [-7.5, -2.5, 2.5, 7.5]
    """

    def __init__(self, components: int) -> None:
        self.components = check_count(components, "principal components")
        self._mean: NDArray[np.float64] | None = None
        self._directions: NDArray[np.float64] | None = None

    def identity(self) -> dict[str, Any]:
        """Return the reducer's name and number of features."""
        return {"name": "pca", "components": self.components}

    def fit(self, batches: Iterable[NDArray[Any]], shape: tuple[int, int]) -> None:
        """Fit the mean and the directions on rows of total ``shape`` = (n, q).

        Raises `InputError` for fewer samples or features than components, and `ResourceError` when
        the covariance does not fit in memory.
        """
        n, q = shape
        if self.components > min(n - 1, q):
            raise InputError(
                f"{self.components} principal components of {n} samples of {q} features: "
                f"give {min(n - 1, q)} or fewer"
            )
        side = min(n, q)
        check_memory(8 * (3 * side**2 + (n * q if n <= q else 0)), "principal components")
        summed = _by_covariance if n > q else _by_samples
        self._mean, self._directions = summed(batches, shape, self.components)

    def reduce(self, features: NDArray[Any], channel_axis: int) -> NDArray[Any]:
        """Return (n, …) features as (n, components) float32."""
        if self._mean is None or self._directions is None:
            raise InputError("principal components must be fitted on the training runs first")
        flat = flatten(features)
        if flat.shape[1] != len(self._mean):
            raise InputError(
                f"{flat.shape[1]} features: the principal components were fitted on "
                f"{len(self._mean)}; fit them again"
            )
        return ((flat - self._mean) @ self._directions.T).astype(np.float32)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the mean (q,) and the directions (components, q)."""
        if self._mean is None or self._directions is None:
            raise InputError("principal components must be fitted on the training runs first")
        return {"mean": self._mean, "directions": self._directions}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Set the mean and the directions to those of ``state``."""
        self._mean, self._directions = state["mean"], state["directions"]


def _by_covariance(
    batches: Iterable[NDArray[Any]], shape: tuple[int, int], components: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n, q = shape
    # Centred on the first batch's mean, so that the subtraction below does not cancel digits.
    origin: NDArray[np.float64] | None = None
    total, products = np.zeros(q), np.zeros((q, q))
    for batch in batches:
        rows = batch.astype(np.float64)
        origin = rows.mean(axis=0) if origin is None else origin
        rows -= origin
        total += rows.sum(axis=0)
        products += rows.T @ rows
    assert origin is not None
    shift = total / n
    products -= n * np.outer(shift, shift)
    _, vectors = linalg.eigh(
        products, subset_by_index=(q - components, q - 1), overwrite_a=True, check_finite=False
    )
    return origin + shift, _signed(vectors[:, ::-1].T)


def _by_samples(
    batches: Iterable[NDArray[Any]], shape: tuple[int, int], components: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    n = shape[0]
    rows = np.concatenate([batch.astype(np.float64) for batch in batches])
    mean = rows.mean(axis=0)
    rows -= mean
    _, vectors = linalg.eigh(
        rows @ rows.T, subset_by_index=(n - components, n - 1), check_finite=False
    )
    directions = vectors[:, ::-1].T @ rows
    lengths = np.linalg.norm(directions, axis=1, keepdims=True)
    if np.any(lengths <= 1e-7 * lengths[0]):
        raise InputError(
            f"the training runs vary along fewer than {components} directions: "
            "give fewer principal components"
        )
    return mean, _signed(directions / lengths)


def _signed(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    largest = np.argmax(np.abs(directions), axis=1)
    signs = np.sign(directions[np.arange(len(directions)), largest])
    return directions * signs[:, None]


REDUCER = PCA
