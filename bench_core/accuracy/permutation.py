"""Permutation null of ridge regression at fixed penalties, with one factorisation for all refits.

At a fixed penalty λ the held-out prediction is linear in the training targets. With X̃ the
centred training features, C the centring of test rows and Π a permutation of the training rows
of X, the centred prediction is

    C Ŷ = C X_te (X̃ᵀX̃ + λI)⁻¹ X̃ᵀ Πᵀ Y.

Permuting rows of X does not change X̃ᵀX̃, so everything left of Πᵀ is fixed. Write it as Q M with
Q's columns orthonormal and M (k × t_train), k = min(p, t_test). Then, for target y and held-out
y', with z = M Πᵀ y,

    r = (Qᵀ C y')ᵀ z / (‖C y'‖ ‖z‖),

so a permutation costs 2 k t_train flops per target, and nothing of size t_test × s is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench_core.accuracy.columns import Columns
from bench_core.accuracy.null import Null, batch_figures, count_exceeding
from bench_core.checks import check_memory, constant_columns
from bench_core.errors import InputError
from bench_core.progress import Progress, silent

_BATCH_BYTES = 128 * 2**20


@dataclass(frozen=True, eq=False)
class FixedPenaltyRidge:
    """A factorisation of X that gives held-out r for any Y, permutation and penalty.

    ``basis`` Q (t_test, k); ``left`` (k, m), ``values`` (m,) squared singular values of X̃ and
    ``right`` (m, t_train): M = left · diag(1 / (values + λ)) · right.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((50, 2))
    >>> Y = X @ np.array([[1.0], [2.0]])
    >>> fit = FixedPenaltyRidge.factorise(X[:40], X[40:])
    >>> fit.held_out_r(fit.responses(0.1), Y[:40], fit.project(Y[40:])).round(2)
    array([1.])
    """

    basis: NDArray[np.float64]
    left: NDArray[np.float64]
    values: NDArray[np.float64]
    right: NDArray[np.float64]

    @classmethod
    def factorise(
        cls, X_train: NDArray[Any], X_test: NDArray[Any], *, fit_intercept: bool = True
    ) -> FixedPenaltyRidge:
        """Return the factorisation, by way of X̃ᵀX̃ or X̃X̃ᵀ, whichever is smaller.

        Raises `ResourceError` when memory does not suffice.
        """
        from scipy.linalg import eigh, qr

        n, p = X_train.shape
        m = min(n, p)
        check_memory(
            8 * (2 * X_train.size + 2 * X_test.size + 3 * m * m + m * n),
            "factorising the features for the null",
        )
        X = np.asarray(X_train, dtype=np.float64)
        test = np.asarray(X_test, dtype=np.float64)
        if fit_intercept:
            X = X - X.mean(axis=0)
        test = test - test.mean(axis=0)
        if p <= n:
            values, V = eigh(X.T @ X)
            left, right = test @ V, V.T @ X.T
        else:
            values, U = eigh(X @ X.T)
            left, right = (test @ X.T) @ U, U.T
        basis = np.eye(len(test))
        if m < len(test):
            basis, left = qr(left, mode="economic")
        return cls(basis, left, np.maximum(values, 0), right)

    def responses(self, penalty: float) -> NDArray[np.float64]:
        """Return M (k, t_train) at ``penalty``."""
        return (self.left / (self.values + penalty)) @ self.right

    def held_out_r(
        self, M: NDArray[np.float64], Y_train: NDArray[Any], truth: HeldOutTargets
    ) -> NDArray[np.float64]:
        """Return r (s,) of the fit on ``Y_train`` (t_train, s), whose rows may be permuted."""
        Z = M @ Y_train
        with np.errstate(all="ignore"):
            scale = truth.norm * np.linalg.norm(Z, axis=0)
            r = np.einsum("ks,ks->s", truth.projected, Z) / scale
        r[truth.constant] = np.nan
        return np.clip(r, -1, 1)

    def project(self, Y_test: NDArray[Any]) -> HeldOutTargets:
        """Return the held-out targets (t_test, s) in the basis Q."""
        centred = np.asarray(Y_test, dtype=np.float64)
        centred = centred - centred.mean(axis=0)
        return HeldOutTargets(
            self.basis.T @ centred, np.linalg.norm(centred, axis=0), constant_columns(Y_test)
        )


@dataclass(frozen=True, eq=False)
class HeldOutTargets:
    """Held-out targets: Qᵀ C Y (k, s), the norms (s,) of C Y, and which are constant (s,)."""

    projected: NDArray[np.float64]
    norm: NDArray[np.float64]
    constant: NDArray[np.bool_]


def ridge_null(
    X_train: NDArray[Any],
    Y_train: Columns,
    X_test: NDArray[Any],
    Y_test: Columns,
    penalty: ArrayLike,
    rows: Sequence[NDArray[np.intp]],
    *,
    fit_intercept: bool = True,
    progress: Progress = silent,
) -> Null:
    """Return the null of ridge regression at given penalties.

    Parameters
    ----------
    X_train, Y_train, X_test, Y_test : as fitted. Y is only read as ``Y[:, numbers]``, in batches
        of targets: it may be memory-mapped, or `bench_core.data.RowsOf` an array.
    penalty : one λ, or one per target (s,).
    rows : permutations of the training rows of X, such as `bench_core.accuracy.Permutations`.
    progress : called with the targets done.

    Raises
    ------
    InputError : sizes that do not fit together, or no permutation.
    ResourceError : too little memory for the factorisation.
    """
    s = Y_train.shape[1]
    train, test = (X_train.shape, Y_train.shape), (X_test.shape, Y_test.shape)
    fits = train[0][0] == train[1][0] and test[0][0] == test[1][0]
    if not fits or Y_test.shape[1] != s or X_test.shape[1] != X_train.shape[1]:
        raise InputError(
            f"training X and Y have shapes {train} and test X and Y {test}: X and Y must have the "
            "same rows, training and test the same columns"
        )
    if not len(rows):
        raise InputError("no permutation: give 1 or more")
    penalties = np.broadcast_to(np.asarray(penalty, dtype=np.float64), (s,))
    fit = FixedPenaltyRidge.factorise(X_train, X_test, fit_intercept=fit_intercept)
    observed, exceed = np.full(s, np.nan), np.zeros(s, dtype=np.int64)
    largest, total = np.full(len(rows), -1.0), np.zeros(len(rows))
    counts = np.zeros(len(rows), dtype=np.int64)
    width = max(1, _BATCH_BYTES // (8 * Y_train.shape[0]))
    done = 0
    for value in np.unique(penalties):
        M = fit.responses(float(value))
        targets = np.flatnonzero(penalties == value)
        for start in range(0, len(targets), width):
            batch = targets[start : start + width]
            Y = np.asarray(Y_train[:, batch], dtype=np.float64)
            truth = fit.project(np.asarray(Y_test[:, batch]))
            still = constant_columns(Y)
            if fit_intercept:
                Y -= Y.mean(axis=0)
                Y[:, still] = 0  # exactly: their prediction is constant, their r undefined
            observed[batch] = fit.held_out_r(M, Y, truth)
            for k, each in enumerate(rows):
                # X[rows] against Y is X against Y in the inverse order: permute the smaller one.
                if len(M) < len(batch):
                    r = fit.held_out_r(M[:, each], Y, truth)
                else:
                    r = fit.held_out_r(M, Y[np.argsort(each)], truth)
                exceed[batch] += count_exceeding(r, observed[batch])
                high, absolute, defined = batch_figures(r)
                largest[k] = max(largest[k], high)
                total[k] += absolute
                counts[k] += defined
            done += len(batch)
            progress("null", done, s)
    return Null(observed, exceed, largest, total / np.maximum(1, counts))
