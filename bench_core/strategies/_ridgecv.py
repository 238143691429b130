"""scikit-learn's RidgeCV as the strategies call it, and the memory it takes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn import config_context
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import PredefinedSplit

from bench_core.checks import check_xy
from bench_core.errors import InputError, unknown
from bench_core.ridge.formulas.scores import check_scoring
from bench_core.ridge.inputs import find_folds

GCV_MODES = ("auto", "eigen", "svd")


@dataclass(frozen=True)
class Fitted:
    """One RidgeCV fit of s targets: ``coef`` (s, p), ``intercept`` (s,), penalty and its score."""

    coef: NDArray[Any]
    intercept: NDArray[Any]
    alpha: float
    best_score: float


def ridgecv_options(gcv_mode: str | None, cv: Any, t: int) -> dict[str, Any]:
    """Return RidgeCV's keyword arguments for these options and t samples.

    Parameters
    ----------
    gcv_mode : how leave-one-out factorises: None and "auto" as scikit-learn chooses, "eigen",
        "svd".
    cv : None for leave-one-out; a number of contiguous folds; the run of every sample (t
        integers), for folds by run; or a scikit-learn splitter.

    Raises
    ------
    UnknownNameError : no such ``gcv_mode``.
    InputError : fewer than 2 folds, more than samples, or both options at once.
    """
    if gcv_mode is not None and gcv_mode not in GCV_MODES:
        raise unknown("gcv_mode", gcv_mode, GCV_MODES)
    if cv is None:
        return {"gcv_mode": gcv_mode}
    if gcv_mode is not None:
        raise InputError(f"gcv_mode = {gcv_mode!r} is for leave-one-out only: leave it or cv out")
    if isinstance(cv, int | np.integer):
        if cv < 2:
            raise InputError(f"cv = {cv}: give at least 2 folds, or None for leave-one-out")
        if cv > t:
            raise InputError(f"cv = {cv} folds of {t} samples: give at most {t}")
        return {"cv": int(cv)}
    if isinstance(cv, np.ndarray) or (
        isinstance(cv, Sequence) and all(isinstance(run, int | np.integer) for run in cv)
    ):
        if len(cv) != t:
            raise InputError(f"cv gives the run of {len(cv)} samples, X has {t}: give one each")
        runs, fold = np.unique(cv, return_inverse=True)
        if len(runs) < 2:
            raise InputError("cv puts every sample in one run: folds by run need at least 2")
        return {"cv": PredefinedSplit(fold)}
    return {"cv": cv}


def scored_options(gcv_mode: str | None, cv: Any, t: int) -> dict[str, Any]:
    """Return RidgeCV's arguments, without folds that hold out one sample only; raise as above.

    Folds are scored by r2, which one sample does not have, and scikit-learn's mean over folds is
    then undefined for every penalty: it takes the first. Those folds are left out, with a warning.
    Raises `InputError` where none is left. A splitter of the user's own splits where the fit runs;
    `require_score` looks at what came of it.
    """
    options = ridgecv_options(gcv_mode, cv, t)
    if not isinstance(options.get("cv"), int | PredefinedSplit):
        return options
    folds = find_folds(options["cv"], t, None)
    scored = [fold for fold in folds if len(fold[1]) > 1]
    if not scored:
        raise InputError(
            f"every fold of cv = {cv!r} holds out one sample, which has no r2: use fewer folds, or "
            "cv = None for leave-one-out by squared errors"
        )
    if len(scored) < len(folds):
        lost = [number for number, fold in enumerate(folds) if len(fold[1]) < 2]
        warnings.warn(
            f"folds of one sample have no r2 and are left out of the choice of a penalty: {lost}",
            RuntimeWarning,
            stacklevel=2,
        )
        options["cv"] = scored
    return options


def require_score(score: float) -> float:
    """Return the best score; raise `InputError` with the remedy where it is undefined."""
    if np.isnan(score):
        raise InputError(
            "no penalty has a score: a fold holds out one sample, which has no r2; use larger "
            "folds, or give cv as the run of every sample: such folds are then left out"
        )
    return score


def default_scoring(scoring: str | None, cv: Any) -> str:
    """Return ``scoring``, or where it is None what RidgeCV takes for leave-one-out or folds.

    Raises `UnknownNameError` for an unknown name.
    """
    if scoring is not None:
        return check_scoring(scoring)
    return "neg_mean_squared_error" if cv is None else "r2"


def fit_ridgecv(
    X: NDArray[Any],
    Y: NDArray[Any],
    alphas: Sequence[float] | NDArray[np.float64],
    fit_intercept: bool,
    options: dict[str, Any],
) -> Fitted:
    """Fit RidgeCV with one penalty for all targets of Y (t, s) on X (t, p).

    Raises
    ------
    InputError : X or Y holds NaN or infinity.
    """
    check_xy(X, Y)
    model = RidgeCV(alphas=alphas, fit_intercept=fit_intercept, **options)
    with config_context(assume_finite=True):  # just seen: one pass over the data less
        model.fit(X, Y)
    s, p = Y.shape[1], X.shape[1]
    return Fitted(
        # One target comes back without its dimension, no intercept as the number 0.
        coef=model.coef_.reshape(s, p),
        intercept=np.array(np.broadcast_to(model.intercept_, s), dtype=model.coef_.dtype),
        alpha=float(model.alpha_),
        best_score=require_score(float(model.best_score_)),
    )


def working_bytes(t: int, p: int, s: int) -> int:
    """Return the bytes that a leave-one-out RidgeCV fit allocates besides X and Y.

    scikit-learn 1.9, which computes in float64 whatever the input: the counts of t × p, t × s,
    p × s and n × n arrays (n = min(t, p)) alive at once were read off its allocations, plus two
    n × n arrays that the eigensolver takes (LAPACK's dsyevd).
    """
    if p < t:
        doubles = 3 * t * p + 6 * t * s + 4 * p * s + (3 + 2) * p * p
    else:
        doubles = t * p + 6 * t * s + 3 * p * s + (3 + 2) * t * t
    return 8 * doubles


def problem_bytes(t: int, p: int, s: int, dtype: DTypeLike) -> int:
    """Return the bytes of X and Y."""
    return (t * p + t * s) * np.dtype(dtype).itemsize
