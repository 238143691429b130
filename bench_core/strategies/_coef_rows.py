"""The file of coefficients that nodes fill by rows: on scratch, or where a caller wants it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bench_core.cluster import RowFile
from bench_core.errors import InputError
from bench_core.files import link_or_copy

if TYPE_CHECKING:
    from bench_core.cluster import Cluster


def open_rows(
    cluster: Cluster, coef: str | None, shape: tuple[int, int], dtype: DTypeLike
) -> RowFile:
    """Return a new file of ``shape`` (s, p) for nodes to fill.

    coef : a path ending in .npy that every node sees; None for scratch.

    Raises `InputError` for another path, `ResourceError` for too little disk.
    """
    if coef is None or _on_disk(cluster):
        return cluster.rows(shape, dtype)
    path = Path(coef)
    if path.suffix != ".npy" or not path.parent.is_dir():
        raise InputError(
            f"coef = {str(path)!r}: give a file ending in .npy in a folder that exists, or None"
        )
    return cluster.rows(shape, dtype, path.parent)


def keep_rows(rows: RowFile, coef: str | None) -> NDArray[Any]:
    """Return the whole file, mapped read-only; it goes with the array unless ``coef`` names it."""
    if coef is None:
        return rows.detach()
    if rows.kept:  # until the results are whole, under both names
        link_or_copy(Path(rows.path), Path(coef))
    else:
        os.replace(rows.path, coef)
    found: NDArray[Any] = np.load(coef, mmap_mode="r")
    return found


def float_dtype(dtype: DTypeLike) -> np.dtype[Any]:
    """Return the floating-point type in which values of ``dtype`` are fitted."""
    found = np.dtype(dtype)
    return found if found in (np.float32, np.float64) else np.dtype(np.float64)


def _on_disk(cluster: Cluster) -> bool:
    """Return whether finished batches are kept on disk, where a later process finds them."""
    return cluster.recovery is not None and cluster.recovery.ledger.folder is not None
