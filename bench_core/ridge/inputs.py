"""Checks and conversions of what a caller passes: types, folds, precision, names."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from bench_core.errors import InputError, unknown
from bench_core.ridge.arrays.column_reader import open_columns
from bench_core.ridge.arrays.target_blocks import SAMPLED_ROWS
from bench_core.ridge.planning.flops import FitShape, Form

SOLVERS = ("auto", "dual", "primal")

FLOAT32_RANGE = 1e12
"""Largest size, or inverse of the smallest, of values whose float32 products are safe."""

CRITERIA = ("loo", "gcv")
"""Values of ``cv`` that need no folds: leave-one-out, generalised cross-validation."""

SAMPLED = 8192
"""Columns that are sampled at a time."""


def product_dtype(dtype: DTypeLike | None, *given: DTypeLike) -> np.dtype[Any]:
    """Return the precision of products: as asked, else float32 if all ``given`` are, else float64.

    Raises `InputError` for any other type.
    """
    if dtype is None:
        single = all(np.dtype(one) == np.float32 for one in given)
        return np.dtype(np.float32 if single else np.float64)
    found = np.dtype(dtype)
    if found not in (np.float32, np.float64):
        raise InputError(f"dtype {found} is not offered: use 'float32' or 'float64'")
    return found


def find_form(solver: str) -> Form | None:
    """Return the form that ``solver`` names, None for "auto".

    Raises `UnknownNameError` for any other name.
    """
    if solver not in SOLVERS:
        raise unknown("solver", str(solver), SOLVERS)
    return None if solver == "auto" else cast(Form, solver)


def safe_dtype(dtype: DTypeLike | None, *arrays: NDArray[Any]) -> np.dtype[Any]:
    """Return the precision of products of ``arrays``: `product_dtype`, float64 where it is unsafe.

    Raises `InputError` as `product_dtype`.
    """
    found = product_dtype(dtype, *(array.dtype for array in arrays))
    if found == np.float32 and not all(map(safe_in_float32, arrays)):
        return np.dtype(np.float64)
    return found


def safe_in_float32(array: NDArray[Any]) -> bool:
    """Return True if float32 squares of a sample of rows neither overflow nor vanish."""
    with open_columns(array) as source:
        largest = max(
            float(
                np.abs(
                    source.sample(slice(j, min(j + SAMPLED, array.shape[1])), SAMPLED_ROWS)
                ).max()
            )
            for j in range(0, array.shape[1], SAMPLED)
        )
    return largest == 0 or 1 / FLOAT32_RANGE < largest < FLOAT32_RANGE


def as_targets(y: ArrayLike) -> NDArray[Any]:
    """Return y as an array (t, s) or (t,); float arrays, memory maps included, stay as they are."""
    if isinstance(y, np.ndarray) and y.dtype in (np.float32, np.float64):
        found: NDArray[Any] = y
    else:
        from sklearn.utils import check_array

        found = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
    if found.ndim not in (1, 2):
        raise InputError(f"y must have one or two dimensions, not shape {found.shape}")
    return found


def find_folds(
    cv: Any, t: int, groups: ArrayLike | None
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Return (train, test) row indices of every fold of ``cv``; none for "loo", "gcv" or None.

    t samples are split. ``cv`` may be a number of contiguous folds, a scikit-learn splitter (with
    ``groups`` where it needs them) or a list of index pairs. Raises `InputError` for anything else,
    and for a fold without two rows to train on or one to score.
    """
    if cv is None:
        return []
    if isinstance(cv, str):
        if cv in CRITERIA:
            return []
        raise InputError(f"cv {cv!r} is unknown: use 'loo', 'gcv', a number of folds or a splitter")
    from sklearn.model_selection import check_cv

    try:
        rows = np.empty((t, 1))
        folds = [
            (np.asarray(train, np.intp), np.asarray(test, np.intp))
            for train, test in check_cv(cv).split(rows, None, groups)
        ]
    except (ValueError, TypeError) as error:
        raise InputError(f"cv {cv!r} does not split these {t} samples: {error}") from error
    for number, (train, test) in enumerate(folds):
        if len(train) < 2 or len(test) < 1:
            raise InputError(
                f"fold {number} has {len(train)} training and {len(test)} held-out samples: "
                "at least 2 and 1 are needed"
            )
    return folds


def fit_shape(
    t: int,
    p: int,
    s: int,
    r: int,
    *,
    folds: list[tuple[NDArray[np.intp], NDArray[np.intp]]],
    dtype: np.dtype[Any],
    scoring: str,
    per_target: bool,
    coef: Any,
    exact: bool = False,
    gcv: bool = False,
) -> FitShape:
    """Return the shape of a fit of t samples, p features, s targets and r penalties.

    Raises `InputError` for Pearson's r with generalised cross-validation, which has no predictions.
    """
    if gcv and scoring == "pearson":
        raise InputError(
            "scoring 'pearson' with cv='gcv': generalised cross-validation has no predictions to "
            "correlate; use 'neg_mean_squared_error' or 'r2', or cv='loo'"
        )
    return FitShape(
        t=t,
        p=p,
        s=s,
        r=r,
        folds=tuple((len(train), len(test)) for train, test in folds),
        dtype=dtype.name,
        each=per_target or gcv or scoring == "pearson",
        scaled=scoring == "r2",
        per_target=per_target,
        coef=coef if coef in ("memory", "given", None) else "file",
        exact=exact,
        gcv=gcv,
        rows=scoring == "pearson",
        complementary=all(_complementary(train, test, t) for train, test in folds),
    )


def _complementary(train: NDArray[np.intp], test: NDArray[np.intp], t: int) -> bool:
    """Return True if every one of t samples is in one of the two, once."""
    if len(train) + len(test) != t:
        return False
    seen = np.zeros(t, bool)
    seen[train] = True
    seen[test] = True
    return bool(seen.all())


def by_gcv(cv: Any) -> bool:
    """Return True where ``cv`` asks for generalised cross-validation."""
    return isinstance(cv, str) and cv == "gcv"
