"""Held-out residuals of every fold from one factorisation of all samples.

Ridge minimises Σ_i (y_i − b − x_i β)² + λ ‖β‖² over b and β; without an intercept b = 0. With H
the hat matrix of all t samples, intercept included, its predictions of the samples are H Y.

**Leaving rows T out.** Let (b*, β*) be the minimum over the other rows S, and ŷ_T its prediction
of T. Put ŷ_T in the place of y_T. The rows T then add 0 at (b*, β*), so that this is the minimum
over all rows, too. What it predicts for T is therefore

    ŷ_T = H_TS y_S + H_TT ŷ_T.

Taken from y_T = (H y)_T + ((I − H) y)_T this is (I − H)_TT (y_T − ŷ_T) = ((I − H) y)_T, or

    e_T = y_T − ŷ_T = ((I − H)_TT)⁻¹ ((I − H) Y)_T                                           (1)

(An, Liu and Venkatesh 2007; leave-one-out where T is one row). b* belongs to β* and S alone: the
intercept is that of a refit without the rows T, and nothing has to be centred again. (1) holds
where S is all of the rows that are not in T.

**Dual form.** With Kc = Xc Xcᵀ = V diag(w) Vᵀ, an intercept's constant vector left out of V,

    I − H = λ V diag(1/(w + λ)) Vᵀ,

as H 1 = 1. A factor cancels from (1). With d = `damping`, D = diag(d), and C = Vᵀ Y,

    e_T = U C,   U = (V_T D V_Tᵀ)⁻¹ V_T D.

**Primal form.** With Q = Xc V, F = diag(1/(w + λ)), C = Qᵀ Yc, and 11ᵀ/t only with an intercept,

    e_T = P Yc_T + U C,   P = (I − 11ᵀ/t − Q_T F Q_Tᵀ)⁻¹,   U = −P Q_T F.

**Sums over targets.** Σ e_a² over all targets needs no target's residuals: it is U (C Cᵀ) Uᵀ at
(a, a) in the dual form, C Cᵀ = Vᵀ (Y Yᵀ) V, and in the primal form

    (P (Yc_T Yc_Tᵀ) Pᵀ + 2 P (Yc_T Cᵀ) Uᵀ + U (C Cᵀ) Uᵀ) at (a, a).

**Exactness.** The condition number of V_T D V_Tᵀ is at most that of Kc + λ I. So the relative error
is that of the normal equations, null vectors included: these are not left out, as the rows T and S
differ along them. In the primal form I − H loses digits where samples are fitted nearly
completely: by a factor ‖P‖. Where that is too much the folds have to be factorised one by one.

References
----------
An, S., Liu, W. and Venkatesh, S. (2007). Fast cross-validation algorithms for least squares support
vector machine and kernel ridge regression. Pattern Recognition 40, 2154–2162.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import Array, cast, to_numpy
from bench_core.ridge.formulas.eigensystem import EPSILON, ROUNDINGS, Eigh
from bench_core.ridge.formulas.per_target_scores import BlockScores
from bench_core.ridge.formulas.quadratic_forms import damping, row_forms
from bench_core.ridge.formulas.scores import column_scores

ROWS = 1024
"""Rows of U, of several penalties, that are formed at once."""

UNKNOWN = 1e-2
"""Relative error of P from which on nothing is known of a penalty."""


@dataclass(frozen=True)
class FoldMap:
    """Maps from targets to held-out residuals of one fold, for q penalties: e_T = P Yc_T + U C.

    U : (q, n, m). P : (q, n, n), None in the dual form, where it is absent from the sum. gain :
    (q, n), the variance that noise of variance 1 in Y has in the residuals. errors : (q,) relative
    errors of the maps, infinite where a penalty has none.
    """

    U: Array
    P: Array
    gain: Array
    errors: NDArray[np.float64]


@dataclass(frozen=True)
class JointFolds:
    """All folds of a fit, as they follow from the factorisation of all samples.

    basis : V or Q, (t, m). w : (m,). f : (r, m), d in the dual form, 1 / (w + λ) in the primal.
    alphas : (r,). tests : the rows (n,) that each fold holds out. errors : (r,), as in
    `bench_core.ridge.formulas.cross_validation.Validation`.
    """

    basis: Array
    w: Array
    f: Array
    alphas: Array
    tests: list[Array]
    errors: NDArray[np.float64]
    intercept: bool
    primal: bool

    def chunks(self, number: int) -> Iterator[slice]:
        """Yield slices of the penalties whose maps of fold ``number`` are formed at once."""
        n, r = self.tests[number].shape[0], self.f.shape[0]
        together = max(1, ROWS // max(1, n))
        for first in range(0, r, together):
            yield slice(first, min(first + together, r))

    def map(self, number: int, some: slice) -> FoldMap:
        """Return the maps of fold ``number`` for some of the penalties, in float64."""
        xp = array_namespace(self.basis)
        rows = cast(xp.take(self.basis, self.tests[number], axis=0), "float64")
        damped = rows[None, :, :] * self.f[some][:, None, :]
        square = _times(damped, rows.T)
        if not self.primal:
            U, failed = _solved(square, damped)
            gain = xp.sum(U * U, axis=2)
            return FoldMap(U, None, gain, np.where(failed, np.inf, self.errors[some]))
        n, t = rows.shape[0], self.basis.shape[0]
        square = xp.eye(n, dtype=xp.float64, device=device(rows))[None, :, :] - square
        if self.intercept:
            square = square - 1 / t
        P, failed = _solved(square, None)
        U = -xp.matmul(P, damped)
        w = (self.w[None, :] + 2 * self.alphas[some][:, None])[:, None, :]
        gain = xp.sum(P * P, axis=2) - xp.sum(U * U * w, axis=2)
        if self.intercept:
            gain = gain - xp.sum(P, axis=2) ** 2 / t
        own = float(np.finfo(to_numpy(self.basis[:0]).dtype).eps)
        size = to_numpy(xp.max(xp.sum(abs(P), axis=2), axis=1))
        unknown = failed | ~(ROUNDINGS * own * size <= UNKNOWN)
        errors = np.maximum(self.errors[some], ROUNDINGS * EPSILON * size)
        return FoldMap(U, P, xp.clip(gain, 1, None), np.where(unknown, np.inf, errors))


def dual(eigen: Eigh, alphas: Array, tests: list[Array], *, intercept: bool) -> JointFolds:
    """Return the folds from the eigenvectors V of K, null vectors included."""
    smallest = float(eigen.w[0]) if eigen.w.shape[0] else float("inf")
    errors = eigen.rounding / (smallest + to_numpy(alphas))
    d = damping(eigen.w, alphas)
    return JointFolds(eigen.V, eigen.w, d, alphas, tests, errors, intercept, primal=False)


def primal(
    Q: Array, eigen: Eigh, alphas: Array, tests: list[Array], *, intercept: bool
) -> JointFolds:
    """Return the folds from Q = Xc V (t, m) and its eigenvalues, without null vectors."""
    f = 1 / (eigen.w[None, :] + alphas[:, None])
    errors = eigen.errors(to_numpy(alphas))
    return JointFolds(Q, eigen.w, f, alphas, tests, errors, intercept, primal=True)


def _times(stack: Array, right: Array) -> Array:
    """Return the products (q, n, k) of a stack (q, n, m) with one matrix (m, k), as one product."""
    xp = array_namespace(stack)
    q, n, m = stack.shape
    return xp.reshape(xp.matmul(xp.reshape(stack, (q * n, m)), right), (q, n, right.shape[1]))


def _solved(A: Array, B: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Return A⁻¹ B, or A⁻¹ if B is None, of stacks (q, n, n), and which are singular: 0 there."""
    xp = array_namespace(A)
    one = (lambda a, b: xp.linalg.inv(a)) if B is None else xp.linalg.solve
    try:
        return one(A, B), np.zeros(A.shape[0], bool)
    except (np.linalg.LinAlgError, RuntimeError) as error:
        if type(error).__name__ == "OutOfMemoryError":
            raise
    found = xp.zeros_like(A if B is None else B)
    failed = np.zeros(A.shape[0], bool)
    for i in range(A.shape[0]):
        try:
            found[i] = one(A[i], None if B is None else B[i])
        except (np.linalg.LinAlgError, RuntimeError):  # torch raises a subclass of the latter
            failed[i] = True
    return found, failed


@dataclass
class FoldSums:
    """Sums over targets of the primal form, in float64, for the folds of a pass; blocks add up.

    cross : Yc_T Cᵀ (n, m) of every fold. grams : Yc_T Yc_Tᵀ (n, n). B : C Cᵀ (m, m).
    """

    cross: list[Array]
    grams: list[Array]
    B: Array

    def __iadd__(self, other: FoldSums) -> FoldSums:
        """Add another block's sums in place."""
        for mine, others in ((self.cross, other.cross), (self.grams, other.grams)):
            for one, more in zip(mine, others, strict=True):
                one += more
        self.B += other.B
        return self

    def moved(self, move: Any) -> FoldSums:
        """Return the sums with ``move`` applied to every array."""
        return FoldSums([move(a) for a in self.cross], [move(a) for a in self.grams], move(self.B))

    @property
    def squares(self) -> Array:
        """Sums of squared targets of all held-out rows; not finite where a value of Y is not."""
        xp = array_namespace(self.B)
        return xp.concat([xp.linalg.diagonal(gram) for gram in self.grams])


def block_sums(tests: list[Array], Y: Array, C: Array) -> FoldSums:
    """Return the sums of a block of centred targets Y (t, b), C = Qᵀ Y (m, b), for some folds.

    Products are taken in the data's precision.
    """
    xp = array_namespace(Y)
    held = [xp.take(Y, rows, axis=0) for rows in tests]
    return FoldSums(
        [cast(xp.matmul(Y_T, C.T), "float64") for Y_T in held],
        [cast(xp.matmul(Y_T, Y_T.T), "float64") for Y_T in held],
        cast(xp.matmul(C, C.T), "float64"),
    )


@dataclass
class FoldSquares:
    """Sums over targets of a fold's squared residuals (r, n), their gain (r, n), errors (r,)."""

    squares: Array
    gain: Array
    errors: NDArray[np.float64]


def dual_squares(folds: JointFolds, number: int, H: Array) -> FoldSquares:
    """Return the squares of fold ``number``; ``H`` (m, m) is `halved` of Vᵀ (Y Yᵀ) V.

    Products with H are taken in its precision.
    """
    dtype = to_numpy(H[:0]).dtype

    def squared(fold: FoldMap) -> Array:
        q, n, m = fold.U.shape
        xp = array_namespace(H)
        return xp.reshape(row_forms(cast(xp.reshape(fold.U, (q * n, m)), dtype), H), (q, n))

    return _squares(folds, number, squared)


def primal_squares(
    folds: JointFolds, number: int, cross: Array, gram: Array, B: Array
) -> FoldSquares:
    """Return the squares of fold ``number`` from its parts of `FoldSums`; ``B`` is `halved`."""
    xp = array_namespace(B)

    def squared(fold: FoldMap) -> Array:
        q, n, m = fold.U.shape
        U = xp.reshape(fold.U, (q * n, m))
        found = xp.sum(_times(fold.P, gram) * fold.P, axis=2)
        found = found + 2 * xp.sum(_times(fold.P, cross) * fold.U, axis=2)
        return found + xp.reshape(row_forms(U, B), (q, n))

    return _squares(folds, number, squared)


def _squares(folds: JointFolds, number: int, squared: Any) -> FoldSquares:
    xp = array_namespace(folds.w)
    squares, gain, errors = [], [], []
    for some in folds.chunks(number):
        fold = folds.map(number, some)
        squares.append(xp.clip(squared(fold), 0, None))
        gain.append(fold.gain)
        errors.append(fold.errors)
    return FoldSquares(xp.concat(squares), xp.concat(gain), np.concatenate(errors))


@dataclass
class FoldResiduals:
    """Residuals of every target and fold, in the precision of the products.

    project : (m, t), coordinates C of centred targets. maps : of every fold, U (r, n, m) and P
    (r, n, n) or None. tests : the rows of each. gains : (r, n) of each. errors : (folds, r).
    """

    project: Array
    maps: list[tuple[Array, Array]]
    tests: list[Array]
    gains: list[Array]
    errors: NDArray[np.float64]
    direct: ClassVar[bool] = False


def residuals(folds: JointFolds, dtype: np.dtype[np.generic]) -> FoldResiduals:
    """Return what the residuals of every target need, for all folds and penalties."""
    xp = array_namespace(folds.w)
    maps, gains, errors = [], [], []
    for number in range(len(folds.tests)):
        parts = [folds.map(number, some) for some in folds.chunks(number)]
        parts = [
            replace(one, U=cast(one.U, dtype), P=None if one.P is None else cast(one.P, dtype))
            for one in parts
        ]
        P = None if parts[0].P is None else xp.concat([one.P for one in parts])
        maps.append((xp.concat([one.U for one in parts]), P))
        gains.append(xp.concat([one.gain for one in parts]))
        errors.append(np.concatenate([one.errors for one in parts]))
    project = cast(folds.basis, dtype).T
    return FoldResiduals(project, maps, folds.tests, gains, np.asarray(errors))


def block_scores(
    check: FoldResiduals, Y: Array, scoring: str, *, intercept: bool
) -> Iterator[BlockScores]:
    """Yield the scores of a block of targets Y (t, b) for every penalty, fold by fold."""
    xp = array_namespace(Y)
    Yc = Y - xp.mean(Y, axis=0) if intercept else Y
    C = xp.matmul(check.project, Yc)
    b = Y.shape[1]
    for (U, P), rows, gain in zip(check.maps, check.tests, check.gains, strict=True):
        Y_T = xp.take(Yc, rows, axis=0)
        r, n, m = U.shape
        scores = xp.empty((r, b), dtype=xp.float64, device=device(Y))
        squares = xp.empty(r, dtype=xp.float64, device=device(Y))
        together = max(1, ROWS // max(1, n))
        for first in range(0, r, together):
            part = U[first : first + together]
            q = part.shape[0]
            found = xp.matmul(xp.reshape(part, (q * n, m)), C)
            if P is not None:
                found += xp.matmul(xp.reshape(P[first : first + together], (q * n, n)), Y_T)
            for i in range(q):
                one = found[i * n : (i + 1) * n]
                scores[first + i] = column_scores(Y_T, one, scoring)
                squares[first + i] = xp.sum(one * one, dtype=xp.float64)
        own = xp.sum(Y_T * Y_T, axis=1, dtype=xp.float64)
        yield BlockScores(scores, squares, xp.matmul(gain, own), xp.sum(own))
