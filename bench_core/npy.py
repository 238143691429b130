"""``.npy`` files whose space is reserved before they are filled, by ordinary writes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import ArrayLike, NDArray

from bench_core.disk import REMEDY, full_disk, reserve, write_at

HEADER_BYTES = 4096
"""Bytes on the disk, a block of it, that the header of a file takes at most."""

BLOCK_BYTES = 64 * 2**20
"""Bytes that are written at once, so that no second copy of an array is made."""


def create_npy(
    path: Path,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    *,
    fortran: bool = False,
    remedy: str = REMEDY,
) -> tuple[int, int]:
    """Create ``path`` for an array; return the open file and the byte of its first element.

    A file that exists keeps its content. Raises `ResourceError` for too little disk.
    """
    size = int(np.prod(shape)) * dtype.itemsize
    header = {"descr": npy.dtype_to_descr(dtype), "fortran_order": fortran, "shape": shape}
    with full_disk(path, size, remedy):
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            with open(os.dup(file), "r+b") as stream:
                npy.write_array_header_1_0(stream, header)
                offset = stream.tell()
            reserve(file, offset + size, path, remedy)
        except BaseException:
            os.close(file)
            raise
    return file, offset


def write_rows(
    file: int, offset: int, row_bytes: int, first: int, rows: NDArray[Any], path: Path
) -> None:
    """Write contiguous ``rows`` of ``row_bytes`` each from row ``first`` on."""
    data = rows.reshape(-1).view(np.uint8).data
    write_at(file, data, offset + first * row_bytes, path)


def save_array(path: Path, array: ArrayLike, *, remedy: str = REMEDY) -> None:
    """Write an array to the new file ``path``, as `numpy.save` does; nothing stays on an error.

    Raises
    ------
    ResourceError : the disk lacks the space; it names the file, what it needs and what is free.
    """
    values = np.asanyarray(array)
    fortran = values.flags.f_contiguous and not values.flags.c_contiguous
    lines = np.atleast_1d(values.T if fortran else values)
    path.unlink(missing_ok=True)
    try:
        file, offset = create_npy(path, values.shape, values.dtype, fortran=fortran, remedy=remedy)
        try:
            row_bytes = int(np.prod(lines.shape[1:])) * values.itemsize
            step = max(1, BLOCK_BYTES // max(1, row_bytes))
            for start in range(0, len(lines) if row_bytes else 0, step):
                block = np.ascontiguousarray(lines[start : start + step])
                write_rows(file, offset, row_bytes, start, block, path)
        finally:
            os.close(file)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
