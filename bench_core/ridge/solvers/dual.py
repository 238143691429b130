"""The dual form as a solver: t × t matrices, see `bench_core.ridge.formulas.dual`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import Array, cast, mirror
from bench_core.ridge.arrays.target_blocks import Block
from bench_core.ridge.formulas import cross_validation, dual
from bench_core.ridge.formulas.centering import double_centre
from bench_core.ridge.formulas.cross_validation import Validation
from bench_core.ridge.formulas.quadratic_forms import damping
from bench_core.ridge.solvers.base import Predictor, Scores, Solver, magnification


class DualSolver(Solver):
    """t × t: see `bench_core.ridge.formulas.dual`."""

    def select(self) -> Scores:
        K = dual.gram(self.X)
        shared = self.plan.selection == "shared"
        if self.folds:
            scores = self._folds_shared(K) if shared else self._each(self._fold_checks(K))
            self.eigen = dual.factorise(K, intercept=self.intercept)
            return scores
        # Before Y is touched: numpy and scipy bring a BLAS each, and idle threads spin for a while.
        self.eigen = dual.factorise(K, intercept=self.intercept)
        del K
        if not shared:
            return self._each(iter([cross_validation.dual_loo(self.eigen, self.alphas)]))
        G, defined = self._gram()
        if self.intercept:
            G = double_centre(G)
        squares = dual.loo_squares(self.eigen, G, self.alphas, self.dtype.name)
        gain = dual.gain(self.eigen, damping(self.eigen.w, self.alphas))
        own = array_namespace(G).linalg.diagonal(G)
        magnified = magnification(gain, own, squares)
        return Scores(self._mean_squares(squares, defined), magnified=magnified)

    def _gram(self, rows: Array | None = None) -> tuple[Array, int]:
        """Return Y Yᵀ, of scaled targets for r2 (by their variance over ``rows``)."""
        G, defined = None, 0
        for block in self.blocks("multiplying targets"):
            values = block.values
            if self.scoring == "r2":
                values, count = self._scaled(values, rows)
                defined += count
            G = dual.target_gram(values, G)
        self._require_finite(array_namespace(G).linalg.diagonal(G))
        return mirror(G), defined

    def _fold_checks(self, K: Array) -> Iterator[Validation]:
        for train, test in self.folds:
            yield cross_validation.dual_fold(K, train, test, self.alphas, intercept=self.intercept)

    def _folds_shared(self, K: Array) -> Scores:
        G, defined = self._gram() if self.scoring != "r2" else (None, 0)
        found, magnified = [], []
        for check in self._fold_checks(K):
            if self.scoring == "r2":
                G, defined = self._gram(check.test)
            sums = cross_validation.kernel_sums(check, G, intercept=self.intercept)
            squares = cross_validation.fold_squares(check, sums, self.alphas)
            found.append(self._mean_squares(squares, defined))
            magnified.append(magnification(None, sums.squares, squares))
        return Scores(np.mean(found, axis=0), magnified=np.max(magnified, axis=0))

    def solve(self, alphas: float | NDArray[np.float64]) -> None:
        super().solve(alphas)
        self._solution: Array = None

    def coefficients(self, block: Block, out: NDArray[Any] | None = None) -> Array:
        xp = array_namespace(self.X)
        if isinstance(self.chosen, float):
            if self._solution is None:
                self._solution = dual.solution(self.X, self.eigen, self.chosen)
            left, right = block.values.T, self._solution
        else:
            left, right = self._weights(block).T, self.X
        if out is not None and self.device.is_numpy:
            return xp.matmul(left, right, out=out)
        return xp.matmul(left, right)

    def _weights(self, block: Block) -> Array:
        chosen = self.device.put(np.asarray(self.chosen)[block.columns])
        return dual.dual_weights(block.values, self.eigen, chosen)

    def predictor(self, X: NDArray[Any]) -> Predictor:
        xp = array_namespace(self.X)
        Kx = dual.cross_gram(self.new_rows(X), self.X)
        if isinstance(self.chosen, float):
            N = cast(dual.hat_rows(Kx, self.eigen, self.chosen), self.dtype)
            return lambda block, coefficients: xp.matmul(N, block.values)
        Kx = cast(Kx, self.dtype)
        return lambda block, coefficients: xp.matmul(Kx, self._weights(block))
