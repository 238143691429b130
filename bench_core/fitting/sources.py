"""Sources of X and Y: a problem's name, a problem folder, or two array files.

Array files are ``.npy`` or ``FILE.h5:DATASET`` (``.mat`` of version 7.3 too). They are mapped into
memory where their layout allows, else copied once, block by block, into a ``.npy`` file on scratch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.checks import check_xy, row_blocks
from bench_core.data import Problem, make, names, shape
from bench_core.disk import check_space
from bench_core.errors import InputError, install_command, unknown
from bench_core.npy import create_npy, write_rows
from bench_core.progress import Progress, silent

HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf", ".he5", ".mat")
COPY_BYTES = 32 * 2**20
REMEDY = "free some, or name another folder for scratch (--scratch, RIDGEBENCH_SCRATCH)"


@dataclass(frozen=True)
class ProblemSource:
    """A problem to fit, as the user names it.

    problem : name or folder, None where ``x`` and ``y`` name array files. ``runs`` is a file with
    the run of every sample. scale, subject, seed, dtype : of named problems.
    """

    problem: str | None = None
    x: str | None = None
    y: str | None = None
    runs: str | None = None
    scale: float = 1.0
    subject: str = "sub-01"
    seed: int = 0
    dtype: str = "float64"

    def __post_init__(self) -> None:
        files = (self.x, self.y)
        if self.problem is not None and any(files):
            raise InputError(f"give a problem ({self.problem}) or --x and --y, not both")
        if self.problem is None and not all(files):
            raise InputError("give a problem (a name or a folder), or both --x and --y")
        if self.runs is not None and self.problem is not None:
            raise InputError("--runs goes with --x and --y: a problem has its own runs")

    @property
    def named(self) -> bool:
        """True for the name of a problem, which is then made."""
        return self.problem in names()

    def open(
        self, scratch: Path, progress: Progress = silent, *, split_copied: bool = False
    ) -> Problem:
        """Return the problem, its arrays mapped; what has to be written goes to ``scratch``.

        Parameters
        ----------
        split_copied : the split will copy all rows to ``scratch`` too, which has to have the room.

        Raises
        ------
        InputError : a file is missing, damaged, of the wrong shape, or was never written in part.
        UnknownNameError : no problem has this name.
        ResourceError : the disk of ``scratch`` lacks the room.
        """
        if self.problem is None:
            return self._of_files(scratch, progress, split_copied)
        if self.named:
            size = shape(self.problem, scale=self.scale, subject=self.subject)
            needed = size.nbytes(self.dtype) * (1 + split_copied)
            check_space(scratch / self.problem, needed, REMEDY)
            progress("making the problem")
            return make(
                self.problem,
                scale=self.scale,
                subject=self.subject,
                seed=self.seed,
                dtype=self.dtype,
                folder=scratch / "problem",
            )
        if not Path(self.problem).is_dir():
            if "/" in self.problem:
                raise InputError(f"there is no problem folder {self.problem}: see `problem make`")
            raise unknown("problem", self.problem, names())
        return Problem.open(self.problem)

    def _of_files(self, scratch: Path, progress: Progress, split_copied: bool) -> Problem:
        assert self.x is not None
        assert self.y is not None
        arrays = {"x": open_array(self.x), "y": open_array(self.y)}
        for name, array in arrays.items():
            if len(array.shape) != 2:
                raise InputError(
                    f"--{name} {getattr(self, name)} has shape {tuple(array.shape)}: give two "
                    "dimensions, samples × " + ("features" if name == "x" else "targets")
                )
            if array.dtype.kind not in "fiub":
                raise InputError(
                    f"--{name} {getattr(self, name)} holds {array.dtype}: give real numbers"
                )
        single = all(array.dtype == np.float32 for array in arrays.values())
        dtype = np.dtype(np.float32 if single else np.float64)
        if arrays["x"].shape[0] != arrays["y"].shape[0]:
            raise InputError(
                f"{self.x} has {arrays['x'].shape[0]} samples and {self.y} has "
                f"{arrays['y'].shape[0]}: give the same number"
            )
        if copied := [a for a in arrays.values() if not is_mapped(a, dtype)]:
            whole = sum(map(_size, arrays.values())) * dtype.itemsize
            needed = sum(map(_size, copied)) * dtype.itemsize + whole * split_copied
            check_space(scratch / "x.npy", needed, REMEDY)
        X, Y = (
            as_mapped(array, dtype, scratch / f"{name}.npy", progress)
            for name, array in arrays.items()
        )
        check_xy(X, Y, finite=False)
        runs = np.ones(len(X), np.int32) if self.runs is None else open_runs(self.runs, len(X))
        return Problem(X, Y, runs, name=Path(self.y.partition(":")[0]).stem)


def is_hdf5(path: Path) -> bool:
    """Return whether the name is one of an HDF5 file."""
    return path.suffix.lower() in HDF5_SUFFIXES


def open_array(text: str) -> Any:
    """Return the array that ``text`` names: mapped where possible, else an `Hdf5Array`.

    Raises `InputError` for a file or dataset that is not there or cannot be read.
    """
    name, colon, dataset = text.rpartition(":")
    if colon and is_hdf5(Path(name)):
        return _open_hdf5(Path(name), dataset)
    path = Path(text)
    if is_hdf5(path):
        raise InputError(f"{text}: name the dataset, as in {text}:{_example(path)}")
    if path.suffix != ".npy":
        raise InputError(f"{text}: give a .npy file, or FILE.h5:DATASET")
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise InputError(f"{text} cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError) as error:
        raise InputError(f"{text} is damaged or cut short ({error}): copy it again") from None


def _open_hdf5(path: Path, dataset: str) -> Any:
    _needs_h5py(path)
    from bench_core.data.hdf5 import open_dataset

    return open_dataset(path, dataset)


def _needs_h5py(path: Path) -> None:
    if find_spec("h5py") is None:
        raise InputError(f"{path} needs h5py: {install_command('brain')}")


def _example(path: Path) -> str:
    """Return the name of a dataset of the file, to show how one is named."""
    _needs_h5py(path)
    from bench_core.data.hdf5 import dataset_names

    return next(iter(dataset_names(path)), "DATASET")


def is_mapped(array: Any, dtype: np.dtype[Any]) -> bool:
    """Return whether ``array`` is a mapped file of this ``dtype``, which needs no copy."""
    return isinstance(array, np.memmap) and array.dtype == dtype and array.dtype.isnative


def as_mapped(array: Any, dtype: np.dtype[Any], path: Path, progress: Progress) -> NDArray[Any]:
    """Return ``array`` if it is a mapped file of this ``dtype``, else its copy at ``path``.

    Raises `ResourceError` where the disk lacks the space.
    """
    if is_mapped(array, dtype):
        found: NDArray[Any] = array
        return found
    progress(f"copying {path.stem} as {dtype}")
    path.parent.mkdir(parents=True, exist_ok=True)
    t, n = array.shape
    file, offset = create_npy(path, (t, n), dtype, remedy=REMEDY)
    try:
        for rows, columns, values in _blocks(array):
            block = np.ascontiguousarray(values, dtype)
            if columns == slice(0, n):
                write_rows(file, offset, n * dtype.itemsize, rows.start, block, path)
                continue
            for i, row in enumerate(block, rows.start):
                at = offset + (i * n + columns.start) * dtype.itemsize
                write_rows(file, at, 0, 0, row, path)
    finally:
        os.close(file)
    mapped: NDArray[Any] = np.load(path, mmap_mode="r")
    return mapped


def _blocks(array: Any) -> Iterator[tuple[slice, slice, NDArray[Any]]]:
    """Yield (rows, columns, values) of an array that is mapped, or read from HDF5 by chunks."""
    if not isinstance(array, np.ndarray):
        yield from array.blocks(COPY_BYTES)
        return
    for rows in row_blocks(array.shape[0], array.shape[1] * array.itemsize, COPY_BYTES):
        yield rows, slice(0, array.shape[1]), array[rows]


def open_runs(text: str, t: int) -> NDArray[Any]:
    """Return the run of every sample (t,) from a ``.npy`` file or a text file of whole numbers."""
    path = Path(text)
    try:
        runs = np.load(path) if path.suffix == ".npy" else np.loadtxt(path, dtype=np.int64, ndmin=1)
    except (OSError, ValueError) as error:
        raise InputError(f"--runs {text} cannot be read as whole numbers: {error}") from None
    if runs.shape != (t,) or runs.dtype.kind not in "iu":
        raise InputError(
            f"--runs {text} holds {runs.dtype} of shape {runs.shape}: give {t} whole numbers, one "
            "for each sample"
        )
    found: NDArray[Any] = runs
    return found


def _size(array: Any) -> int:
    return int(array.shape[0]) * int(array.shape[1])
