"""Solver of the primal form without eigenvectors, for tall data and targets scored one by one.

See `bench_core.ridge.formulas.block_tridiagonal`. It is for leave-one-out in numpy alone, where X
has full rank and every B + λ is well conditioned. Elsewhere what rounding leaves of X has to be
told from what it makes, which eigenvalues do: `EigenvectorsNeededError` asks for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.ridge.arrays.band_reduction import BLOCK, reduce
from bench_core.ridge.arrays.reflections import Reflections
from bench_core.ridge.arrays.target_blocks import Block
from bench_core.ridge.formulas import primal
from bench_core.ridge.formulas.block_tridiagonal import BlockCholesky, BlockTridiagonal
from bench_core.ridge.formulas.cross_validation import Validation
from bench_core.ridge.solvers.primal import PrimalSolver
from bench_core.ridge.solvers.solution import Predictor, Solution

MOST_ERROR = 1e-6
"""Largest relative error of (B + λ)⁻¹ for which eigenvalues are not asked for."""

MOST_ROUNDED = 1e-3
"""Largest ε √cond(B + λ), ε of the products' precision: most of it is not met in a leverage."""

LEAST_REST = 1e-2
"""Least 1 − h_i: below it more of its digits are lost than along eigenvectors."""


class EigenvectorsNeededError(Exception):
    """X has null vectors, B + λ is too badly conditioned, or a leverage too near 1."""


@dataclass
class TridiagonalValidation(Validation):
    """Leave-one-out by Z = Xc H: systems with B + λ take the place of factors f."""

    factors: BlockCholesky = field(kw_only=True)

    def damped(self, C: NDArray[Any], numbers: range) -> NDArray[Any]:
        found = [self.factors.solve(C, number) for number in numbers]
        return np.concatenate(found, axis=1).astype(C.dtype, copy=False)


class TridiagonalSolver(PrimalSolver):
    """Steps of the primal form with X replaced by Z = Xc H, Xcᵀ Xc = H B Hᵀ."""

    block = BLOCK
    """Order of the blocks of B."""

    B: BlockTridiagonal
    H: Reflections

    def _decompose(self) -> None:
        """Replace Xc by Z = Xc H; raise `EigenvectorsNeededError` where B + λ is not safe."""
        assert self.selection == "each"
        assert self.device.is_numpy
        assert not self.folds
        assert not self.gcv
        assert not self.exact
        if not self.X.any(axis=0).all():  # a column of zeros: seen before anything is multiplied
            raise EigenvectorsNeededError
        with self.phases("gram"):
            square = primal.covariance(self.X)
        self._require_finite_x(np.diagonal(square))
        diagonal, below, self.H = reduce(square, self.block)
        self.B = BlockTridiagonal(diagonal, below)
        self._require_conditioned()
        self.H.rotate(self.X)
        self.factorised = True

    def _require_conditioned(self) -> None:
        worst = float(self.B.errors(self.alphas).max())
        smallest, largest = self.B.extremes
        condition = largest / (smallest + float(self.alphas.min()))
        rounded = float(np.finfo(self.dtype).eps) * condition**0.5
        if not (smallest > 0 and worst <= MOST_ERROR and rounded <= MOST_ROUNDED):
            raise EigenvectorsNeededError

    def _make_validation(self, number: int) -> Validation:
        try:
            factors = self.B.shifted(self.alphas)
        except np.linalg.LinAlgError as error:
            raise EigenvectorsNeededError from error
        rest = 1 - factors.leverages(self.X)
        if self.intercept:
            rest -= 1 / len(rest.T)
        if not (rest >= LEAST_REST).all():
            raise EigenvectorsNeededError
        # Of the factors 1 / (w + λ) the largest and the least: whether float32 has them.
        w = np.array(self.B.extremes)
        f, errors = 1 / (w + self.alphas[:, None]), self.B.errors(self.alphas)
        gain = 1 / (rest * rest)
        return TridiagonalValidation(self.X, self.X.T, w, f, gain, errors, rest, factors=factors)

    def error(self, alphas: float | NDArray[np.float64]) -> float:
        self._latest = None
        self.require_factors()
        return float(self.B.errors(np.atleast_1d(alphas)).max())

    def solve(self, alphas: float | NDArray[np.float64]) -> Solution:
        self._latest = None
        self.require_factors()
        return TridiagonalSolution(self, alphas)


class TridiagonalSolution(Solution):
    """Penalties chosen: coefficients are H (B + λ)⁻¹ Zᵀ Y."""

    def __init__(self, solver: TridiagonalSolver, alphas: float | NDArray[np.float64]) -> None:
        super().__init__(solver.x_mean, solver.dtype, solver.device)
        self.Z: NDArray[Any] = solver.X
        self.H = solver.H
        candidates, self.numbers = np.unique(np.atleast_1d(alphas), return_inverse=True)
        self.factors = solver.B.shifted(candidates)

    def coefficients(self, block: Block, out: NDArray[Any] | None = None) -> NDArray[Any]:
        C = self.Z.T @ block.values
        G = np.empty(C.shape, self.dtype)  # its transpose is columns first
        if len(self.numbers) == 1:
            G[...] = self.factors.solve(C, 0)
        else:
            own = self.numbers[block.columns]
            for number in np.unique(own):
                some = np.flatnonzero(own == number)
                G[:, some] = self.factors.solve(C[:, some], int(number))
        result = G.T
        self.H.rotate_back(result)
        if out is not None:
            out[...] = result
            return out
        return result

    def predictor(self, X: NDArray[Any]) -> Predictor:
        new = self.new_rows(X)

        def predict(block: Block, coefficients: NDArray[Any] | None) -> NDArray[Any]:
            if coefficients is None:
                coefficients = self.coefficients(block)
            found: NDArray[Any] = new @ coefficients.T
            return found

        return predict
