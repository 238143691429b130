"""Solver of the dual form: t × t matrices, see `bench_core.ridge.formulas.dual`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import Array, Device, cast, mirror, to_numpy
from bench_core.ridge.arrays.target_blocks import Block
from bench_core.ridge.formulas import (
    cross_validation,
    dual,
    gcv,
    joint_folds,
    singular_values,
)
from bench_core.ridge.formulas.centering import double_centre
from bench_core.ridge.formulas.cross_validation import Validation
from bench_core.ridge.formulas.eigensystem import Eigh, clear_null_rows
from bench_core.ridge.formulas.gcv import Criterion
from bench_core.ridge.formulas.joint_folds import JointFolds
from bench_core.ridge.formulas.quadratic_forms import congruence, damping, halved
from bench_core.ridge.solvers.base import Solver
from bench_core.ridge.solvers.penalty_scores import Scores, conditioning, mean_scores
from bench_core.ridge.solvers.solution import Factors, Predictor, RestorableSolution, factor_arrays
from bench_core.ridge.solvers.targets import Sums, TargetColumns, TargetSums, scaled
from bench_core.ridge.solvers.trust import MOST_ERROR

TO_SOLVE = "-to-solve"
"""End of the names of factors that serve to solve with a penalty per target."""


class DualSolver(Solver):
    """t × t: see `bench_core.ridge.formulas.dual`."""

    _kernel: Array = None
    """K = Xc Xcᵀ (t, t), kept for the folds until the chosen penalty is solved with."""

    _basis: Array = None
    """B = Vᵀ Xc (m, p), which takes the place of X where X itself was decomposed."""

    @property
    def passes(self) -> int:
        """Number of passes over the targets: one Gram matrix of theirs serves all folds."""
        return 1 if self.selection == "shared" and self.scoring != "r2" else super().passes

    def _square(self) -> None:
        self._kernel = dual.gram(self.X)
        self._require_finite_x(array_namespace(self._kernel).linalg.diagonal(self._kernel))

    def _decompose(self) -> None:
        if self.exact:
            X, self.X = self.X, None
            self.eigen, self._basis = singular_values.dual(X, intercept=self.intercept)
        else:
            K, self._kernel = self._kernel, None
            eigen = dual.factorise(K, intercept=self.intercept)
            self.eigen = eigen = self._verified(eigen, self.X)
            if eigen.known and 0 < eigen.null < eigen.w.shape[0]:
                error = eigen.rounding / eigen.smallest
                self.eigen = clear_null_rows(eigen, error, MOST_ERROR[self.dtype.name])
        self.factorised = True

    def partial_sums(self, number: int, targets: TargetColumns) -> Sums:
        if self.selection == "each":
            return self._scored_targets(number, targets)
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
        folds = self._pass_folds(number)
        if self.joint:
            return self._joint_scores(folds, G, sums)
        return mean_scores(self._fold(fold, G, sums) for fold in folds)

    def _joint_scores(self, folds: list[int], G: Array, sums: TargetSums) -> Scores:
        if self.intercept:
            G = double_centre(G)
        own = array_namespace(G).linalg.diagonal(G)
        V = cast(self.eigen.V, self.dtype)
        H = halved(congruence(V, cast(G, self.dtype)))
        del V, G
        return mean_scores(
            self._scores_of(
                joint_folds.dual_squares(self.joint_folds, fold, H),
                array_namespace(own).take(own, self.folds[fold][1]),
                sums,
            )
            for fold in folds
        )

    def _leave_one_out(self, G: Array, sums: TargetSums) -> Scores:
        if self.intercept:
            G = double_centre(G)
        squares = dual.loo_squares(self.eigen, G, self.alphas, self.dtype.name)
        d = damping(self.eigen.w, self.alphas)
        own = array_namespace(G).linalg.diagonal(G)
        magnified, unexplained = conditioning(dual.gain(self.eigen, d), own, squares)
        magnified += self._lost_in_float32(d, direct=True)
        shared = self._mean_squares(squares, sums)
        errors = self.eigen.errors(to_numpy(self.alphas))
        return Scores(shared, None, magnified, unexplained, errors)

    def _fold(self, number: int, G: Array, sums: TargetSums) -> Scores:
        check = self.validation(number)
        found = cross_validation.kernel_sums(check, G, intercept=self.intercept)
        squares = cross_validation.fold_squares(check, found, self.alphas)
        magnified, unexplained = conditioning(check.gain, found.squares, squares)
        shared = self._mean_squares(squares, sums)
        return Scores(shared, None, magnified, unexplained, check.errors)

    def _make_validation(self, number: int) -> Validation:
        if not self.folds:
            return cross_validation.dual_loo(self.eigen, self.alphas)
        train, test = self.folds[number]
        options: dict[str, Any] = {"intercept": self.intercept}
        if self.exact:
            return singular_values.fold(self.X, train, test, self.alphas, **options)

        def verify(eigen: Eigh) -> Eigh:
            rows = self.device.zeros((self.X.shape[0], eigen.V.shape[1]), np.float64)
            rows[train] = eigen.V
            found = self._verified(replace(eigen, V=rows), self.X)
            return replace(eigen, known=found.known)

        return cross_validation.dual_fold(
            self._kernel, train, test, self.alphas, **options, verify=verify
        )

    def _make_joint(self) -> JointFolds:
        tests = [test for _, test in self.folds]
        return joint_folds.dual(self.eigen, self.alphas, tests, intercept=self.intercept)

    def _make_criterion(self) -> Criterion:
        return gcv.dual(self.eigen, self.alphas)

    def solve(self, alphas: float | NDArray[np.float64]) -> DualSolution:
        self._latest = self._joint_folds = None
        self.require_factors()
        return DualSolution(
            self.X,
            self.eigen.without_null(),
            alphas,
            x_mean=self.x_mean,
            dtype=self.dtype,
            device=self.device,
            basis=self._basis,
        )


class DualSolution(RestorableSolution):
    """Penalties chosen, in the dual form: coefficients are M Y, or (f ∘ Vᵀ Y)ᵀ B of every target.

    X : Xc (t, p), overwritten where every target has its penalty; None where ``basis``, B = Vᵀ Xc
    (m, p), is given. ``eigen`` has no null vectors. ``solution`` is Mᵀ (t, p) where another
    process has formed it; X and the factorisation may then be None.
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
        basis: Array = None,
    ) -> None:
        super().__init__(x_mean, dtype, device)
        self.eigen, self.alphas, self._solution = eigen, alphas, solution
        self._vectors: Array = None
        # Coefficients and predictions of a block need the same: kept as long as the block is.
        self._found: WeakKeyDictionary[Block, Array] = WeakKeyDictionary()
        if basis is None and not isinstance(alphas, float):
            assert eigen is not None
            X, basis = None, dual.rotate(X, eigen)
        self.X, self.basis = X, basis

    def coefficients(self, block: Block, out: NDArray[Any] | None = None) -> Array:
        xp = array_namespace(block.values)
        if isinstance(self.alphas, float):
            left, right = block.values.T, self.solution
        else:
            left, right = self._coordinates(block).T, self.basis
        if out is not None and self.device.is_numpy:
            return xp.matmul(left, right, out=out)
        return xp.matmul(left, right)

    @property
    def solution(self) -> Array:
        """Mᵀ = A Xc (t, p), formed when it is first asked for."""
        if self._solution is None:
            assert self.eigen is not None
            assert isinstance(self.alphas, float)
            if self.basis is None:
                self._solution = dual.solution(self.X, self.eigen, self.alphas)
            else:
                self._solution = dual.solution_along(self.basis, self.eigen, self.alphas)
        return self._solution

    def arrays(self) -> dict[str, NDArray[Any]]:
        if isinstance(self.alphas, float):
            mean = {} if self.x_mean is None else {"mean": self.x_mean}
            return {"solution": to_numpy(self.solution), **mean}
        assert self.eigen is not None
        found = factor_arrays(Factors(self.eigen, self.basis, self.x_mean), self.dtype)
        # Factors that were broadcast to score have null vectors, too: not under the same names.
        return {name if name == "mean" else name + TO_SOLVE: array for name, array in found.items()}

    def _coordinates(self, block: Block) -> Array:
        """Return f ∘ Vᵀ Y (m, b): what the targets have of each row of the basis."""
        assert self.eigen is not None
        if block in self._found:
            return self._found[block]
        xp = array_namespace(block.values)
        if self._vectors is None:
            self._vectors = cast(self.eigen.V, self.dtype).T
        found = xp.matmul(self._vectors, block.values)
        # A filter for every penalty that occurs, not for every target.
        distinct, index = np.unique(np.asarray(self.alphas)[block.columns], return_inverse=True)
        table = 1 / (self.eigen.w[:, None] + self.device.put(distinct)[None, :])
        found *= xp.take(cast(table, self.dtype), self.device.put(index), axis=1)
        self._found[block] = found
        return found

    def predictor(self, X: NDArray[Any]) -> Predictor:
        assert self.eigen is not None
        new = self.new_rows(X)
        xp = array_namespace(new)
        if self.basis is None:
            left = xp.matmul(dual.cross_gram(new, self.X), self.eigen.V)
        else:
            left = dual.cross_gram(new, self.basis)
        if isinstance(self.alphas, float):
            N = cast(dual.hat_rows(left, self.eigen, self.alphas), self.dtype)
            return lambda block, coefficients: xp.matmul(N, block.values)
        left = cast(left, self.dtype)
        return lambda block, coefficients: xp.matmul(left, self._coordinates(block))
