"""Squared leave-one-out residuals of every target at half the price: a triangle for each penalty.

In the dual form the leave-one-out residuals of a target are (V z)_i / A_ii with z = d ∘ Vᵀ Yc.
Their squares sum to

    zᵀ M z = ‖R z‖²,   M = Vᵀ diag(1/A_ii²) V = Rᵀ R,

where the triangle R depends on the penalty and not on the target. A product with it takes m² flops
for each target and penalty, one with V takes 2 t m. Forming all r triangles takes r (t + m/3) m²
once, so that this way pays where targets outnumber samples. Pearson's r needs every residual for
itself, and cannot be had so.

Mean squared errors of folds sum alike: with e_T = U_T C and U_T = W_T D of every fold
(`bench_core.ridge.formulas.joint_folds`), Σ_T ω_T ‖e_T‖² = ‖R z‖², R the triangle of a QR
decomposition of all √ω_T W_T, one above the other. Each fold's mean counts alike: ω_T = t / (k n_T)
for k folds.

What is kept is R diag(d), which is multiplied with Vᵀ Yc: no z is formed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import Array, cast
from bench_core.ridge.formulas.cross_validation import Validation
from bench_core.ridge.formulas.joint_folds import JointFolds
from bench_core.ridge.formulas.per_target_scores import BlockScores
from bench_core.ridge.formulas.scores import column_sums, scores_of_squares

PANEL = 384
"""Rows that are multiplied at once, of all triangles: enough for a product's full speed."""

MOST_UNEVEN = 1e3
"""Largest ratio of two A_ii: its square is the condition of M, which must keep its digits."""


@dataclass
class ResidualFactors:
    """What the squared residuals of leave-one-out need of X, for every penalty.

    project : (m, t), coordinates of centred targets. f : (r, m), the d of every penalty. panels :
    (r, n, ·) rows of the R diag(d) of all penalties, in groups of `panel_rows`, each from its
    first column that is not 0. gain : (r, t), errors : (r,), as in `Validation`.
    """

    project: Array
    f: Array
    panels: list[Array]
    gain: Array
    errors: NDArray[np.float64]
    direct: ClassVar[bool] = True


def factorise(check: Validation, dtype: np.dtype[np.generic]) -> ResidualFactors | None:
    """Return the triangles of a dual leave-one-out, in ``dtype``; None where they lose digits."""
    xp = array_namespace(check.U)
    assert check.direct
    assert check.divisor is not None
    if float(xp.max(check.divisor)) > MOST_UNEVEN * float(xp.min(check.divisor)):
        return None
    panels = _empty_panels(check.f, dtype)
    for number, divisor in enumerate(check.divisor):
        scaled = check.U / divisor[:, None]
        try:
            # Not scipy's product: the threads of its BLAS and of numpy's get in each other's way.
            R = xp.linalg.cholesky(xp.matmul(scaled.T, scaled)).T
        except (np.linalg.LinAlgError, RuntimeError):  # torch raises a subclass of the latter
            return None
        _keep(panels, number, R * check.f[number])
    return ResidualFactors(
        cast(check.project, dtype), cast(check.f, dtype), panels, check.gain, check.errors
    )


def factorise_folds(folds: JointFolds, dtype: np.dtype[np.generic]) -> ResidualFactors:
    """Return the triangles of the mean squared errors of dual folds, in ``dtype``."""
    xp = array_namespace(folds.basis)
    assert not folds.primal
    t, r = folds.basis.shape[0], folds.f.shape[0]
    gain = xp.zeros((r, t), dtype=xp.float64, device=device(folds.w))
    panels, errors = _empty_panels(folds.f, dtype), []
    for number in range(r):
        one = slice(number, number + 1)
        stacked = []
        worst = 0.0
        for fold, rows in enumerate(folds.tests):
            found = folds.map(fold, one)
            weight = t / (len(folds.tests) * rows.shape[0])
            stacked.append(found.U[0] / folds.f[number] * weight**0.5)
            gain[number, rows] += weight * found.gain[0]
            worst = max(worst, float(found.errors[0]))
        R = _triangle(xp.concat(stacked))
        _keep(panels, number, R * folds.f[number])
        errors.append(worst)
    project = cast(folds.basis, dtype).T
    return ResidualFactors(project, cast(folds.f, dtype), panels, gain, np.asarray(errors))


def _triangle(W: Array) -> Array:
    """Return R (n, m) of a QR decomposition of W."""
    if isinstance(W, np.ndarray):
        return np.linalg.qr(W, mode="r")
    import torch

    return torch.linalg.qr(W, mode="r").R


def panel_rows(r: int) -> int:
    """Return the rows of each of r triangles in a panel: few, as there are zeros left of them.

    >>> panel_rows(1), panel_rows(11), panel_rows(100)
    (128, 34, 16)
    """
    return min(128, max(16, PANEL // r))


def _empty_panels(f: Array, dtype: np.dtype[np.generic]) -> list[Array]:
    """Return room for the panels of a triangle for each penalty of f (r, m)."""
    xp = array_namespace(f)
    r, m = f.shape
    rows = panel_rows(r)
    kind = getattr(xp, dtype.name)
    return [
        xp.empty((r, min(rows, m - k), m - k), dtype=kind, device=device(f))
        for k in range(0, m, rows)
    ]


def _keep(panels: list[Array], number: int, R: Array) -> None:
    """Write the triangle R (m, m) of one penalty into the panels."""
    k = 0
    for panel in panels:
        end = k + panel.shape[1]
        panel[number] = R[k:end, k:]
        k = end


def block_scores(
    factors: ResidualFactors, Y: Array, scoring: str, *, intercept: bool
) -> BlockScores:
    """Return the scores of a block of targets Y (t, b): mean squared errors, or r2."""
    xp = array_namespace(Y)
    b = Y.shape[1]
    Yc = Y - xp.mean(Y, axis=0) if intercept else Y
    C = xp.matmul(factors.project, Yc)
    r, most = factors.panels[0].shape[:2]
    room = xp.empty(r * most * b, dtype=C.dtype, device=device(C))
    squares = xp.zeros((r, b), dtype=xp.float64, device=device(Y))
    k = 0
    for panel in factors.panels:
        n = panel.shape[1]
        found = xp.reshape(room[: r * n * b], (r * n, b))
        xp.matmul(xp.reshape(panel, (r * n, -1)), C[k:], out=found)
        for total, part in zip(squares, xp.reshape(found, (r, n, b)), strict=True):
            total += column_sums(part, part)
        k += n
    scores = scores_of_squares(Y, squares, scoring)
    own = xp.sum(Yc * Yc, axis=1, dtype=xp.float64)
    gained = xp.matmul(factors.gain, own)
    return BlockScores(scores, xp.sum(squares, axis=1), gained, xp.sum(own))
