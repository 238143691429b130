"""Held-out rows and the matrices that predict them: leave-one-out and folds, dual and primal.

Every scheme predicts held-out rows of the targets as U diag(f) C, where C = ``project`` Y_S are
the training targets in the eigenvectors' coordinates and f = 1 / (w + λ) is all that depends on
the penalty. Folds hold out rows T and train on the others, S, centred by the means of S; the
kernel of a fold is a block of the whole kernel, so X is multiplied once.
"""

from __future__ import annotations

from dataclasses import dataclass

from array_api_compat import array_namespace

from bench_core.ridge.arrays.backend import Array, cast, to_numpy
from bench_core.ridge.formulas import dual, primal
from bench_core.ridge.formulas.centering import blocks_uncentred, centre_cross
from bench_core.ridge.formulas.dual import Eigh
from bench_core.ridge.formulas.primal import ErrorSums
from bench_core.ridge.formulas.quadratic_forms import congruence, damping


@dataclass
class Validation:
    """One set of held-out rows and how every penalty predicts them.

    Residuals of targets Y are (Y_T − U diag(f) C) / divisor, or U diag(f) C / divisor where
    ``direct`` (dual leave-one-out, in which Y cancels without loss of digits).

    ``gain`` (r, n) is the variance that noise of variance 1 in Y has in the residuals, None for
    about 1: it tells where rounding in float32 matters.

    U : (n, m). project : (m, t_S). f : (r, m). divisor : (r, n) or None for 1.
    train, test : integer indices of the rows, None for all (leave-one-out).
    """

    U: Array
    project: Array
    w: Array
    f: Array
    divisor: Array | None = None
    gain: Array | None = None
    direct: bool = False
    train: Array | None = None
    test: Array | None = None


def dual_loo(eigen: Eigh, alphas: Array) -> Validation:
    """Return leave-one-out by the eigenvectors of K."""
    d = damping(eigen.w, alphas)
    divisor = dual.inverse_diagonal(eigen, d)
    return Validation(eigen.V, eigen.V.T, eigen.w, d, divisor, dual.gain(eigen, d), direct=True)


def primal_loo(Q: Array, eigen: Eigh, alphas: Array, *, intercept: bool) -> Validation:
    """Return leave-one-out by Q = Xc V (t, m)."""
    f = primal.filters(eigen, alphas)
    rest = primal.complement_of_leverage(Q, f, intercept=intercept)
    return Validation(Q, Q.T, eigen.w, f, rest, 1 / (rest * rest))


def dual_fold(K: Array, train: Array, test: Array, alphas: Array, *, intercept: bool) -> Validation:
    """Return the fold that trains on rows ``train`` of the kernel K = X Xᵀ (t, t)."""
    blocks = centre_cross if intercept else blocks_uncentred
    SS, TS, _ = blocks(K, train, test)
    # X_T,c is orthogonal to the null vectors of the training kernel, so primal's rule fits.
    eigen = primal.factorise(SS)
    xp = array_namespace(K)
    U = xp.matmul(TS, eigen.V)
    f = primal.filters(eigen, alphas)
    return Validation(U, eigen.V.T, eigen.w, f, train=train, test=test)


def primal_fold(
    X: Array, train: Array, test: Array, alphas: Array, *, intercept: bool
) -> Validation:
    """Return the fold that trains on rows ``train`` of X (t, p)."""
    xp = array_namespace(X)
    X_S, X_T = xp.take(X, train, axis=0), xp.take(X, test, axis=0)
    if intercept:
        mean = xp.mean(X_S, axis=0)
        X_S -= mean
        X_T -= mean
    eigen = primal.factorise(primal.covariance(X_S))
    V = cast(eigen.V, to_numpy(X[:0]).dtype)
    f = primal.filters(eigen, alphas)
    project = xp.matmul(V.T, X_S.T)
    return Validation(xp.matmul(X_T, V), project, eigen.w, f, train=train, test=test)


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
