"""A problem on disk: a folder of ``.npy`` files and one ``problem.json`` that describes them.

The folder appears whole or not at all: everything is written into a hidden sibling folder, which
is renamed at the end. Opening reads no data: sizes and headers are compared with the description
and the arrays are mapped into memory, so that processes of one node share their pages.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike, NDArray

from bench_core.disk import check_space, full_disk
from bench_core.errors import InputError
from bench_core.files import make_partial_folder, publish_folder
from bench_core.leftovers import bytes_in
from bench_core.npy import create_npy, write_rows

SCHEMA = "ridgebench-problem/1"
DESCRIPTION = "problem.json"
REMEDY = "free some, choose another disk, or use a smaller scale or float32"


class FolderWriter:
    """Writer of arrays of known size into a new folder, block by block and from any thread.

    A context manager: `put` blocks of rows, then `commit`. Without `commit`, or after an
    exception, nothing remains.

    Parameters
    ----------
    folder : the folder to create; it must not exist.
    arrays : name → (shape, dtype) of every ``NAME.npy``.
    description : further content of the description file; anything that JSON can hold.
    """

    schema = SCHEMA
    description_file = DESCRIPTION

    def __init__(
        self,
        folder: Path,
        arrays: Mapping[str, tuple[tuple[int, ...], DTypeLike]],
        description: Mapping[str, Any],
    ):
        self._folder = Path(folder)
        try:
            json.dumps(description)
        except TypeError as error:
            raise InputError(
                f"the description of {folder} cannot be written as JSON: {error}"
            ) from error
        self._description = description
        self._specs = {name: (shape, np.dtype(dtype)) for name, (shape, dtype) in arrays.items()}
        self._files: dict[str, int] = {}
        self._offsets: dict[str, int] = {}
        self._partial: Path | None = None

    def __enter__(self) -> Self:
        if self._folder.exists():
            raise InputError(f"{self._folder} exists already: choose another folder or remove it")
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        self._partial = self._begin()
        needed = sum(int(np.prod(s)) * d.itemsize for s, d in self._specs.values())
        try:
            # What an earlier attempt wrote is there already.
            check_space(self._folder, needed - bytes_in(self._partial), REMEDY)
            for name, (shape, dtype) in self._specs.items():
                path = self._partial / f"{name}.npy"
                self._files[name], self._offsets[name] = create_npy(
                    path, shape, dtype, remedy=REMEDY
                )
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _begin(self) -> Path:
        """Return the folder to write into."""
        return make_partial_folder(self._folder)

    def put(self, name: str, start: int, block: NDArray[Any]) -> None:
        """Write ``block`` as the rows from ``start`` on of array ``name``, converting its dtype."""
        shape, dtype = self._specs[name]
        row_bytes = int(np.prod(shape[1:])) * dtype.itemsize
        rows = np.ascontiguousarray(block, dtype=dtype)
        path = self._folder / f"{name}.npy"
        write_rows(self._files[name], self._offsets[name], row_bytes, start, rows, path)

    def commit(self) -> None:
        """Add the description and give the folder its name; raise `InputError` if that is taken."""
        assert self._partial is not None
        arrays = {
            name: {
                "shape": list(shape),
                "dtype": npy.dtype_to_descr(dtype),
                "bytes": os.fstat(self._files[name]).st_size,
            }
            for name, (shape, dtype) in self._specs.items()
        }
        self._close()
        text = json.dumps({"schema": self.schema, **self._description, "arrays": arrays}, indent=1)
        with full_disk(self._folder / self.description_file, len(text), REMEDY):
            (self._partial / self.description_file).write_text(text + "\n", encoding="utf-8")
        try:
            publish_folder(self._partial, self._folder)
        except FileExistsError as error:
            raise InputError(str(error)) from error
        self._partial = None

    def _close(self) -> None:
        for file in self._files.values():
            os.close(file)
        self._files.clear()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
        if self._partial is not None:
            self._abandon(self._partial)

    def _abandon(self, partial: Path) -> None:
        """Remove the unfinished folder; a subclass may keep it."""
        shutil.rmtree(partial)


def read_folder(
    folder: Path,
    *,
    schema: str = SCHEMA,
    description_file: str = DESCRIPTION,
    remedy: str = "make one with `ridgebench problem make`",
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the description and the read-only memory-mapped arrays of a folder.

    Raises `InputError` when the folder, its description or an array is missing, written by another
    version, or not of the size described (a copy that was cut short).
    """
    folder = Path(folder)
    path = folder / description_file
    if not path.is_file():
        what = "has no" if folder.is_dir() else "is not a folder with a"
        raise InputError(f"{folder} {what} {description_file}: {remedy}")
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        found, listed = description["schema"], description["arrays"]
        arrays = {name: (tuple(a["shape"]), a["dtype"], a["bytes"]) for name, a in listed.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged ({error}): make or copy it again") from error
    if found != schema:
        raise InputError(f"{path} has schema {found!r}, not {schema!r}: make it again")
    return description, {
        name: _mapped(folder / f"{name}.npy", *array) for name, array in arrays.items()
    }


def _mapped(path: Path, shape: tuple[int, ...], dtype: str, size: int) -> NDArray[Any]:
    again = "make or copy it again"
    if not path.is_file():
        raise InputError(f"{path} is missing: {again}")
    found = path.stat().st_size
    if found != size:
        raise InputError(f"{path} has {found} bytes instead of {size}: {again}")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f"{path} is damaged ({error}): {again}") from error
    if array.shape != shape or array.dtype != np.dtype(dtype):
        raise InputError(
            f"{path} holds {array.shape} {array.dtype}, not {shape} {np.dtype(dtype)}: {again}"
        )
    return array
