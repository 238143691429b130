"""Arrays and files on nodes that share no file system with the process that fits.

What reaches a node over Dask is written to a folder of its own, so that tasks map it as they map a
shared file. Paths below the fitting process's scratch stand for paths below that folder
(`own_path`). These functions run on nodes; `bench_core.cluster.messages` calls them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.cluster.arrays import RowFile
from bench_core.errors import InputError

# (scratch of the fitting process, folder of this node) once arrays travel by messages.
_ROOTS: list[tuple[str, str]] = []

# Arrays that have arrived, by name: files by the first and the number of the columns in them.
_HELD: dict[str, dict[tuple[int, int], RowFile]] = {}

# Rows that tasks have written here, by the file that they are to be in: first row, and the file.
_PARTS: dict[str, list[tuple[int, RowFile]]] = {}


@dataclass(frozen=True)
class SentArray:
    """Array that has travelled to nodes: what a task opens, like an `ArrayRef`.

    Examples
    --------
    >>> SentArray("y-1", (100, 7), "<f8").nbytes
    5600
    """

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array."""
        return int(np.prod(self.shape)) * np.dtype(self.dtype).itemsize

    def open(self) -> NDArray[Any]:
        """Map the whole array read-only; raise `InputError` where this node has a part of it."""
        return self.columns(0, self.shape[1])

    def columns(self, start: int, stop: int) -> NDArray[Any]:
        """Map columns start … stop − 1; raise `InputError` where this node has not got them."""
        for (first, count), file in _HELD.get(self.name, {}).items():
            if first <= start and stop <= first + count:
                whole: NDArray[Any] = np.load(file.path, mmap_mode="r")
                return whole[:, start - first : stop - first]
        raise InputError(f"columns {start} to {stop} of {self.name} were not sent to this node")


class SentRows(RowFile):
    """Rows that nodes keep until `bench_core.cluster.messages` fetches them into the file."""

    def write(self, first: int, rows: NDArray[Any]) -> None:
        """Keep ``rows`` (n × columns) on this node, as those from row ``first`` on."""
        shape = (len(rows), self.shape[1])
        part = RowFile.create(Path(_ROOTS[-1][1]), shape, np.dtype(self.dtype))
        part.write(0, rows)
        _PARTS.setdefault(self.path, []).append((first, part))


def open_folder(scratch: str | None, dask_worker: Any) -> str:
    """Make this node's folder, which stands for ``scratch``; None: it stands for none."""
    close_folder()
    folder = tempfile.mkdtemp(prefix="ridgebench-", dir=dask_worker.local_directory)
    _ROOTS.append((scratch or folder, folder))
    return folder


def close_folder() -> None:
    """Remove this node's folder and forget what is in it."""
    _HELD.clear()
    _PARTS.clear()
    while _ROOTS:
        shutil.rmtree(_ROOTS.pop()[1], ignore_errors=True)


def own_path(path: str | Path) -> Path:
    """Return where ``path`` is in this process: the same, unless this node has its own folder."""
    for scratch, folder in _ROOTS:
        if Path(path).is_relative_to(scratch):
            found = Path(folder) / Path(path).relative_to(scratch)
            found.parent.mkdir(parents=True, exist_ok=True)
            return found
    return Path(path)


def receive(
    name: str, shape: tuple[int, int], dtype: str, column: int, row: int, block: NDArray[Any]
) -> None:
    """Write rows of columns that arrive, the first of which is number ``column`` of the array."""
    parts, key = _HELD.setdefault(name, {}), (column, shape[1])
    if key not in parts:
        parts[key] = RowFile.create(Path(_ROOTS[-1][1]), shape, np.dtype(dtype))
    parts[key].write(row, block)


def forget(name: str) -> None:
    """Remove an array that has arrived."""
    for file in _HELD.pop(name, {}).values():
        file.remove()


def kept_rows(path: str) -> list[tuple[int, int]]:
    """Return the first row and the number of rows of every part that this node keeps."""
    return [(first, part.shape[0]) for first, part in _PARTS.get(path, [])]


def read_rows(path: str, part: int, start: int, stop: int) -> NDArray[Any]:
    """Return rows start … stop − 1 of a part that this node keeps."""
    whole: NDArray[Any] = np.load(_PARTS[path][part][1].path, mmap_mode="r")
    return np.array(whole[start:stop])


def drop_rows(path: str) -> None:
    """Remove the parts of a file that this node keeps."""
    for _, part in _PARTS.pop(path, []):
        part.remove()


def files_in(folder: str) -> dict[str, int]:
    """Return the names and sizes of the files in a folder."""
    found = own_path(folder)
    if not found.is_dir():
        return {}
    return {path.name: path.stat().st_size for path in found.iterdir() if path.is_file()}


def read_piece(path: str, offset: int, size: int) -> NDArray[np.uint8]:
    """Return bytes of a file."""
    return np.fromfile(own_path(path), np.uint8, size, offset=offset)


def write_piece(path: str, offset: int, piece: NDArray[np.uint8]) -> None:
    """Write bytes to a file, which is made where it is absent."""
    file = os.open(own_path(path), os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        written = 0
        view = np.ascontiguousarray(piece).data
        while written < len(view):
            written += os.pwrite(file, view[written:], offset + written)
    finally:
        os.close(file)


def matches(path: str, size: int, modified_ns: int) -> bool:
    """Return whether this process sees the file with that size and time of change."""
    try:
        status = os.stat(path)
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (size, modified_ns)
