"""Solver of the dual form: t × t matrices, see `bench_core.ridge.formulas.dual`."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import Array, Device, cast, mirror, to_numpy
from bench_core.ridge.arrays.target_blocks import Block
from bench_core.ridge.formulas import cross_validation, dual
from bench_core.ridge.formulas.centering import double_centre
from bench_core.ridge.formulas.cross_validation import Validation
from bench_core.ridge.formulas.dual import Eigh
from bench_core.ridge.formulas.quadratic_forms import damping
from bench_core.ridge.solvers.base import (
    Predictor,
    Scores,
    Solution,
    Solver,
    magnification,
    mean_scores,
)
from bench_core.ridge.solvers.targets import Sums, TargetColumns, TargetSums, scaled


class DualSolver(Solver):
    """t × t: see `bench_core.ridge.formulas.dual`."""

    _kernel: Array = None
    """K = Xc Xcᵀ (t, t), kept for the folds until the chosen penalty is solved with."""

    @property
    def passes(self) -> int:
        """Number of passes over the targets: one Gram matrix of theirs serves all folds."""
        return 1 if self.selection == "shared" and self.scoring != "r2" else super().passes

    def factorise(self) -> None:
        self._kernel = dual.gram(self.X)
        self._require_finite_x(self._kernel)
        if not self.folds:
            # Before Y is touched: numpy and scipy bring a BLAS each, and idle threads spin a while.
            self._decompose()

    def _decompose(self) -> None:
        K, self._kernel = self._kernel, None
        self.eigen = dual.factorise(K, intercept=self.intercept)
        self.factorised = True

    def partial_sums(self, number: int, targets: TargetColumns) -> Sums:
        if self.selection == "each":
            return self._predicted_scores(number, targets)
        rows = self.folds[number][1] if self.folds and self.scoring == "r2" else None
        G, defined = None, 0
        for block in targets.blocks("multiplying targets"):
            values = block.values
            if self.scoring == "r2":
                values, count = scaled(values, rows)
                defined += count
            G = dual.target_gram(values, G)
        return TargetSums(G, targets.Y.shape[1], defined)

    def scores(self, number: int, sums: Sums) -> Scores:
        if self.selection == "each":
            return self._each(sums)
        assert isinstance(sums, TargetSums)
        xp = array_namespace(sums.total)
        self._require_finite(xp.linalg.diagonal(sums.total))
        G = mirror(sums.total)
        if not self.folds:
            return self._leave_one_out(G, sums)
        folds = [number] if self.scoring == "r2" else range(len(self.folds))
        return mean_scores(self._fold(fold, G, sums) for fold in folds)

    def _leave_one_out(self, G: Array, sums: TargetSums) -> Scores:
        if self.intercept:
            G = double_centre(G)
        squares = dual.loo_squares(self.eigen, G, self.alphas, self.dtype.name)
        gain = dual.gain(self.eigen, damping(self.eigen.w, self.alphas))
        own = array_namespace(G).linalg.diagonal(G)
        magnified = magnification(gain, own, squares)
        return Scores(self._mean_squares(squares, sums), magnified=magnified)

    def _fold(self, number: int, G: Array, sums: TargetSums) -> Scores:
        check = self.validation(number)
        found = cross_validation.kernel_sums(check, G, intercept=self.intercept)
        squares = cross_validation.fold_squares(check, found, self.alphas)
        magnified = magnification(None, found.squares, squares)
        return Scores(self._mean_squares(squares, sums), magnified=magnified)

    def _make_validation(self, number: int) -> Validation:
        if not self.folds:
            return cross_validation.dual_loo(self.eigen, self.alphas)
        return cross_validation.dual_fold(
            self._kernel, *self.folds[number], self.alphas, intercept=self.intercept
        )

    def solve(self, alphas: float | NDArray[np.float64]) -> DualSolution:
        self._latest = None
        if not self.factorised:
            self._decompose()
        return DualSolution(
            self.X, self.eigen, alphas, x_mean=self.x_mean, dtype=self.dtype, device=self.device
        )


class DualSolution(Solution):
    """Penalties chosen, in the dual form: coefficients are M Y, or (A Y)ᵀ Xc of each target's A.

    ``solution`` is Mᵀ (t, p) where another process has formed it; X and the factorisation may
    then be None.
    """

    def __init__(
        self,
        X: Array,
        eigen: Eigh | None,
        alphas: float | NDArray[np.float64],
        *,
        x_mean: NDArray[np.float64] | None,
        dtype: np.dtype[Any],
        device: Device,
        solution: Array = None,
    ) -> None:
        super().__init__(x_mean, dtype, device)
        self.X, self.eigen, self.alphas, self._solution = X, eigen, alphas, solution

    def coefficients(self, block: Block, out: NDArray[Any] | None = None) -> Array:
        xp = array_namespace(block.values)
        if isinstance(self.alphas, float):
            left, right = block.values.T, self.solution
        else:
            left, right = self._weights(block).T, self.X
        if out is not None and self.device.is_numpy:
            return xp.matmul(left, right, out=out)
        return xp.matmul(left, right)

    @property
    def solution(self) -> Array:
        """Mᵀ = A Xc (t, p), formed when it is first asked for."""
        if self._solution is None:
            assert self.eigen is not None
            assert isinstance(self.alphas, float)
            self._solution = dual.solution(self.X, self.eigen, self.alphas)
        return self._solution

    def arrays(self) -> dict[str, NDArray[Any]]:
        mean = {} if self.x_mean is None else {"mean": self.x_mean}
        return {"solution": to_numpy(self.solution), **mean}

    def _weights(self, block: Block) -> Array:
        assert self.eigen is not None
        chosen = self.device.put(np.asarray(self.alphas)[block.columns])
        return dual.dual_weights(block.values, self.eigen, chosen)

    def predictor(self, X: NDArray[Any]) -> Predictor:
        assert self.eigen is not None
        xp = array_namespace(self.X)
        Kx = dual.cross_gram(self.new_rows(X), self.X)
        if isinstance(self.alphas, float):
            N = cast(dual.hat_rows(Kx, self.eigen, self.alphas), self.dtype)
            return lambda block, coefficients: xp.matmul(N, block.values)
        Kx = cast(Kx, self.dtype)
        return lambda block, coefficients: xp.matmul(Kx, self._weights(block))
