"""Features of a banded ridge, prepared once: centred, with the kernels of their spaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import Array, Device, to_numpy
from bench_core.ridge.banded.kernels import (
    Columns,
    SpaceKernels,
    cross_kernels,
    space_kernels,
)
from bench_core.ridge.banded.solution import BandedSolution, Choice
from bench_core.ridge.formulas.centering import centred, column_means, recentre


@dataclass(frozen=True)
class PreparedFeatures:
    """X (t, p) on a device, as all steps of a fit need it.

    Parameters
    ----------
    Xc : centred, in the precision of the products. mean : (p,), None without an intercept.
    columns : of every space. kernels : of every space, in the rows' own order.
    """

    Xc: Array
    mean: NDArray[np.float64] | None
    columns: Sequence[Columns]
    kernels: SpaceKernels
    device: Device

    @classmethod
    def of(
        cls,
        X: NDArray[Any],
        columns: Sequence[Columns],
        dtype: np.dtype[Any],
        device: Device,
        *,
        intercept: bool,
        balanced: bool,
    ) -> PreparedFeatures:
        """Return X (t, p) prepared."""
        mean = column_means(X) if intercept else None
        Xc = centred(X, mean, dtype)
        if mean is not None:
            Xc = recentre(Xc, mean)
        Xc = device.put(Xc)
        return cls(Xc, mean, columns, space_kernels(Xc, columns, balanced=balanced), device)

    def ordered(self, order: NDArray[np.intp] | None) -> SpaceKernels:
        """Return the kernels with their rows in the order of the folds; None for their own."""
        if order is None:
            return self.kernels
        kernels = self.kernels.kernels
        if isinstance(kernels[0], np.ndarray):
            moved = [np.ascontiguousarray(K[np.ix_(order, order)]) for K in kernels]
        else:
            import torch

            rows = torch.as_tensor(order, device=kernels[0].device)
            moved = [K[rows][:, rows].contiguous() for K in kernels]
        return SpaceKernels(moved, self.kernels.scales)

    def along_means(self) -> NDArray[np.float64]:
        """Return X_g x̄_g (t, spaces): what the means of the features are to the dual weights."""
        found = np.zeros((self.Xc.shape[0], len(self.columns)))
        if self.mean is not None:
            Xc = to_numpy(self.Xc)
            for number, own in enumerate(self.columns):
                for part in own:
                    found[:, number] += Xc[:, part] @ self.mean[part]
        return found

    def solution(self, choice: Choice, kept: int) -> BandedSolution:
        """Return the solver of targets with this choice; ``kept`` : factors that are kept."""
        return BandedSolution(self.Xc, self.columns, self.kernels, choice, self.device, kept=kept)

    def cross(self, X: NDArray[Any]) -> list[Array]:
        """Return the kernels (n, t) of new rows X (n, p) and these, one for each space."""
        new = self.device.put(centred(X, self.mean, np.float64))
        return cross_kernels(new, self.Xc, self.columns)
