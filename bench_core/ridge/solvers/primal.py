"""Solver of the primal form: p × p matrices, see `bench_core.ridge.formulas.primal`."""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import Array, Device, to_numpy
from bench_core.ridge.arrays.target_blocks import Block
from bench_core.ridge.formulas import (
    cross_validation,
    gcv,
    joint_folds,
    primal,
    singular_values,
)
from bench_core.ridge.formulas.cross_validation import Validation
from bench_core.ridge.formulas.gcv import Criterion
from bench_core.ridge.formulas.joint_folds import FoldSums, JointFolds
from bench_core.ridge.formulas.per_target_scores import training_and_test
from bench_core.ridge.formulas.primal import ErrorSums
from bench_core.ridge.formulas.quadratic_forms import halved
from bench_core.ridge.solvers.base import Solver
from bench_core.ridge.solvers.penalty_scores import Scores, conditioning, mean_scores
from bench_core.ridge.solvers.solution import (
    Factors,
    Predictor,
    RestorableSolution,
    Solution,
    factor_arrays,
)
from bench_core.ridge.solvers.targets import Sums, TargetColumns, TargetSums, scaled


class PrimalSolver(Solver):
    """p × p: see `bench_core.ridge.formulas.primal`."""

    _coordinates: Array = None
    """C = Qᵀ Yc (m, s), where it is kept from the scores for the coefficients."""

    def _square(self) -> None:
        """Form nothing: every factorisation has a covariance of its own."""

    def _decompose(self) -> None:
        """Replace Xc by Q = Xc V, its coordinates along the eigenvectors."""
        if self.exact:
            X, self.X = self.X, None
            self.eigen, self.X = singular_values.primal(X, intercept=self.intercept)
        else:
            with self.phases("gram"):
                square = primal.covariance(self.X)
            self._require_finite_x(array_namespace(square).linalg.diagonal(square))
            eigen = self._verified(primal.factorise(square), self.X.T)
            self.eigen = eigen.without_null()
            self.X = primal.rotate(self.X, self.eigen)
        self.factorised = True

    def partial_sums(self, number: int, targets: TargetColumns) -> Sums:
        if self.selection == "each":
            return self._scored_targets(number, targets)
        f = None if self.folds else primal.filters(self.eigen, self.alphas)
        sums: TargetSums | None = None
        for block in targets.blocks("multiplying targets", "mean"):
            values, count = block.values, 0
            if self.scoring == "r2":
                values, count = scaled(values, self.folds[number][1] if self.folds else None)
            part = TargetSums(self._error_sums(number, f, values), values.shape[1], count)
            if sums is None:
                sums = part
            else:
                sums += part
        assert sums is not None
        return sums

    def _error_sums(self, number: int, f: Array | None, Y: Array) -> ErrorSums | FoldSums:
        if self.joint:
            C = array_namespace(Y).matmul(self.X.T, Y)
            if self.keep_coordinates:
                self._coordinates = C
            tests = [self.folds[fold][1] for fold in self._pass_folds(number)]
            return joint_folds.block_sums(tests, Y, C)
        if f is None:
            check = self.validation(number)
            Y_S, Y_T = training_and_test(check, Y, intercept=self.intercept)
            return cross_validation.fold_sums(check, Y_S, Y_T)
        C = array_namespace(Y).matmul(self.X.T, Y)
        if self.keep_coordinates:
            self._coordinates = C
        return primal.error_sums(self.X, f, Y, C)

    def scores(self, number: int, sums: Sums) -> Scores:
        if self.selection == "each":
            return self._each(sums)
        assert isinstance(sums, TargetSums)
        total = sums.total
        self._require_finite(total.squares)
        if isinstance(total, FoldSums):
            return self._joint_scores(number, total, sums)
        if self.folds:
            check = self.validation(number)
            squares = cross_validation.fold_squares(check, total, self.alphas)
            gain, errors = check.gain, check.errors
        else:
            f = primal.filters(self.eigen, self.alphas)
            rest = primal.complement_of_leverage(self.X, f, intercept=self.intercept)
            squares = primal.loo_squares(self.X, self.eigen, total, self.alphas, rest)
            gain, errors = 1 / (rest * rest), self.eigen.errors(to_numpy(self.alphas))
        magnified, unexplained = conditioning(gain, total.squares, squares)
        return Scores(self._mean_squares(squares, sums), None, magnified, unexplained, errors)

    def _joint_scores(self, number: int, total: FoldSums, sums: TargetSums) -> Scores:
        B = halved(total.B)
        parts = zip(self._pass_folds(number), total.cross, total.grams, strict=True)
        return mean_scores(
            self._scores_of(
                joint_folds.primal_squares(self.joint_folds, fold, cross, gram, B),
                array_namespace(gram).linalg.diagonal(gram),
                sums,
            )
            for fold, cross, gram in parts
        )

    def _make_joint(self) -> JointFolds:
        tests = [test for _, test in self.folds]
        return joint_folds.primal(self.X, self.eigen, self.alphas, tests, intercept=self.intercept)

    def _make_validation(self, number: int) -> Validation:
        if not self.folds:
            return cross_validation.primal_loo(
                self.X, self.eigen, self.alphas, intercept=self.intercept
            )
        train, test = self.folds[number]
        options: dict[str, Any] = {"intercept": self.intercept}
        if self.exact:
            return singular_values.fold(self.X, train, test, self.alphas, **options)
        return cross_validation.primal_fold(
            self.X, train, test, self.alphas, **options, verify=self._verified
        )

    def _make_criterion(self) -> Criterion:
        return gcv.primal(self.X, self.eigen, self.alphas, intercept=self.intercept)

    def solve(self, alphas: float | NDArray[np.float64]) -> Solution:
        self._latest = self._joint_folds = None
        self.require_factors()
        return PrimalSolution(
            self.factors,
            alphas,
            dtype=self.dtype,
            device=self.device,
            coordinates=self._coordinates,
        )


class PrimalSolution(RestorableSolution):
    """Penalties chosen, in the primal form: coefficients are V diag(f) Qᵀ Y."""

    def __init__(
        self,
        factors: Factors,
        alphas: float | NDArray[np.float64],
        *,
        dtype: np.dtype[Any],
        device: Device,
        coordinates: Array = None,
    ) -> None:
        super().__init__(factors.x_mean, dtype, device)
        self.Q: Array = factors.basis
        self.eigen, self.alphas = factors.eigen, alphas
        self._coordinates = coordinates

    def coefficients(self, block: Block, out: NDArray[Any] | None = None) -> Array:
        if isinstance(self.alphas, float):
            f = 1 / (self.eigen.w + self.alphas)
        else:
            chosen = self.device.put(np.asarray(self.alphas)[block.columns])
            f = 1 / (self.eigen.w[:, None] + chosen[None, :])
        C = self._coordinates
        if C is None:
            C = array_namespace(block.values).matmul(self.Q.T, block.values)
        result = primal.coefficients(C, self.eigen, f)
        if out is not None and self.device.is_numpy:
            out[...] = result
            return out
        return result

    def arrays(self) -> dict[str, NDArray[Any]]:
        return factor_arrays(Factors(self.eigen, self.Q, self.x_mean), self.dtype)

    def predictor(self, X: NDArray[Any]) -> Predictor:
        new = self.new_rows(X)

        def predict(block: Block, coefficients: Array | None) -> Array:
            if coefficients is None:
                coefficients = self.coefficients(block)
            return array_namespace(new).matmul(new, coefficients.T)

        return predict
