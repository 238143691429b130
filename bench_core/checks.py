"""Checks of data, penalties and memory before anything is computed.

All checks read their arrays in blocks, so that a memory-mapped problem larger than memory can be
checked and nothing the size of X or Y is ever allocated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench_core.errors import InputError, ResourceError, readable_bytes

BLOCK_BYTES = 8 * 2**20
"""Bytes that one block of a block-wise pass reads: small enough to stay in most caches."""


def row_blocks(t: int, row_bytes: int, block_bytes: int = BLOCK_BYTES) -> Iterator[slice]:
    """Yield consecutive slices of ``range(t)`` of about ``block_bytes`` each, one row at least."""
    rows = max(1, block_bytes // max(1, row_bytes))
    for start in range(0, t, rows):
        yield slice(start, min(start + rows, t))


def check_alphas(alphas: Iterable[float]) -> NDArray[np.float64]:
    """Return the candidate penalties as a float64 array (r,), in the order given.

    A penalty is added to the squared singular values of X, as in scikit-learn. Raises `InputError`
    when there is none, or one is zero, negative, not finite, or given twice.
    """
    try:
        found = np.atleast_1d(np.asarray(_listed(alphas), dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise InputError(f"penalties must be positive numbers, not {alphas!r}") from error
    if found.ndim != 1:
        raise InputError(
            f"penalties must be one list of numbers, not an array of shape {found.shape}"
        )
    if found.size == 0:
        raise InputError("no candidate penalty: give at least one positive number, such as 1.0")
    wrong = found[~(np.isfinite(found) & (found > 0))]
    if wrong.size:
        raise InputError(
            f"penalty {wrong[0]:g} is not a positive finite number: leave it out"
            + (" (0 would be ordinary least squares)" if wrong[0] == 0 else "")
        )
    values, counts = np.unique(found, return_counts=True)
    if (counts > 1).any():
        raise InputError(f"penalty {values[counts > 1][0]:g} is given more than once: keep one")
    return found


def kept(alphas: Any) -> Any:
    """Return ``alphas`` as they are, or as a list where they could be read once only."""
    return list(alphas) if isinstance(alphas, Iterator) else alphas


def without_mask(name: str, array: Any) -> Any:
    """Return a masked array without its mask, anything else as it is.

    Raises `InputError`, with the first masked place, where a value is masked: what lies under a
    mask is no value to fit.
    """
    if not isinstance(array, np.ma.MaskedArray):
        return array
    if np.ma.is_masked(array):
        place = tuple(int(i[0]) for i in np.nonzero(np.ma.getmaskarray(array)))
        raise InputError(
            f"{name} has {int(np.ma.count_masked(array))} masked values, the first at {place}: "
            "drop these samples or targets, or fill them in (filled)"
        )
    return array.data


def unmasked(name: str, array: ArrayLike) -> NDArray[Any]:
    """Return ``array`` as an array; raise as `without_mask`."""
    found: NDArray[Any] = np.asanyarray(without_mask(name, array))
    return found


LEAST_HELD_OUT = 3
"""Held-out samples that a correlation needs: with two it is 1 or −1 whatever they are."""


def check_held_out(n: int) -> None:
    """Raise `InputError` where n held-out samples are too few for a correlation."""
    if n < LEAST_HELD_OUT:
        raise InputError(
            f"{n} held-out sample{'s' * (n != 1)}: a correlation needs at least {LEAST_HELD_OUT}; "
            "hold out more"
        )


def _listed(alphas: Iterable[float]) -> Any:
    """Return ``alphas`` as something numpy turns into an array (a generator is not)."""
    if isinstance(alphas, np.ndarray) or not isinstance(alphas, Iterable):
        return alphas
    return list(alphas)


def check_xy(X: ArrayLike, Y: ArrayLike, *, finite: bool = True) -> None:
    """Raise `InputError` unless X (t, p) and Y (t, s) can be fitted.

    Both must be 2-D, real, of one length t ≥ 2, with at least one feature and one target. With
    ``finite`` every value is read, block-wise, and the first NaN or infinity is named by its row
    and column.
    """
    arrays = {"X": unmasked("X", X), "Y": unmasked("Y", Y)}
    for name, array in arrays.items():
        if array.ndim != 2:
            hint = f"; make it {name}[:, None]" if array.ndim == 1 else ""
            raise InputError(
                f"{name} must have two dimensions (samples first), not shape {array.shape}{hint}"
            )
        if array.dtype.kind not in "fiub":
            raise InputError(f"{name} must hold real numbers, not {array.dtype}: convert it first")
    t, p = arrays["X"].shape
    t_y, s = arrays["Y"].shape
    if t != t_y:
        raise InputError(
            f"X has {t} samples and Y has {t_y}: they must be the same samples in the same order"
        )
    if t < 2:
        raise InputError(f"{t} samples are too few: a ridge fit needs at least 2")
    if p == 0:
        raise InputError("X has no features (p = 0): give at least one column")
    if s == 0:
        raise InputError("Y has no targets (s = 0): give at least one column")
    if finite:
        for name, array in arrays.items():
            _check_finite(name, array)


def _check_finite(name: str, array: NDArray[Any]) -> None:
    if array.dtype.kind != "f":
        return
    for rows in row_blocks(array.shape[0], array.shape[1] * array.itemsize):
        block = array[rows]
        # A sum needs no temporary array and is finite whenever (overflow apart) all terms are.
        with np.errstate(all="ignore"):
            if np.isfinite(block.sum()):
                continue
        bad = ~np.isfinite(block)
        if not bad.any():
            continue
        row, column = np.unravel_index(int(bad.argmax()), bad.shape)
        raise InputError(
            f"{name} holds {block[row, column]} at row {rows.start + row}, column {column} "
            f"({int(bad.sum())} such values in rows {rows.start}–{rows.stop - 1}): "
            "drop these samples or targets, or fill them in"
        )


def constant_columns(Y: ArrayLike) -> NDArray[np.bool_]:
    """Return, for each column of Y (t, s), whether all its values are equal (never with NaN).

    Pearson's r is undefined for such a target. Only columns that are constant so far are read
    further, so ordinary data cost the first few rows.
    """
    array = np.asanyarray(Y)
    t, s = array.shape
    constant = np.ones(s, dtype=bool)
    if t == 0:
        return constant
    first = array[0]
    start, rows = 0, 8
    while start < t and constant.any():
        columns = slice(None) if constant.all() else np.flatnonzero(constant)
        block = array[start : start + rows, columns]
        constant[columns] = (block == first[columns]).all(axis=0)
        start += rows
        rows = min(2 * rows, max(8, BLOCK_BYTES // max(1, block.shape[1] * array.itemsize)))
    return constant


def check_memory(needed_bytes: int, what: str, *, available_bytes: int | None = None) -> None:
    """Raise `ResourceError` when ``what`` needs more memory than this process may still use.

    ``available_bytes`` defaults to `bench_core.machine.available_memory`, which knows the limits
    of control groups.
    """
    if available_bytes is None:
        from bench_core.machine import available_memory

        available_bytes = available_memory()
    if needed_bytes > available_bytes:
        raise ResourceError(
            f"{what} needs {readable_bytes(needed_bytes)} of memory ({needed_bytes} bytes) and "
            f"{readable_bytes(available_bytes)} ({available_bytes} bytes) are available: "
            "use a smaller scale, float32, or a problem saved in a folder"
        )
