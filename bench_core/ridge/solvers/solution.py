"""What a solver leaves: X factorised, and the solution that serves every block of targets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import Array, Device, cast, to_numpy
from bench_core.ridge.arrays.target_blocks import Block
from bench_core.ridge.formulas.centering import centred
from bench_core.ridge.formulas.eigensystem import Eigh

Predictor = Callable[[Block, Array | None], Array]


@dataclass
class Factors:
    """X factorised: eigenvalues and vectors, the basis, and the means of X (p,), None without.

    basis : Xc (t, p) in the dual form, Q = Xc V (t, m) in the primal form; None where it
    serves for scores only.
    """

    eigen: Eigh
    basis: Array | None
    x_mean: NDArray[np.float64] | None


def factor_arrays(factors: Factors, dtype: np.dtype[Any]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a factorisation by name, vectors in the precision of the products."""
    found = {
        "values": to_numpy(factors.eigen.w),
        "vectors": to_numpy(cast(factors.eigen.V, dtype)),
        "accuracy": np.array([factors.eigen.rounding, factors.eigen.known]),
    }
    if factors.basis is not None:
        found["basis"] = to_numpy(factors.basis)
    if factors.x_mean is not None:
        found["mean"] = factors.x_mean
    return found


class Solution(ABC):
    """A chosen penalty, or one for each target, with all that a block of targets needs."""

    def __init__(
        self, x_mean: NDArray[np.float64] | None, dtype: np.dtype[Any], device: Device
    ) -> None:
        self.x_mean, self.dtype, self.device = x_mean, dtype, device

    def new_rows(self, X: NDArray[Any]) -> Array:
        """Return new rows (n, p), less the training means, on the device."""
        return self.device.put(centred(X, self.x_mean, self.dtype))

    @abstractmethod
    def coefficients(self, block: Block, out: NDArray[Any] | None = None) -> Array:
        """Return the coefficients (b, p) of a block of targets, into ``out`` where given."""

    @abstractmethod
    def predictor(self, X: NDArray[Any]) -> Predictor:
        """Return the function that predicts centred targets at new rows (n, p).

        It takes a block and its coefficients, if there are any, and returns (n, b).
        """


class RestorableSolution(Solution):
    """A solution that another process can restore from arrays."""

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays, by name, from which another process can restore the solution."""
