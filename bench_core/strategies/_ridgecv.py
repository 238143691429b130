"""scikit-learn's RidgeCV as the strategies call it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import PredefinedSplit

from bench_core.checks import check_xy
from bench_core.errors import InputError, RidgebenchError, unknown
from bench_core.phases import NO_PHASES, Phases
from bench_core.ridge.arrays.backend import find_device, to_numpy
from bench_core.ridge.formulas.scores import check_scoring
from bench_core.ridge.inputs import by_gcv, find_folds
from bench_core.ridge.planning.flops import FitShape
from bench_core.scaling.costs.ridgecv import Form, Release, form_of
from bench_core.strategies._array_api import check_dispatch, dispatched, put

GCV_MODES = ("auto", "eigen", "svd")


@dataclass(frozen=True)
class Fitted:
    """One RidgeCV fit of s targets.

    coef : (s, p). intercept : (s,). alpha, best_score : the chosen penalty and its score, numbers,
    or arrays (s,) with a penalty per target.
    """

    coef: NDArray[Any]
    intercept: NDArray[Any]
    alpha: float | NDArray[np.float64]
    best_score: float | NDArray[np.float64]


def ridgecv_options(gcv_mode: str | None, cv: Any, t: int) -> dict[str, Any]:
    """Return RidgeCV's keyword arguments for these options and t samples.

    Parameters
    ----------
    gcv_mode : how leave-one-out factorises: None and "auto" as scikit-learn chooses, "eigen",
        "svd".
    cv : None or "loo" for leave-one-out; a number of contiguous folds; the run of every sample
        (t integers), for folds by run; or a scikit-learn splitter.

    Raises
    ------
    UnknownNameError : no such ``gcv_mode`` or ``cv``.
    InputError : fewer than 2 folds, more than samples, or both options at once.
    """
    if gcv_mode is not None and gcv_mode not in GCV_MODES:
        raise unknown("gcv_mode", gcv_mode, GCV_MODES)
    if cv is None or (isinstance(cv, str) and cv == "loo"):
        return {"gcv_mode": gcv_mode}
    if isinstance(cv, str):
        raise _not_here(cv)
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


def _not_here(cv: str) -> RidgebenchError:
    """Return the error for a ``cv`` that scikit-learn does not have."""
    if cv == "run":
        return InputError(
            "cv = 'run': give the run of every sample (t integers); on the command line, --cv run "
            "takes them from the problem"
        )
    if cv == "gcv":
        return InputError(
            "cv = 'gcv': scikit-learn's RidgeCV has no generalised cross-validation; multitarget "
            "and bmor-shared have it"
        )
    return unknown("cv", cv, ("loo", "gcv", "run"))


def _described(cv: Any) -> str:
    """Return ``cv`` in words that stay short however many samples there are."""
    return "cv by run" if isinstance(cv, Sequence | np.ndarray) else f"cv = {cv!r}"


def scored_options(
    gcv_mode: str | None,
    cv: Any,
    t: int,
    *,
    scoring: str | None = None,
    alpha_per_target: bool = False,
) -> dict[str, Any]:
    """Return RidgeCV's arguments, without folds that hold out one sample only; raise as above.

    Folds are scored by r2 unless ``scoring`` says otherwise. One sample does not have r2, and
    scikit-learn's mean over folds is then undefined for every penalty: it takes the first. Those
    folds are left out, with a warning. A splitter of the user's own splits where the fit runs;
    `require_score` looks at what came of it.

    Raises `InputError` where no fold is left, and for what RidgeCV cannot do: Pearson's r, or a
    penalty per target with folds.
    """
    options = ridgecv_options(gcv_mode, cv, t)
    if scoring is not None:
        if check_scoring(scoring) == "pearson":
            raise InputError(
                "scoring = 'pearson': scikit-learn's RidgeCV has no such score; use multitarget or "
                "bmor-shared"
            )
        options["scoring"] = scoring
    if alpha_per_target:
        if "cv" in options:
            raise InputError(
                f"alpha_per_target with {_described(cv)}: scikit-learn's RidgeCV chooses a "
                "penalty per target by leave-one-out only; use multitarget, bmor-shared or mor"
            )
        options["alpha_per_target"] = True
    if scoring == "neg_mean_squared_error":
        return options
    if not isinstance(options.get("cv"), int | PredefinedSplit):
        return options
    folds = find_folds(options["cv"], t, None)
    scored = [fold for fold in folds if len(fold[1]) > 1]
    if not scored:
        raise InputError(
            f"every fold of {_described(cv)} holds out one sample, which has no r2: use fewer "
            "folds, or cv = None for leave-one-out by squared errors"
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


def require_score(score: Any) -> float | NDArray[np.float64]:
    """Return the best score, or that of every target (s,), as float64.

    Raises `InputError` with the remedy where one is undefined.
    """
    if np.isnan(score).any():
        raise InputError(
            "no penalty has a score: a fold holds out one sample, which has no r2; use larger "
            "folds, or give cv as the run of every sample: such folds are then left out"
        )
    return np.asarray(score, np.float64) if np.ndim(score) else float(score)


def own_cv(cv: Any, t: int) -> Any:
    """Return ``cv`` as `MultiTargetRidgeCV` takes it: "loo", "gcv", or folds; raise as above."""
    if by_gcv(cv):
        return cv
    return ridgecv_options(None, cv, t).get("cv", "loo")


def default_scoring(scoring: str | None, cv: Any) -> str:
    """Return ``scoring``, or where it is None what RidgeCV takes for leave-one-out or folds.

    Raises `UnknownNameError` for an unknown name.
    """
    if scoring is not None:
        return check_scoring(scoring)
    return "neg_mean_squared_error" if cv is None or isinstance(cv, str) else "r2"


def fit_ridgecv(
    X: NDArray[Any],
    Y: NDArray[Any],
    alphas: Sequence[float] | NDArray[np.float64],
    fit_intercept: bool,
    options: dict[str, Any],
    phases: Phases = NO_PHASES,
    device: str = "cpu",
) -> Fitted:
    """Fit RidgeCV to X (t, p) and Y (t, s) with ``options`` from `scored_options`.

    device : "cpu" (numpy), "torch", "cuda" and so on: see `bench_core.strategies._array_api`.

    Raises
    ------
    InputError : X or Y holds NaN or infinity, or there is no such device.
    """
    with phases("reading"):
        check_xy(X, Y)
    model = RidgeCV(alphas=alphas, fit_intercept=fit_intercept, **options)
    place = find_device(device)
    phases.settle_with(place.settle)
    # Finite values were just seen: one pass over the data less.
    with dispatched(place):
        check_dispatch(model, device)
        with nullcontext() if place.is_numpy else phases("transfers"):
            X_there, Y_there = put(place, X), put(place, Y)
        with phases("sklearn"):
            model.fit(X_there, Y_there)
    s, p = Y.shape[1], X.shape[1]
    alpha, score = to_numpy(model.alpha_), to_numpy(model.best_score_)
    if options.get("alpha_per_target"):  # one target comes back as a number
        alpha = np.broadcast_to(alpha, s)
        if not place.is_numpy:  # in torch's default precision, a rounding away from the candidate
            grid = np.asarray(alphas, np.float64)
            alpha = grid[np.argmin(np.abs(grid[:, None] - alpha), axis=0)]
        alpha = np.array(alpha, np.float64)
        score = np.array(np.broadcast_to(score, s), np.float64)
    coef = to_numpy(model.coef_)
    return Fitted(
        # One target comes back without its dimension, no intercept as the number 0.
        coef=coef.reshape(s, p),
        intercept=np.array(np.broadcast_to(to_numpy(model.intercept_), s), dtype=coef.dtype),
        alpha=alpha if np.ndim(alpha) else float(alpha),
        best_score=require_score(score),
    )


def gcv_shape(
    t: int, p: int, s: int, r: int, cv: Any, dtype: str, *, each: bool = False
) -> FitShape:
    """Return the shape of a fit by leave-one-out, or by the folds of the option ``cv``."""
    options = ridgecv_options(None, cv, t)
    found = find_folds(options["cv"], t, None) if "cv" in options else []
    folds = tuple((len(train), len(test)) for train, test in found)
    return FitShape(t, p, s, r, folds=folds, dtype=dtype, each=each)


def release() -> Release:
    """Return which of the counted releases the installed scikit-learn is like."""
    numbers = tuple(int(part) for part in sklearn.__version__.split(".")[:2])
    return "1.9" if numbers >= (1, 9) else "before 1.9"


def gcv_form(shape: FitShape, gcv_mode: str | None) -> Form:
    """Return the form in which the installed scikit-learn fits this shape."""
    return form_of(shape, gcv_mode, release())
