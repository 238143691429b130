"""Held-out rows and the matrices that predict them: leave-one-out and folds, dual and primal.

Every scheme predicts held-out rows of the targets as U diag(f) C, where C = ``project`` Y_S are
the training targets in the eigenvectors' coordinates and f = 1 / (w + λ) is all that depends on
the penalty. Folds hold out rows T and train on the others, S, centred by the means of S; the
kernel of a fold is a block of the whole kernel, so X is multiplied once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import Array, cast, to_numpy
from bench_core.ridge.formulas import dual, primal
from bench_core.ridge.formulas.centering import blocks_uncentred, centre_cross
from bench_core.ridge.formulas.eigensystem import Eigh
from bench_core.ridge.formulas.primal import ErrorSums
from bench_core.ridge.formulas.quadratic_forms import congruence, damping


@dataclass
class Validation:
    """One set of held-out rows and how every penalty predicts them.

    Residuals of targets Y are (Y_T − U diag(f) C) / divisor, or U diag(f) C / divisor where
    ``direct`` (dual leave-one-out, in which Y cancels without loss of digits).

    ``gain`` (r, n) is the variance that noise of variance 1 in Y has in the residuals: it tells
    where rounding in float32 matters. ``errors`` (r,) are relative errors of predictions that come
    from the factorisation.

    U : (n, m). project : (m, t_S). f : (r, m). divisor : (r, n) or None for 1.
    train, test : integer indices of the rows, None for all (leave-one-out).
    """

    U: Array
    project: Array
    w: Array
    f: Array
    gain: Array
    errors: NDArray[np.float64]
    divisor: Array | None = None
    direct: bool = False
    train: Array | None = None
    test: Array | None = None

    def damped(self, C: Array, numbers: range) -> Array:
        """Return diag(f) C (m, n b) of some penalties side by side, for C (m, b)."""
        f = cast(self.f[numbers.start : numbers.stop], to_numpy(C[:0]).dtype)
        wide = f.T[:, :, None] * C[:, None, :]
        return array_namespace(C).reshape(wide, (C.shape[0], len(numbers) * C.shape[1]))


def dual_loo(eigen: Eigh, alphas: Array) -> Validation:
    """Return leave-one-out by the eigenvectors of K."""
    d = damping(eigen.w, alphas)
    divisor = dual.inverse_diagonal(eigen, d)
    gain, errors = dual.gain(eigen, d), eigen.errors(to_numpy(alphas))
    return Validation(eigen.V, eigen.V.T, eigen.w, d, gain, errors, divisor, direct=True)


def primal_loo(Q: Array, eigen: Eigh, alphas: Array, *, intercept: bool) -> Validation:
    """Return leave-one-out by Q = Xc V (t, m)."""
    f = primal.filters(eigen, alphas)
    rest = primal.complement_of_leverage(Q, f, intercept=intercept)
    errors = eigen.errors(to_numpy(alphas))
    return Validation(Q, Q.T, eigen.w, f, 1 / (rest * rest), errors, rest)


def fold_rows(X: Array, train: Array, test: Array, *, intercept: bool) -> tuple[Array, Array]:
    """Return the training and held-out rows of X (t, p), less the training mean, as new arrays."""
    xp = array_namespace(X)
    X_S, X_T = xp.take(X, train, axis=0), xp.take(X, test, axis=0)
    if intercept:
        mean = xp.mean(X_S, axis=0)
        X_S -= mean
        X_T -= mean
    return X_S, X_T


def dual_fold(
    K: Array,
    train: Array,
    test: Array,
    alphas: Array,
    *,
    intercept: bool,
    verify: Callable[[Eigh], Eigh] = lambda eigen: eigen,
) -> Validation:
    """Return the fold that trains on rows ``train`` of the kernel K = X Xᵀ (t, t).

    verify : looks at null vectors of these rows, where that is of use.
    """
    blocks = centre_cross if intercept else blocks_uncentred
    SS, TS, _ = blocks(K, train, test)
    # X_T,c is orthogonal to the null vectors of the training kernel.
    eigen = verify(dual.factorise(SS, intercept=intercept)).without_null()
    U = array_namespace(K).matmul(TS, eigen.V)
    return fold_validation(U, eigen.V.T, eigen, alphas, train, test)


def primal_fold(
    X: Array,
    train: Array,
    test: Array,
    alphas: Array,
    *,
    intercept: bool,
    verify: Callable[[Eigh, Array], Eigh] = lambda eigen, rows: eigen,
) -> Validation:
    """Return the fold that trains on rows ``train`` of X (t, p); ``verify`` as in `dual_fold`.

    It is given the transposed training rows (p, t_S), too.
    """
    xp = array_namespace(X)
    X_S, X_T = fold_rows(X, train, test, intercept=intercept)
    eigen = verify(primal.factorise(primal.covariance(X_S)), X_S.T).without_null()
    V = cast(eigen.V, to_numpy(X[:0]).dtype)
    U, project = xp.matmul(X_T, V), xp.matmul(V.T, X_S.T)
    return fold_validation(U, project, eigen, alphas, train, test, projected=eigen.w)


def fold_validation(
    U: Array,
    project: Array,
    eigen: Eigh,
    alphas: Array,
    train: Array,
    test: Array,
    *,
    projected: Array | float = 1.0,
) -> Validation:
    """Return a fold; ``projected`` are the squared norms (m,) of the rows of ``project``."""
    xp = array_namespace(eigen.V)
    f = primal.filters(eigen, alphas)
    squares = cast(U, "float64") ** 2
    gain = 1 + xp.matmul(f * f * projected, squares.T)
    errors = eigen.errors(to_numpy(alphas))
    return Validation(U, project, eigen.w, f, gain, errors, train=train, test=test)


def kernel_sums(fold: Validation, G: Array, *, intercept: bool) -> ErrorSums:
    """Return the sums of a dual fold's targets from their Gram matrix G = Y Yᵀ (t, t)."""
    xp = array_namespace(G)
    blocks = centre_cross if intercept else blocks_uncentred
    SS, TS, own = blocks(G, fold.train, fold.test)
    V = fold.project.T
    cross = primal.crossed(fold.U, fold.f, lambda rows: xp.matmul(TS[rows], V))
    return ErrorSums(cross, own, congruence(V, SS))


def fold_sums(fold: Validation, Y_S: Array, Y_T: Array) -> ErrorSums:
    """Return the sums of a block of a primal fold's targets, centred by the training means."""
    C = array_namespace(Y_S).matmul(fold.project, Y_S)
    return primal.error_sums(fold.U, fold.f, Y_T, C)


def fold_squares(fold: Validation, sums: ErrorSums, alphas: Array) -> Array:
    """Return Σ_targets of squared residuals per held-out row, (r, n), for every penalty."""
    return primal.squared_errors(fold.U, fold.w, fold.f, sums, alphas)
