"""The primal form as a solver: p × p matrices, see `bench_core.ridge.formulas.primal`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import Array
from bench_core.ridge.arrays.target_blocks import Block
from bench_core.ridge.formulas import cross_validation, primal
from bench_core.ridge.formulas.cross_validation import Validation
from bench_core.ridge.formulas.per_target_scores import training_and_test
from bench_core.ridge.formulas.primal import ErrorSums
from bench_core.ridge.planning.flops import keeps_coordinates
from bench_core.ridge.solvers.base import Predictor, Scores, Solver, magnification


class PrimalSolver(Solver):
    """p × p: see `bench_core.ridge.formulas.primal`."""

    _coordinates: Array | None = None
    """C = Qᵀ Yc (m, s), kept from the choice of the penalty where one block holds all targets."""

    def select(self) -> Scores:
        shared = self.plan.selection == "shared"
        if self.folds:
            scores = self._folds_shared() if shared else self._each(self._fold_checks())
            self._factorise()
            return scores
        self._factorise()
        if not shared:
            check = cross_validation.primal_loo(
                self.X, self.eigen, self.alphas, intercept=self.intercept
            )
            return self._each(iter([check]))
        f = primal.filters(self.eigen, self.alphas)

        def of_block(Y: Array) -> ErrorSums:
            C = array_namespace(Y).matmul(self.X.T, Y)
            if keeps_coordinates(self.plan.shape, self.plan.selection, self.plan.width):
                self._coordinates = C
            return primal.error_sums(self.X, f, Y, C)

        sums, defined = self._sums(of_block)
        rest = primal.complement_of_leverage(self.X, f, intercept=self.intercept)
        squares = primal.loo_squares(self.X, self.eigen, sums, self.alphas, rest)
        magnified = magnification(1 / (rest * rest), sums.squares, squares)
        return Scores(self._mean_squares(squares, defined), magnified=magnified)

    def _factorise(self) -> None:
        """Replace Xc by Q = Xc V, its coordinates along the eigenvectors."""
        self.eigen = primal.factorise(primal.covariance(self.X))
        self.X = primal.rotate(self.X, self.eigen)

    def _sums(
        self, of_block: Callable[[Array], ErrorSums], test: Array | None = None
    ) -> tuple[ErrorSums, int]:
        total, defined = None, 0
        for block in self.blocks("multiplying targets", "mean"):
            values = block.values
            if self.scoring == "r2":
                values, count = self._scaled(values, test)
                defined += count
            part = of_block(values)
            if total is None:
                total = part
            else:
                total += part
        assert total is not None
        self._require_finite(total.squares)
        return total, defined

    def _fold_checks(self) -> Iterator[Validation]:
        for train, test in self.folds:
            yield cross_validation.primal_fold(
                self.X, train, test, self.alphas, intercept=self.intercept
            )

    def _folds_shared(self) -> Scores:
        found, magnified = [], []
        for check in self._fold_checks():

            def of_block(Y: Array, check: Validation = check) -> ErrorSums:
                Y_S, Y_T = training_and_test(check, Y, intercept=self.intercept)
                return cross_validation.fold_sums(check, Y_S, Y_T)

            total, defined = self._sums(of_block, check.test)
            squares = cross_validation.fold_squares(check, total, self.alphas)
            found.append(self._mean_squares(squares, defined))
            magnified.append(magnification(None, total.squares, squares))
        return Scores(np.mean(found, axis=0), magnified=np.max(magnified, axis=0))

    def coefficients(self, block: Block, out: NDArray[Any] | None = None) -> Array:
        xp = array_namespace(self.X)
        if isinstance(self.chosen, float):
            f = 1 / (self.eigen.w + self.chosen)
        else:
            chosen = self.device.put(np.asarray(self.chosen)[block.columns])
            f = 1 / (self.eigen.w[:, None] + chosen[None, :])
        C = self._coordinates
        if C is None:
            C = xp.matmul(self.X.T, block.values)
        result = primal.coefficients(C, self.eigen, f)
        if out is not None and self.device.is_numpy:
            out[...] = result
            return out
        return result

    def predictor(self, X: NDArray[Any]) -> Predictor:
        xp = array_namespace(self.X)
        new = self.new_rows(X)

        def predict(block: Block, coefficients: Array | None) -> Array:
            if coefficients is None:
                coefficients = self.coefficients(block)
            return xp.matmul(new, coefficients.T)

        return predict
