"""Arrays that processes exchange by file rather than by pickle."""

from __future__ import annotations

import contextlib
import mmap
import os
import weakref
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench_core.errors import InputError
from bench_core.leftovers import tag
from bench_core.npy import create_npy, save_array, write_rows

# Open mappings of this process: a new mapping would have to fault in every page again.
_OPEN: dict[ArrayRef, np.memmap[Any, Any]] = {}

# Files that this process wrote for arrays in memory.
_WRITTEN: set[str] = set()

# Rows are written in blocks of about this size, so that no second copy of all of them is made.
_BLOCK_BYTES = 64 * 2**20

_REMEDY = "free some, or name another folder for scratch (scratch=…, or the variable TMPDIR)"


@dataclass(frozen=True)
class ArrayRef:
    """Array on disk: its file and how to map it. Small, picklable and hashable.

    Attributes
    ----------
    path, offset : the file, and the byte of the array's first element.
    shape, dtype, order : as for `numpy.memmap`; ``dtype`` in numpy's string form.
    stamp : inode, modification time in ns and size of the file when it was shared, which tell a
        replaced file from the shared one.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ref = share_array(np.arange(6.0).reshape(2, 3), Path(folder))
    ...     ref.shape, ref.nbytes, float(ref.open().sum())
    ((2, 3), 48, 15.0)
    """

    path: str
    offset: int
    shape: tuple[int, ...]
    dtype: str
    order: Literal["C", "F"]
    stamp: tuple[int, int, int]

    @property
    def nbytes(self) -> int:
        """Bytes of the array."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize

    def open(self) -> np.memmap[Any, Any]:
        """Map the array read-only; one process maps it once and keeps it.

        Raises
        ------
        InputError : the file is gone or too short.
        """
        if self not in _OPEN:
            for ref in [ref for ref in _OPEN if not os.path.exists(ref.path)]:
                del _OPEN[ref]
            # A copy as the key: the file goes when the reference that was handed out does.
            _OPEN[replace(self)] = self._map()
        return _OPEN[self]

    def columns(self, start: int, stop: int) -> NDArray[Any]:
        """Map columns start … stop − 1 of a two-dimensional array, as `open` does."""
        part: NDArray[Any] = self.open()[:, start:stop]
        return part

    def _map(self) -> np.memmap[Any, Any]:
        try:
            return np.memmap(
                self.path, np.dtype(self.dtype), "r", self.offset, self.shape, self.order
            )
        except (OSError, ValueError) as error:
            raise InputError(
                f"cannot map the shared array {self.path} ({error}): keep the file in place "
                "while a fit uses it, on a file system that every node sees"
            ) from error


def share_array(array: ArrayLike, scratch: Path) -> ArrayRef:
    """Return a reference to ``array`` by file.

    A mapped file, or a contiguous part of one, is shared without a copy. Any other array is
    written to ``scratch`` once; the file is removed with the reference.

    Raises
    ------
    InputError : the array holds Python objects.
    ResourceError : scratch lacks the space.
    """
    values = np.asanyarray(array)
    if values.dtype.hasobject:
        raise InputError(f"an array of dtype {values.dtype} cannot be shared: convert it to float")
    ref = _by_own_file(values)
    if ref is None:
        path = scratch / f"array-{tag()}.npy"
        save_array(path, values, remedy=_REMEDY)
        ref = _by_own_file(np.load(path, mmap_mode="r"))
        assert ref is not None
        _WRITTEN.add(ref.path)
        weakref.finalize(ref, _remove, ref.path)
    return ref


def release(ref: ArrayRef) -> None:
    """Remove the file if it was written for the reference; a mapped file stays."""
    if ref.path in _WRITTEN:
        _remove(ref.path)


def _remove(path: str) -> None:
    _WRITTEN.discard(path)
    Path(path).unlink(missing_ok=True)


def _by_own_file(array: NDArray[Any]) -> ArrayRef | None:
    """Return the reference to the file that ``array`` maps, None for an array in memory."""
    contiguous: Literal["C", "F"] | None = (
        "C" if array.flags.c_contiguous else "F" if array.flags.f_contiguous else None
    )
    mapped, mapping = _mapping(array)
    if mapped is None or contiguous is None or array.size == 0 or mapped.mode == "c":
        return None
    path = mapped.filename
    if path is None or not os.path.exists(path):
        return None
    if array.flags.writeable:
        mapped.flush()
    # A view keeps the offset of the array that was mapped first, so count from the mapping itself,
    # which starts at a multiple of the allocation granularity.
    start = mapped.offset - mapped.offset % mmap.ALLOCATIONGRANULARITY
    first = np.frombuffer(mapping, dtype=np.uint8).ctypes.data
    stat = os.stat(path)
    ref = ArrayRef(
        path=os.path.realpath(path),
        offset=start + array.ctypes.data - first,
        shape=array.shape,
        dtype=array.dtype.str,
        order=contiguous,
        stamp=(stat.st_ino, stat.st_mtime_ns, stat.st_size),
    )
    return ref if _is_still(ref, array) else None


def _mapping(array: NDArray[Any]) -> tuple[np.memmap[Any, Any] | None, Any]:
    """Return the `numpy.memmap` that ``array`` is a view of, and its ``mmap.mmap``."""
    mapped: np.memmap[Any, Any] | None = None
    base: Any = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            mapped = base
        base = base.base
    return (mapped, base) if isinstance(base, mmap.mmap) else (None, None)


def forget_pages(array: NDArray[Any]) -> bool:
    """Release the memory of the pages that a mapped file occupies; the file keeps its values.

    Returns whether ``array`` is a mapped file; nothing is done to any other array.
    """
    mapped, mapping = _mapping(array)
    if mapped is None:
        return False
    # Not of a copy-on-write map, which would lose what was written to it.
    if mapped.mode in ("r", "r+") and hasattr(mmap, "MADV_DONTNEED"):
        with contextlib.suppress(OSError, ValueError):  # advice only
            mapping.madvise(mmap.MADV_DONTNEED)
    return True


def _is_still(ref: ArrayRef, array: NDArray[Any]) -> bool:
    """Return whether the file still holds the array; it may have been replaced since."""
    try:
        stored = ref._map()
    except InputError:
        return False
    ends = [(0,) * array.ndim, (-1,) * array.ndim, tuple(n // 2 for n in array.shape)]
    return all(stored[at].tobytes() == array[at].tobytes() for at in ends)


@dataclass(frozen=True)
class RowFile:
    """Two-dimensional ``.npy`` file whose rows several processes fill, each its own.

    Its space is reserved and ordinary writes are used: a full disk is an error rather than a
    signal that kills the process, and other machines of a network file system see the rows once
    the file is closed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = RowFile.create(Path(folder), (2, 3), np.dtype("float64"))
    ...     file.write(1, np.ones((1, 3)))
    ...     float(file.detach().sum())
    3.0
    """

    path: str
    offset: int
    shape: tuple[int, int]
    dtype: str
    kept: bool = False

    @classmethod
    def create(cls, folder: Path, shape: tuple[int, int], dtype: np.dtype[Any]) -> RowFile:
        """Create the file with room for ``shape``; raise `ResourceError` for too little disk."""
        path = folder / f"rows-{tag()}.npy"
        try:
            file, offset = create_npy(path, shape, dtype, remedy=_REMEDY)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        os.close(file)
        return cls(str(path), offset, shape, dtype.str)

    @classmethod
    def reopen(cls, path: Path, shape: tuple[int, int], dtype: np.dtype[Any]) -> RowFile:
        """Return the file ``path`` with the rows that are in it, created where it is missing.

        Raises `ResourceError` for too little disk.
        """
        file, offset = create_npy(path, shape, dtype)
        os.close(file)
        return cls(str(path), offset, shape, dtype.str, kept=True)

    def write(self, first: int, rows: NDArray[Any]) -> None:
        """Store ``rows`` (n × columns), converted to the file's dtype, from row ``first`` on."""
        columns = self.shape[1]
        row_bytes = columns * np.dtype(self.dtype).itemsize
        assert rows.shape[1] == columns
        assert 0 <= first <= first + len(rows) <= self.shape[0]
        step = max(1, _BLOCK_BYTES // row_bytes)
        file = os.open(self.path, os.O_WRONLY)
        try:
            for start in range(0, len(rows), step):
                block = np.ascontiguousarray(rows[start : start + step], dtype=self.dtype)
                write_rows(file, self.offset, row_bytes, first + start, block, Path(self.path))
        finally:
            os.close(file)

    def detach(self) -> np.memmap[Any, Any]:
        """Return the rows, mapped read-only, and unlink the file; it lives as long as the array.

        A file that is ``kept`` stays.
        """
        rows: np.memmap[Any, Any] = np.load(self.path, mmap_mode="r")
        self.remove()
        return rows

    def remove(self) -> None:
        """Delete the file, if it exists, unless it is ``kept``."""
        if not self.kept:
            Path(self.path).unlink(missing_ok=True)
