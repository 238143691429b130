"""Sources of X and Y: a problem's name, a problem folder, or two array files.

Array files are ``.npy`` or ``FILE.h5:DATASET``. They are mapped into memory where their layout
allows, else copied once, block by block, into a ``.npy`` file on scratch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.checks import check_xy, row_blocks
from bench_core.data import Problem, make, names
from bench_core.errors import InputError, unknown
from bench_core.progress import Progress, silent

HDF5_SUFFIXES = (".h5", ".hdf5", ".hdf", ".he5")
COPY_BYTES = 32 * 2**20


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

    def open(self, scratch: Path, progress: Progress = silent) -> Problem:
        """Return the problem, its arrays mapped; what has to be written goes to ``scratch``.

        Raises `InputError` for a file that is missing, damaged or of the wrong shape,
        `UnknownNameError` for a name that no problem has.
        """
        if self.problem is None:
            return self._of_files(scratch, progress)
        if self.named:
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

    def _of_files(self, scratch: Path, progress: Progress) -> Problem:
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
        X, Y = (
            as_mapped(array, dtype, scratch / f"{name}.npy", progress)
            for name, array in arrays.items()
        )
        check_xy(X, Y, finite=False)
        runs = np.ones(len(X), np.int32) if self.runs is None else open_runs(self.runs, len(X))
        return Problem(X, Y, runs, name=Path(self.y.partition(":")[0]).stem)


def open_array(text: str) -> Any:
    """Return the array that ``text`` names: mapped where possible, else an h5py dataset.

    Raises `InputError` for a file or dataset that is not there or cannot be read.
    """
    name, colon, dataset = text.rpartition(":")
    if colon and Path(name).suffix in HDF5_SUFFIXES:
        return _open_hdf5(Path(name), dataset)
    path = Path(text)
    if path.suffix in HDF5_SUFFIXES:
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
    try:
        import h5py
    except ImportError:
        raise InputError(f"{path} needs h5py: pip install 'ridgebench[brain]'") from None
    if not path.is_file():
        raise InputError(f"{path} cannot be read: there is no such file")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{path} is no HDF5 file, or damaged ({error}): copy it again") from None
    known = _datasets(file)
    if dataset.strip("/") not in known:
        raise unknown(f"dataset of {path}", dataset, known)
    found = file[dataset]
    offset = found.id.get_offset()
    if found.chunks is None and offset is not None and found.size:
        return np.memmap(path, found.dtype, "r", offset, found.shape)
    return found


def _datasets(file: Any) -> list[str]:
    import h5py

    known: list[str] = []
    file.visititems(
        lambda name, item: known.append(name) if isinstance(item, h5py.Dataset) else None
    )
    return known


def _example(path: Path) -> str:
    """Return the name of a dataset of the file, to show how one is named."""
    try:
        import h5py

        with h5py.File(path, "r") as file:
            return next(iter(_datasets(file)), "DATASET")
    except (ImportError, OSError):
        return "DATASET"


def as_mapped(array: Any, dtype: np.dtype[Any], path: Path, progress: Progress) -> NDArray[Any]:
    """Return ``array`` if it is a mapped file of this ``dtype``, else its copy at ``path``."""
    if isinstance(array, np.memmap) and array.dtype == dtype and array.dtype.isnative:
        return array
    progress(f"copying {path.stem} as {dtype}")
    path.parent.mkdir(parents=True, exist_ok=True)
    copy = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=tuple(array.shape))
    for rows in row_blocks(copy.shape[0], copy.shape[1] * dtype.itemsize, COPY_BYTES):
        copy[rows] = array[rows]
    copy.flush()
    mapped: NDArray[Any] = np.load(path, mmap_mode="r")
    return mapped


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
