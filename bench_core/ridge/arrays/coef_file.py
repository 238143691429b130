"""Memory and files for coefficients; a ``.npy`` file is complete under its name or absent."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bench_core.disk import check_space
from bench_core.errors import InputError
from bench_core.leftovers import partial_name
from bench_core.npy import create_npy, write_rows

REMEDY = "free some, choose another folder, or coef=None"

LARGE = 2**28
"""Bytes from which on an array is mapped by itself, in pages of the system's usual size."""


def fresh_memory(shape: tuple[int, int], dtype: DTypeLike) -> NDArray[Any]:
    """Return an uninitialised array of ``shape``, of ordinary pages when it is large.

    numpy asks for huge pages. Coefficients are written once, in order, so that they gain nothing
    by them, and clearing two megabytes at a time cost 1.2 to 1.7 s per gigabyte on a virtual
    machine, against 0.5 to 0.7 s for ordinary pages: a tenth of the whole fit.
    """
    kind = np.dtype(dtype)
    size = shape[0] * shape[1] * kind.itemsize
    if size < LARGE or not hasattr(mmap, "MAP_ANONYMOUS"):
        return np.empty(shape, kind)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return np.frombuffer(memory, kind).reshape(shape)


def check_given(
    out: Any, shape: tuple[int, ...], dtype: np.dtype[Any], read: Iterable[NDArray[Any]]
) -> None:
    """Raise `InputError` unless coefficients can be written into the caller's array ``out``.

    read : arrays that are read while coefficients are written.
    """
    if not isinstance(out, np.ndarray):
        raise InputError(f"out is a {type(out).__name__}: give a numpy array of shape {shape}")
    if out.shape != shape or out.dtype != dtype:
        raise InputError(
            f"out has shape {out.shape} and type {out.dtype}: these coefficients have shape "
            f"{shape} and type {dtype}"
        )
    if not out.flags.c_contiguous:
        raise InputError(f"out is not C-contiguous: give one as numpy.empty({shape}, '{dtype}')")
    if not out.flags.writeable:
        raise InputError("out is read-only: give an array that can be written")
    if any(np.may_share_memory(out, array) for array in read):
        raise InputError("out shares memory with X or y, which are still read: give another")


class CoefFile:
    """Context in which rows of a (s, p) array are written in order to a new ``.npy`` file.

    The file appears under ``path`` when the context ends well and all rows are there. On an
    error or an interruption what was written is removed and an older file of that name stays.
    Its space is reserved on entry. Raises `InputError` when the folder does not exist,
    `ResourceError` when its disk is too full.
    """

    def __init__(self, path: str | os.PathLike[str], shape: tuple[int, int], dtype: DTypeLike):
        self.path = Path(path)
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._rows = 0
        if self.path.suffix != ".npy":
            raise InputError(f"coefficient file {str(path)!r} must end in .npy")
        if not self.path.parent.is_dir():
            raise InputError(f"folder {str(self.path.parent)!r} does not exist: create it first")
        needed = shape[0] * shape[1] * self.dtype.itemsize
        check_space(self.path, needed, REMEDY)

    def __enter__(self) -> CoefFile:
        self._temporary = partial_name(self.path)
        try:
            self._file, self._offset = create_npy(
                self._temporary, self.shape, self.dtype, remedy=REMEDY
            )
        except BaseException:
            self._temporary.unlink(missing_ok=True)
            raise
        return self

    def write(self, rows: NDArray[Any]) -> None:
        """Append coefficients (b, p) of the next b targets."""
        block = np.ascontiguousarray(rows, self.dtype)
        row_bytes = self.shape[1] * self.dtype.itemsize
        write_rows(self._file, self._offset, row_bytes, self._rows, block, self.path)
        self._rows += rows.shape[0]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        complete = kind is None and self._rows == self.shape[0]
        try:
            if complete:
                os.fsync(self._file)
            os.close(self._file)
            if complete:
                os.replace(self._temporary, self.path)
        finally:
            self._temporary.unlink(missing_ok=True)
        if kind is None and not complete:
            raise RuntimeError(f"{self._rows} of {self.shape[0]} rows of coefficients were written")
