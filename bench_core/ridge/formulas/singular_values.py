"""The exact way: the singular value decomposition of Xc, where its square is too inexact.

With Xc = L diag(σ) Rᵀ the dual form needs w = σ², V = L and the basis B = diag(σ) Rᵀ = Vᵀ Xc; the
primal form needs V = R and Q = L diag(σ). Their errors are ε σ_max in every σ, where the square of
X has errors of ε σ_max² in σ²: singular values are known down to ε σ_max and not to √ε σ_max only.
It costs 6 to 20 times as many operations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from bench_core.ridge.arrays import torch_linalg
from bench_core.ridge.arrays.backend import Array
from bench_core.ridge.formulas.cross_validation import Validation, fold_rows, fold_validation
from bench_core.ridge.formulas.eigensystem import EPSILON, Eigh, clear_null_rows


def svd(A: Array, *, whole: bool = False) -> tuple[Array, Array, Array]:
    """Return L (n, k), σ (k,), descending, and Rᵀ (k, m) of A (n, m) float64, k = min(n, m).

    whole : all n columns of L, those beyond k orthogonal to A.
    """
    if not isinstance(A, np.ndarray):
        L, sigma, Rt = torch_linalg.svd(A, full_matrices=whole)
        return L, sigma, Rt[: sigma.shape[0]]
    from scipy import linalg

    options: dict[str, Any] = {"full_matrices": whole, "check_finite": False}
    # LAPACK counts columns first: Aᵀ is what it takes without a copy of its own making.
    try:
        R, sigma, Lt = linalg.svd(A.T, **options)
    except linalg.LinAlgError:  # divide and conquer did not converge; the QR iteration is slower
        R, sigma, Lt = linalg.svd(A.T, lapack_driver="gesvd", **options)
    return Lt.T, sigma, R.T[: sigma.shape[0]]


def _least(sigma: Array, shape: tuple[int, int]) -> float:
    """Return the size up to which a singular value is rounding: numpy's rule for the rank."""
    return max(shape) * EPSILON * float(sigma[0]) if sigma.shape[0] else 0.0


def dual(Xc: Array, *, intercept: bool) -> tuple[Eigh, Array]:
    """Return the eigensystem of Xc Xcᵀ and the basis B = Vᵀ Xc (m', p) without null vectors.

    Xc (t, p) in float64 is overwritten. With an intercept everything is in the centred space,
    from which a reflection takes the constant vector to the first axis.
    """
    xp = array_namespace(Xc)
    n = Xc.shape[0] - intercept
    V, sigma, Rt, kept = _ascending(Xc, intercept=intercept, whole=n > Xc.shape[1])
    w = xp.zeros(n, dtype=sigma.dtype, device=device(sigma))
    w[n - kept :] = sigma**2
    eigen = Eigh(w, V, constant=intercept)
    if 0 < kept < n:
        eigen = clear_null_rows(eigen, EPSILON * float(sigma[-1] / sigma[0]))
    return eigen, sigma[:, None] * Rt


def primal(Xc: Array, *, intercept: bool) -> tuple[Eigh, Array]:
    """Return the eigensystem of Xcᵀ Xc (p, p) and Q = Xc V (t, m), both without null vectors.

    Xc (t, p) in float64 is overwritten.
    """
    L, sigma, Rt, kept = _ascending(Xc, intercept=intercept)
    return Eigh(sigma**2, Rt.T), L[:, L.shape[1] - kept :] * sigma[None, :]


def _ascending(
    Xc: Array, *, intercept: bool, whole: bool = False
) -> tuple[Array, Array, Array, int]:
    """Return L (t, k), and σ (m,), Rᵀ (m, p) and m of the singular values that are not rounding.

    Null vectors come first in L, then those of ascending singular values. With an intercept all of
    L is orthogonal to the constant vector, as exactly as to each other: a reflection takes that
    vector to the first axis, where rounding in the means of X goes, too.
    """
    xp = array_namespace(Xc)
    t, p = Xc.shape
    v = xp.zeros_like(Xc[:, 0])
    if intercept:
        v += t**-0.5
        v[0] = v[0] + 1.0
        v /= xp.sqrt(xp.sum(v * v))
        Xc -= 2 * v[:, None] * xp.matmul(v, Xc)[None, :]
    left, sigma, Rt = svd(Xc[int(intercept) :], whole=whole)
    kept = int(xp.sum(xp.astype(sigma > _least(sigma, (t, p)), xp.int64)))
    L = xp.zeros((t, left.shape[1]), dtype=left.dtype, device=device(left))
    L[int(intercept) :] = xp.flip(left, axis=1)
    if intercept:
        L -= 2 * v[:, None] * xp.matmul(v, L)[None, :]
    return L, xp.flip(sigma[:kept]), xp.flip(Rt[:kept], axis=0), kept


def fold(X: Array, train: Array, test: Array, alphas: Array, *, intercept: bool) -> Validation:
    """Return the fold that trains on rows ``train`` of X (t, p) float64, of either form."""
    X_S, X_T = fold_rows(X, train, test, intercept=intercept)
    eigen, Q = primal(X_S, intercept=intercept)
    U = array_namespace(X).matmul(X_T, eigen.V)
    return fold_validation(U, Q.T, eigen, alphas, train, test, projected=eigen.w)
