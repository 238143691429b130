"""Held-out r and explained variance, divided among the feature spaces.

With y the held-out data of a target and f = Σ_g f_g its prediction, f_g being what space g adds,
each less its mean over the held-out samples:

- r is divided by covariance: r_g = f_gᵀ y / (‖f‖ ‖y‖), which sum to r.
- R² = 1 − ‖y − f‖² / ‖y‖² is divided by the product measure, R²_g = f_gᵀ (2 y − f) / ‖y‖², which
  sum to R² (Pratt, 1987; Dupré la Tour et al., 2022, NeuroImage 264, 119728, section 2.7).
- The unique variance of a space is R² less that of a fit without it, the other penalties as they
  are. What is left, R² less all unique variances, is shared.

R² is 1 − ‖y − f‖² / ‖y‖² of values less their means: a prediction that is off by a constant loses
nothing here, as in r.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.ridge.arrays.backend import to_numpy
from bench_core.ridge.banded.solution import BandedSolution
from bench_core.ridge.solvers.targets import TargetColumns


@dataclass(frozen=True)
class SpaceScores:
    """What every feature space explains of held-out data; NaN for a constant target.

    Parameters
    ----------
    r : (spaces, s), sums over spaces are Pearson's r; NaN too where the prediction is constant.
    r2 : (spaces, s), sums over spaces are R². unique : (spaces, s). shared : (s,), R² less the sum
        of the unique variances.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> parts, y = rng.standard_normal((2, 50, 1)), rng.standard_normal((50, 1))
    >>> found = divide(list(parts), y)
    >>> bool(np.allclose(found.r.sum(), np.corrcoef(parts.sum(0)[:, 0], y[:, 0])[0, 1]))
    True
    """

    r: NDArray[np.float64]
    r2: NDArray[np.float64]
    unique: NDArray[np.float64]
    shared: NDArray[np.float64]


def divide(
    parts: Sequence[NDArray[np.float64]],
    y: NDArray[np.float64],
    without: Sequence[NDArray[np.float64]] = (),
) -> SpaceScores:
    """Return the scores of the spaces.

    Parameters
    ----------
    parts : what every space adds to the predictions, (n, b) each.
    y : held-out data (n, b).
    without : predictions (n, b) of the fit without each space; without them there is no unique
        variance (NaN).
    """
    parts = [part - part.mean(axis=0) for part in parts]
    y = y - y.mean(axis=0)
    whole = np.sum(parts, axis=0)
    own = _columns(y, y)
    scale = np.sqrt(own) * np.sqrt(_columns(whole, whole))
    r = np.array([_ratio(_columns(part, y), scale) for part in parts])
    r2 = np.array([_ratio(_columns(part, 2 * y - whole), own) for part in parts])
    total = r2.sum(axis=0)
    unique = np.full_like(r2, np.nan)
    for number, rest in enumerate(without):
        rest = rest - rest.mean(axis=0)
        unique[number] = total - _ratio(_columns(rest, 2 * y - rest), own)
    return SpaceScores(r, r2, unique, total - unique.sum(axis=0))


def space_scores(
    solution: BandedSolution,
    targets: TargetColumns,
    cross: Sequence[Any],
    Y_test: NDArray[Any],
    means: NDArray[np.float64] | None,
) -> SpaceScores:
    """Return the scores of all targets, block by block.

    Parameters
    ----------
    targets : of training. means : their means (s,), None without an intercept.
    cross : kernels (n, t) of the held-out and the training rows, one for each space.
    Y_test : (n, s).
    """
    found: list[SpaceScores] = []
    spaces = range(len(cross))
    for block in targets.blocks("dividing the variance"):
        columns = block.columns
        Y = block.values
        if means is not None:
            offset = 0.0 if block.offset is None else block.offset
            shift = means[columns] - offset
            Y = Y - solution.device.put(shift.astype(targets.dtype))
        parts = solution.by_space(cross, solution.dual(Y, columns), columns)
        rest = []
        for number in spaces:
            dual = solution.dual(Y, columns, without=number)
            rest.append(np.sum(solution.by_space(cross, dual, columns, without=number), axis=0))
        y = np.asarray(to_numpy(Y_test[:, columns]), np.float64)
        found.append(divide(parts, y, rest))
    return SpaceScores(
        *(
            np.concatenate([getattr(one, name) for one in found], axis=-1)
            for name in ("r", "r2", "unique", "shared")
        )
    )


def _columns(A: NDArray[np.float64], B: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.einsum("ij,ij->j", A, B)
    return found


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    defined = below > 0
    found: NDArray[np.float64] = np.where(defined, above / np.where(defined, below, 1.0), np.nan)
    return found
