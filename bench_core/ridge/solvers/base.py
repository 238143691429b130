"""The steps of a solver: factorise X, sum over targets, score the penalties, solve with one.

A solver holds the centred X, or what the factorisation made of it, and no targets. They come in
blocks, are never copied as a whole, and can be larger than memory. Sums of disjoint targets add
up, so that one process and many nodes take the same steps:

    solver.factorise()
    scores = mean_scores(
        solver.scores(number, solver.partial_sums(number, targets))  # of all parts, added
        for number in range(solver.passes)
    )
    solution = solver.solve(alpha)
    coefficients = solution.coefficients(block)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.errors import InputError
from bench_core.phases import NO_PHASES, Phases
from bench_core.ridge.arrays.backend import Array, Device, cast, to_numpy
from bench_core.ridge.formulas import gcv, joint_folds, residual_factors
from bench_core.ridge.formulas.centering import centred, column_means, recentre
from bench_core.ridge.formulas.cross_validation import Validation
from bench_core.ridge.formulas.eigensystem import Eigh, verify_null_vectors
from bench_core.ridge.formulas.gcv import Criterion
from bench_core.ridge.formulas.joint_folds import FoldSquares, JointFolds
from bench_core.ridge.formulas.per_target_scores import BlockScores, block_scores
from bench_core.ridge.formulas.residual_factors import ResidualFactors
from bench_core.ridge.formulas.scores import mean_over_targets
from bench_core.ridge.planning.flops import Selection
from bench_core.ridge.solvers.penalty_scores import Scores, conditioning, mean_scores, ratio
from bench_core.ridge.solvers.solution import Factors, Solution
from bench_core.ridge.solvers.targets import (
    FoldScores,
    Sums,
    TargetColumns,
    TargetScores,
    TargetSums,
)

Check = Validation | Criterion | ResidualFactors
"""What scores every target for itself."""

VERIFIED_ABOVE = 1e-13
"""Relative error of 1/λ from which on null vectors are verified, which costs a product with X."""

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


class Solver(ABC):
    """The steps that both forms share.

    Parameters
    ----------
    X : (t, p), copied and centred; None in a process that is given factors, or needs none.
    alphas : penalties (r,).
    selection : "shared" scores from sums over targets, "each" every target for itself.
    dtype : precision of products with targets.
    folds : (train, test) row indices; none for leave-one-out.
    gcv : score by generalised cross-validation instead of leave-one-out; "each" only.
    triangles : take squared residuals from a triangle for each penalty, where it keeps its digits.
    exact : decompose X itself and not its square; in float64 only.
    joint : score all folds from the factorisation of all samples; each fold has to train on all
        rows that it does not hold out.
    keep_coordinates : keep products of X with targets, formed to score them, for the
        coefficients. The primal form does where one block holds all targets.
    phases : timer of the steps.

    Examples
    --------
    >>> from bench_core.ridge.arrays.backend import find_device
    >>> from bench_core.ridge.solvers import SOLVERS
    >>> rng, cpu, double = np.random.default_rng(0), find_device("cpu"), np.dtype(np.float64)
    >>> X, Y = rng.standard_normal((20, 50)), rng.standard_normal((20, 3))
    >>> solver = SOLVERS["dual"](
    ...     X,
    ...     np.array([1.0, 100.0]),
    ...     selection="shared",
    ...     dtype=double,
    ...     intercept=True,
    ...     scoring="neg_mean_squared_error",
    ...     folds=[],
    ...     device=cpu,
    ... )
    >>> solver.factorise()
    >>> solver.select(TargetColumns(Y, 3, double, cpu)).shared.shape
    (2,)
    """

    def __init__(
        self,
        X: NDArray[Any] | None,
        alphas: NDArray[np.float64],
        *,
        selection: Selection,
        dtype: np.dtype[Any],
        intercept: bool,
        scoring: str,
        folds: list[Fold],
        device: Device,
        gcv: bool = False,
        triangles: bool = False,
        exact: bool = False,
        joint: bool = False,
        keep_coordinates: bool = False,
        phases: Phases = NO_PHASES,
    ) -> None:
        assert not exact or dtype == np.float64
        assert not joint or (folds and not exact)
        self.joint = joint
        assert not gcv or (selection == "each" and not folds)
        self.exact, self.gcv, self.triangles = exact, gcv, triangles
        self.selection, self.scoring, self.intercept = selection, scoring, intercept
        self.dtype, self.device, self.keep_coordinates = dtype, device, keep_coordinates
        self.phases = phases
        self.alphas = device.put(alphas)
        self.folds = [(device.put(train), device.put(test)) for train, test in folds]
        self.x_mean: NDArray[np.float64] | None = None
        self.X: Array = None
        if X is not None:
            with phases("centring"):
                self.x_mean = column_means(X) if intercept else None
                Xc = centred(X, self.x_mean, dtype)
                Xc = Xc if self.x_mean is None else recentre(Xc, self.x_mean)
            with phases("transfers"):
                self.X = device.put(Xc)
        self.eigen: Eigh
        self.factorised = False
        self._latest: tuple[int, Validation] | None = None
        self._joint_folds: JointFolds | None = None

    @property
    def passes(self) -> int:
        """Number of passes over the targets that scoring takes."""
        if self.joint and (self.selection == "each" or self.scoring != "r2"):
            return 1
        return max(1, len(self.folds))

    @property
    def _by_fold(self) -> bool:
        """True where every fold has a factorisation of its own."""
        return bool(self.folds) and not self.joint

    def factorise(self) -> None:
        """Factorise X as far as scoring needs it; raise `InputError` where X is not finite."""
        if self.exact:
            xp = array_namespace(self.X)
            self._require_finite_x(xp.sum(self.X * self.X, axis=1))
        else:
            with self.phases("gram"):
                self._square()
        if not self._by_fold:
            # Before Y is touched: numpy and scipy bring a BLAS each, and idle threads spin a while.
            self.require_factors()

    def require_factors(self) -> None:
        """Factorise X as a whole, unless that is done."""
        if not self.factorised:
            with self.phases("factorisation"):
                self._decompose()

    @abstractmethod
    def _square(self) -> None:
        """Form what all factorisations have in common; raise as `factorise`."""

    @abstractmethod
    def _decompose(self) -> None:
        """Factorise X as a whole."""

    @abstractmethod
    def partial_sums(self, number: int, targets: TargetColumns) -> Sums:
        """Return what pass ``number`` adds up over these targets."""

    @abstractmethod
    def scores(self, number: int, sums: Sums) -> Scores:
        """Return the scores of every penalty from the sums of all targets, which are overwritten.

        Raises `InputError` where a target, or a product with one, is not finite.
        """

    def error(self, alphas: float | NDArray[np.float64]) -> float:
        """Return the largest relative error of 1/(w + λ) with these penalties."""
        self._latest = self._joint_folds = None
        self.require_factors()
        return float(self.eigen.errors(np.atleast_1d(alphas)).max())

    @abstractmethod
    def solve(self, alphas: float | NDArray[np.float64]) -> Solution:
        """Return the solution with one penalty, or one for each target (s,)."""

    @abstractmethod
    def _make_validation(self, number: int) -> Validation:
        """Return what is held out in pass ``number`` and how it is predicted."""

    @abstractmethod
    def _make_criterion(self) -> Criterion:
        """Return what generalised cross-validation needs of X."""

    def select(self, targets: TargetColumns) -> Scores:
        """Return the scores of every penalty, all targets in one part."""
        return mean_scores(
            self.scores(number, self.partial_sums(number, targets)) for number in range(self.passes)
        )

    @property
    def factors(self) -> Factors:
        """The factorisation, from which another process can score and solve."""
        return Factors(self.eigen, self.X, self.x_mean)

    @factors.setter
    def factors(self, factors: Factors) -> None:
        self.eigen, self.X, self.x_mean = factors.eigen, factors.basis, factors.x_mean
        self.factorised = True

    def validation(self, number: int) -> Validation:
        """Return the validation of a pass; the latest one is kept."""
        if self._latest is None or self._latest[0] != number:
            self._latest = None
            with self.phases("factorisation"):
                self._latest = number, self._make_validation(number)
        return self._latest[1]

    def _verified(self, eigen: Eigh, rows: Array) -> Eigh:
        """Return the eigensystem, its null vectors verified where a penalty is so small.

        In float32 they are null to the precision of the data.
        """
        if self.dtype == np.float32:
            return replace(eigen, known=True)
        least = eigen.rounding / float(self.alphas.min())
        return eigen if eigen.known or least <= VERIFIED_ABOVE else verify_null_vectors(eigen, rows)

    def _require_finite_x(self, squares: Array) -> None:
        xp = array_namespace(squares)
        if not bool(xp.all(xp.isfinite(squares))):
            raise InputError("X holds values that are not finite, or whose squares are not")

    def _require_finite(self, total: Array) -> None:
        """Raise `InputError` where sums over targets are not finite."""
        xp = array_namespace(total)
        if not bool(xp.all(xp.isfinite(total))):
            raise InputError(
                f"Y holds values that are not finite, or products of Y overflow {self.dtype}: "
                "scale Y down or use dtype='float64'"
            )

    def _mean_squares(self, squares: Array, sums: TargetSums) -> NDArray[np.float64]:
        """Return scores (r,) from row sums of squared residuals (r, n) over all targets."""
        xp = array_namespace(squares)
        total: NDArray[np.float64] = to_numpy(xp.sum(squares, axis=1))
        if self.scoring == "r2":
            return 1 - total / sums.defined if sums.defined else total * np.nan
        return -total / (squares.shape[1] * sums.targets)

    @abstractmethod
    def _make_joint(self) -> JointFolds:
        """Return all folds as they follow from the factorisation of all samples."""

    @property
    def joint_folds(self) -> JointFolds:
        """All folds as they follow from the factorisation of all samples; kept until it solves."""
        if self._joint_folds is None:
            with self.phases("factorisation"):
                self._joint_folds = self._make_joint()
        return self._joint_folds

    def _pass_folds(self, number: int) -> list[int]:
        """Return the folds that pass ``number`` scores."""
        return list(range(len(self.folds))) if self.passes == 1 else [number]

    def _every_fold(self, targets: TargetColumns) -> FoldScores:
        """Return the scores of every target in every fold, from one pass over the targets."""
        check = joint_folds.residuals(self.joint_folds, self.dtype)
        shape = (self.alphas.shape[0], targets.Y.shape[1])
        parts = [
            TargetScores(np.empty(shape), np.zeros(shape[0]), np.zeros(shape[0]), 0.0, errors)
            for errors in check.errors
        ]
        for block in targets.blocks("scoring targets"):
            found = joint_folds.block_scores(
                check, block.values, self.scoring, intercept=self.intercept
            )
            for part, one in zip(parts, found, strict=True):
                part.scores[:, block.columns] = to_numpy(one.scores)
                part.squares += to_numpy(one.squares)
                part.gained += to_numpy(one.gained)
                part.own += float(one.own)
        return FoldScores(parts)

    def _scored_targets(self, number: int, targets: TargetColumns) -> Sums:
        """Return the scores of every target for itself in pass ``number``."""
        if self.joint and not self.triangles:
            return self._every_fold(targets)
        return self._predicted_scores(number, targets)

    def _scores_of(self, found: FoldSquares, own: Array, sums: TargetSums) -> Scores:
        """Return the scores of a fold; ``own`` (n,) are sums of squares of its held-out targets."""
        magnified, unexplained = conditioning(found.gain, own, found.squares)
        shared = self._mean_squares(found.squares, sums)
        return Scores(shared, None, magnified, unexplained, found.errors)

    def _predicted_scores(self, number: int, targets: TargetColumns) -> TargetScores:
        """Return the scores of every target by predicting it, or by its coordinates alone."""
        shape = (self.alphas.shape[0], targets.Y.shape[1])
        scores, sums, own = np.empty(shape), np.zeros((2, shape[0])), 0.0
        check = self._make_check(number)
        sums[1] += self._lost_in_float32(check.f, direct=check.direct)
        for block in targets.blocks("scoring targets"):
            found = self._block_scores(check, block.values)
            scores[:, block.columns] = to_numpy(found.scores)
            sums += [to_numpy(found.squares), to_numpy(found.gained)]
            own += float(found.own)
        return TargetScores(scores, sums[0], sums[1], own, check.errors)

    def _make_check(self, number: int) -> Check:
        """Return what scores a block of targets in pass ``number``, in the products' precision."""
        if self.gcv:
            criterion = self._make_criterion()
            return replace(criterion, project=cast(criterion.project, self.dtype))
        if self.joint:
            return residual_factors.factorise_folds(self.joint_folds, self.dtype)
        check = self.validation(number)
        if self.triangles:
            factors = residual_factors.factorise(check, self.dtype)
            if factors is not None:
                return factors
        return replace(check, U=cast(check.U, self.dtype), project=cast(check.project, self.dtype))

    def _block_scores(self, check: Check, Y: Array) -> BlockScores:
        if isinstance(check, Criterion):
            return gcv.block_scores(check, Y, self.scoring, intercept=self.intercept)
        if isinstance(check, ResidualFactors):
            return residual_factors.block_scores(check, Y, self.scoring, intercept=self.intercept)
        return block_scores(check, Y, self.scoring, intercept=self.intercept)

    def _lost_in_float32(self, factors: Array, *, direct: bool) -> NDArray[np.float64]:
        """Return infinity (r,) where factors f (r, m) have no float32 values, else 0."""
        f, limits = to_numpy(factors), np.finfo(self.dtype)
        least = float(limits.tiny) / float(limits.eps)
        if direct:  # squares of them are residuals
            least **= 0.5
        lost = (f.min(axis=1, initial=1.0) < least) | (f.max(axis=1, initial=1.0) > 1 / least)
        return np.where(lost, np.inf, 0.0)

    def _each(self, sums: Sums) -> Scores:
        if isinstance(sums, FoldScores):
            return mean_scores(self._each(part) for part in sums.folds)
        assert isinstance(sums, TargetScores)
        self._require_finite(np.asarray([sums.own]))
        return Scores(
            mean_over_targets(sums.scores),
            sums.scores,
            ratio(sums.gained, sums.squares),
            ratio(sums.squares, np.full_like(sums.squares, sums.own)),
            sums.errors,
        )
