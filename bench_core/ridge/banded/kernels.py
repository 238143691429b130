"""Gram matrices of feature spaces, and their weighted sums."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import Array, add_gram, float64_pieces, is_float64, mirror
from bench_core.ridge.formulas.dual import COLUMNS

Columns = list[slice]
"""The columns of one space: slices that follow each other in X."""


def columns_of(numbers: NDArray[np.intp], spaces: int) -> list[Columns]:
    """Return the columns of every space from the number of every column's space (p,).

    >>> columns_of(np.array([0, 0, 1, 0]), 2)
    [[slice(0, 2, None), slice(3, 4, None)], [slice(2, 3, None)]]
    """
    found: list[Columns] = [[] for _ in range(spaces)]
    edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1), len(numbers)]
    for first, end in pairwise(edges):
        found[int(numbers[first])].append(slice(int(first), int(end)))
    return found


@dataclass(frozen=True)
class SpaceKernels:
    """K_g = X_g X_gᵀ (t, t) of every space g, float64, for centred features.

    Parameters
    ----------
    scales : (spaces,) what the weights of a candidate are multiplied by: 1, or what gives all
        kernels the same trace.
    """

    kernels: Sequence[Array]
    scales: NDArray[np.float64]

    @property
    def t(self) -> int:
        """Samples."""
        return int(self.kernels[0].shape[0])

    def combined(self, weights: NDArray[np.float64]) -> Array:
        """Return Σ γ_g K_g (t, t) for weights γ (spaces,), a new array."""
        total: Array = None
        for weight, kernel in zip(weights, self.kernels, strict=True):
            if weight == 0:
                continue
            if total is None:
                total = kernel * float(weight)
            else:
                total += kernel * float(weight)
        if total is None:
            total = self.kernels[0] * 0.0
        return total


def space_kernels(Xc: Array, columns: Sequence[Columns], *, balanced: bool) -> SpaceKernels:
    """Return the kernels of centred features Xc (t, p), products and sums in float64.

    balanced : give all kernels the mean of their traces, by `SpaceKernels.scales`: a weight then
    means the same for a space of many strong features as for one of a few weak ones.
    """
    kernels = [_gram(Xc, own) for own in columns]
    traces = np.array([float(array_namespace(K).linalg.trace(K)) for K in kernels])
    scales = np.ones(len(kernels))
    if balanced and (traces > 0).any():
        scales = np.where(traces > 0, traces[traces > 0].mean() / np.maximum(traces, 1e-300), 1.0)
    return SpaceKernels(kernels, scales)


def cross_kernels(new: Array, Xc: Array, columns: Sequence[Columns]) -> list[Array]:
    """Return X_new,g X_gᵀ (n, t) of every space, in float64, for rows centred as Xc (t, p)."""
    found = []
    for own in columns:
        total: Array = None
        for part in own:
            for piece in _pieces(part):
                left, right = (
                    array_namespace(A).astype(A[:, piece], _float64(A)) for A in (new, Xc)
                )
                product = array_namespace(left).matmul(left, right.T)
                total = product if total is None else total + product
        found.append(total)
    return found


def _gram(Xc: Array, columns: Columns) -> Array:
    xp = array_namespace(Xc)
    t = Xc.shape[0]
    total = xp.zeros(
        (t, t), dtype=xp.float64, **({} if isinstance(Xc, np.ndarray) else {"device": Xc.device})
    )
    for part in columns:
        for piece in float64_pieces(Xc[:, part], axis=1):
            assert is_float64(piece)
            add_gram(total, piece)
    return mirror(total)


def _pieces(part: slice) -> Iterator[slice]:
    for first in range(part.start, part.stop, COLUMNS):
        yield slice(first, min(first + COLUMNS, part.stop))


def _float64(A: Array) -> Any:
    return array_namespace(A).float64
