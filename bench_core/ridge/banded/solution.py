"""The fit with chosen weights and penalties: dual weights, coefficients, predictions by space.

With K = Σ γ_g K_g the dual weights of a target are a = (K + α I)⁻¹ Yc, its coefficients
γ_g X_gᵀ a for space g: what ridge with penalty α gives on features X_g √γ_g.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.errors import InputError
from bench_core.ridge.arrays.backend import Array, Device, cast, to_numpy
from bench_core.ridge.arrays.target_blocks import Block
from bench_core.ridge.banded.kernels import Columns, SpaceKernels
from bench_core.ridge.solvers.targets import TargetColumns


class Choice:
    """Weights and penalty of every target.

    Parameters
    ----------
    weights : (m, spaces), scales of the kernels included: the γ of the distinct choices.
    alphas : (m,), their penalties.
    index : (s,), the choice of every target.
    """

    def __init__(
        self,
        weights: NDArray[np.float64],
        alphas: NDArray[np.float64],
        index: NDArray[np.intp],
    ) -> None:
        self.weights, self.alphas, self.index = weights, alphas, index

    def target_weights(self, columns: slice | NDArray[np.intp]) -> NDArray[np.float64]:
        """Return γ (b, spaces) of a block of targets."""
        found: NDArray[np.float64] = self.weights[self.index[columns]]
        return found

    def penalties(self) -> NDArray[np.float64]:
        """Return α / γ (m, spaces) of every distinct choice, infinite where γ is 0."""
        with np.errstate(divide="ignore"):
            found: NDArray[np.float64] = self.alphas[:, None] / self.weights
        return found


class BandedSolution:
    """Solver of blocks of targets, each with its own choice.

    Parameters
    ----------
    Xc : centred features (t, p), in the precision of the products.
    kept : most Cholesky factors to keep for further blocks of targets.
    """

    def __init__(
        self,
        Xc: Array,
        columns: Sequence[Columns],
        kernels: SpaceKernels,
        choice: Choice,
        device: Device,
        *,
        kept: int = 1,
    ) -> None:
        self.Xc, self.columns, self.kernels, self.choice = Xc, columns, kernels, choice
        self.device = device
        self._kept = kept
        self._factors: OrderedDict[tuple[int, int | None], Array] = OrderedDict()

    def dual(
        self, Y: Array, columns: slice | NDArray[np.intp], without: int | None = None
    ) -> Array:
        """Return the dual weights (t, b), float64, of centred targets Y (t, b).

        without : a space whose kernel is left out, the other penalties as they are.
        """
        index = self.choice.index[columns]
        Y64 = cast(Y, np.float64)
        found: Array = None
        distinct = np.unique(index)
        for number in distinct:
            factor = self._factor(int(number), without)
            if len(distinct) == 1:
                return _solve(factor, Y64)
            if found is None:
                xp = array_namespace(Y64)
                found = xp.empty_like(Y64)
            own = np.flatnonzero(index == number)
            where = own if isinstance(Y64, np.ndarray) else self.device.put(own)
            found[:, where] = _solve(factor, Y64[:, where])
        return found

    def coefficients(
        self, dual: Array, columns: slice, out: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """Return coefficients (b, p) of a block from its dual weights, into ``out`` where given."""
        xp = array_namespace(self.Xc)
        left = cast(dual, to_numpy(self.Xc[:0]).dtype).T
        if isinstance(left, np.ndarray) and out is not None:
            found = np.matmul(left, self.Xc, out=out)
        else:
            found = to_numpy(xp.matmul(left, self.Xc))
        weights = self.choice.target_weights(columns)
        for number, own in enumerate(self.columns):
            factor = weights[:, number].astype(found.dtype)[:, None]
            if (factor == 1).all():
                continue
            for part in own:
                found[:, part] *= factor
        return found

    def by_space(
        self,
        cross: Sequence[Array],
        dual: Array,
        columns: slice,
        without: int | None = None,
    ) -> list[NDArray[np.float64]]:
        """Return what every space adds to predictions, (n, b) each, from `cross_kernels`."""
        weights = self.choice.target_weights(columns)
        xp = array_namespace(dual)
        return [
            to_numpy(xp.matmul(K, dual)) * (0.0 if number == without else weights[:, number])
            for number, K in enumerate(cross)
        ]

    def _factor(self, number: int, without: int | None) -> Array:
        """Return the Cholesky factor of K + α I for a choice, the latest ones kept."""
        key = number, without
        if key not in self._factors:
            weights = self.choice.weights[number]
            if without is not None:
                weights = np.where(np.arange(len(weights)) == without, 0.0, weights)
            while len(self._factors) >= self._kept:
                self._factors.popitem(last=False)
            A = self.kernels.combined(weights)
            self._factors[key] = _cholesky(A, float(self.choice.alphas[number]))
        self._factors.move_to_end(key)
        return self._factors[key]


def solve_blocks(
    solution: BandedSolution,
    targets: TargetColumns,
    along: NDArray[np.float64] | None,
    keep: Callable[[slice, Array], None],
    *,
    dual: NDArray[Any] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Solve all targets block by block; return their intercepts (s,) and means (s,).

    Parameters
    ----------
    along : of `PreparedFeatures.along_means`; None without an intercept.
    keep : called with the columns of every block, in order, and its dual weights (t, b).
    dual : (t, s), to be filled with the dual weights of all targets: those of one choice are then
        solved together, so that each factor is formed once.
    """
    s = targets.Y.shape[1]
    intercept, mean = np.zeros(s), np.zeros(s)
    blocks = _in_order(targets) if dual is None else _by_choice(solution.choice.index, targets)
    for columns, block in blocks:
        Y = block.values
        if along is not None:
            mean[columns] = means = block.means()
            offset = 0.0 if block.offset is None else block.offset
            Y = Y - targets.device.put((means - offset).astype(targets.dtype))
        a = solution.dual(Y, columns)
        if along is not None:
            shift = (to_numpy(a).T @ along) * solution.choice.target_weights(columns)
            intercept[columns] = mean[columns] - shift.sum(axis=1)
        if dual is not None:
            dual[:, columns] = to_numpy(a)
        elif isinstance(columns, slice):
            keep(columns, a)
    if dual is not None:
        for first in range(0, s, targets.width):
            own = slice(first, min(first + targets.width, s))
            keep(own, targets.device.put(dual[:, own]))
    return intercept, mean


def _in_order(targets: TargetColumns) -> Iterator[tuple[slice, Block]]:
    for block in targets.blocks("solving"):
        yield block.columns, block


def _by_choice(
    index: NDArray[np.intp], targets: TargetColumns
) -> Iterator[tuple[NDArray[np.intp], Block]]:
    """Yield the targets in the order of their choices: columns, and a block of them."""
    order = np.argsort(index, kind="stable").astype(np.intp)
    starts = range(0, len(order), targets.width)
    for done, first in enumerate(starts):
        targets.progress("solving", done, len(starts))
        columns = order[first : first + targets.width]
        for block in targets.some(columns).blocks("solving"):
            yield columns, block
    targets.progress("solving", len(starts), len(starts))


def _cholesky(A: Array, alpha: float) -> Array:
    """Return the factor of A + α I for A (t, t), which is overwritten.

    Raises `InputError` where α is lost in the rounding of A.
    """
    if isinstance(A, np.ndarray):
        from scipy import linalg

        assert A.flags.c_contiguous
        A.reshape(-1)[:: A.shape[0] + 1] += alpha
        try:
            return linalg.cholesky(A.T, lower=True, overwrite_a=True, check_finite=False)
        except linalg.LinAlgError as error:
            raise _too_small(alpha) from error
    import torch

    A.diagonal().add_(alpha)
    try:
        return torch.linalg.cholesky(A)
    except torch.linalg.LinAlgError as error:
        raise _too_small(alpha) from error


def _too_small(alpha: float) -> InputError:
    return InputError(
        f"penalty {alpha:g} is too small against the features for an exact solution: "
        "leave out the smallest candidates"
    )


def _solve(factor: Array, Y: Array) -> Array:
    if isinstance(factor, np.ndarray):
        from scipy import linalg

        return linalg.cho_solve((factor, True), Y, check_finite=False)
    import torch

    return torch.cholesky_solve(Y, factor)
