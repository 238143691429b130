"""Reader of blocks of columns, from an array in memory or in a file, a small tile at a time.

A strided read through a memory map makes far more of the file resident than is read (the kernel
maps whole large folios), so files are read with ``pread`` into memory that is counted.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

TILE_BYTES = 2 * 2**20
"""Bytes read at a time: the copy that is centred or converted stays in the cache."""

Tile = tuple[slice, slice]


def is_mapped(Y: NDArray[Any]) -> bool:
    """Return True if Y lies in a memory-mapped file that can be read by offset."""
    return (
        isinstance(Y, np.memmap)
        and isinstance(getattr(Y, "_mmap", None), mmap.mmap)
        and getattr(Y, "filename", None) is not None
        and getattr(Y, "mode", None) == "r"
        and Y.itemsize in Y.strides
        and min(Y.strides) >= 0
    )


class ColumnReader:
    """Tiles of an array (t, s) in memory."""

    def __init__(self, Y: NDArray[Any]) -> None:
        self.Y = Y
        self.rows_first = abs(Y.strides[0]) >= abs(Y.strides[1])

    def __enter__(self) -> ColumnReader:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is held open."""

    def tiles(self, columns: slice) -> Iterator[Tile]:
        """Yield (rows, columns) that cover ``columns``, each along the order of storage."""
        t, itemsize = self.Y.shape[0], self.Y.itemsize
        if self.rows_first:
            step = max(1, TILE_BYTES // ((columns.stop - columns.start) * itemsize))
            for i in range(0, t, step):
                yield slice(i, min(i + step, t)), columns
        else:
            step = max(1, TILE_BYTES // (t * itemsize))
            for j in range(columns.start, columns.stop, step):
                yield slice(0, t), slice(j, min(j + step, columns.stop))

    def prefetch(self, columns: slice) -> None:
        """Announce that ``columns`` are read next."""

    def read(self, tile: Tile) -> NDArray[Any]:
        """Return the values of a tile: a view of memory, or a copy from a file."""
        values: NDArray[Any] = self.Y[tile]
        return values

    def sample(self, columns: slice, rows: int) -> NDArray[np.float64]:
        """Return about ``rows`` rows of ``columns``, evenly spread over the samples."""
        return np.asarray(self.Y[self.sampled(rows), columns], np.float64)

    def sampled(self, rows: int) -> slice:
        """Return the slice of about ``rows`` evenly spread rows."""
        return slice(None, None, max(1, self.Y.shape[0] // rows))


class FileColumnReader(ColumnReader):
    """Tiles of a memory-mapped array, read from its file."""

    def __init__(self, Y: np.memmap[Any, Any]) -> None:
        super().__init__(Y)
        mapping: Any = Y._mmap  # type: ignore[attr-defined]  # numpy's own name for it
        start = np.frombuffer(mapping, np.uint8).ctypes.data
        begun = Y.offset - Y.offset % mmap.ALLOCATIONGRANULARITY
        self._offset = Y.ctypes.data - start + begun
        self._name = str(Y.filename)
        self._file = os.open(self._name, os.O_RDONLY)

    def __exit__(self, *error: object) -> None:
        os.close(self._file)

    def prefetch(self, columns: slice) -> None:
        # A disk that is asked for one piece of a row after the other waits in between: of 1 MB
        # rows, 32 kB each, 260 MB/s came, and 610 MB/s when all were asked for before.
        if not hasattr(os, "posix_fadvise"):
            return
        t, itemsize = self.Y.shape[0], self.Y.itemsize
        lines, within = (slice(0, t), columns) if self.rows_first else (columns, slice(0, t))
        stride, length = max(self.Y.strides), (within.stop - within.start) * itemsize
        count = lines.stop - lines.start
        if length == stride:  # no gaps between the lines
            count, length = 1, count * length
        first = self._offset + lines.start * stride + within.start * itemsize
        for i in range(count):
            os.posix_fadvise(self._file, first + i * stride, length, os.POSIX_FADV_WILLNEED)

    def read(self, tile: Tile) -> NDArray[Any]:
        rows, columns = tile
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        if self.rows_first:
            return self._lines(shape, rows, columns, *self.Y.strides)
        return self._lines(shape[::-1], columns, rows, *self.Y.strides[::-1]).T

    def _lines(
        self, shape: tuple[int, int], lines: slice, within: slice, stride: int, itemsize: int
    ) -> NDArray[Any]:
        """Read contiguous pieces ``within`` of each line that lie ``stride`` bytes apart."""
        values = np.empty(shape, self.Y.dtype)
        first = self._offset + within.start * itemsize
        if stride == shape[1] * itemsize:
            self._into(values, first + lines.start * stride)
        else:
            for i in range(shape[0]):
                self._into(values[i], first + (lines.start + i) * stride)
        return values

    def _into(self, values: NDArray[Any], offset: int) -> None:
        left = values.reshape(-1).view(np.uint8).data
        while len(left):
            count = os.preadv(self._file, [left], offset)
            if count == 0:
                raise OSError(f"{self._name} ends {len(left)} bytes too early")
            left, offset = left[count:], offset + count

    def sample(self, columns: slice, rows: int) -> NDArray[np.float64]:
        picked = range(self.Y.shape[0])[self.sampled(rows)]
        tiles = [self.read((slice(i, i + 1), columns)) for i in picked]
        return np.concatenate(tiles).astype(np.float64)


def open_columns(Y: NDArray[Any]) -> ColumnReader:
    """Return the source of an array's tiles, to be used as a context."""
    return FileColumnReader(Y) if isinstance(Y, np.memmap) and is_mapped(Y) else ColumnReader(Y)
