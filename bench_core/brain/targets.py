"""Common interface of all sources of targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench_core.data.space import TargetSpace
from bench_core.errors import InputError, listed, unknown

_Found = TypeVar("_Found")


@dataclass(frozen=True, eq=False)
class Grid:
    """The voxels of an image: how many along each axis, and the affine (4, 4) to millimetres."""

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    def difference(self, other: Grid | TargetSpace) -> str:
        """Return how the grids differ, "" for grids that are the same to 1e-4 mm."""
        if self.shape != other.shape:
            return f"has shape {self.shape}"
        if np.allclose(self.affine, other.affine, atol=1e-4):
            return ""
        return f"has an affine that differs by up to {np.abs(self.affine - other.affine).max():.4g}"


@dataclass(frozen=True, eq=False)
class FmriRun:
    """Targets of one run that can be read.

    Parameters
    ----------
    name : BIDS entities, or the name of the file.
    volumes : fMRI volumes acquired.
    kept : (m,) the volumes for which `Targets.read` returns rows, ascending; those before the
        steady state are absent.
    tr : repetition time in seconds, None when unknown.
    files : the files that hold it.
    notes : what is not as usual about it, in whole sentences.
    grid : of the image, None for time courses.
    tr_source, tr_doubt : where ``tr`` stands, and why it may be wrong there, "" without a reason.
    """

    name: str
    volumes: int
    kept: NDArray[np.intp]
    tr: float | None
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    grid: Grid | None = None
    tr_source: str = "targets.tr"
    tr_doubt: str = ""


@dataclass(frozen=True)
class Exclusion:
    """A run or stimulus that the problem does not use, and the reason."""

    name: str
    reason: str


class Targets(Protocol):
    """A source of targets, opened: sizes are known, data are read run by run.

    ``names`` has one name per target, ``space`` their positions (None when unknown), and ``about``
    their description in the problem's ``meta``. ``files`` serve all runs (masks, labels). ``notes``
    say in whole sentences what was lost or guessed for all runs.
    """

    names: Sequence[str]
    space: TargetSpace | None
    about: Mapping[str, Any]
    runs: Sequence[FmriRun]
    exclusions: Sequence[Exclusion]
    files: Sequence[Path]
    notes: Sequence[str]

    def read(self, run: FmriRun) -> NDArray[Any]:
        """Return the targets (m, s) of ``run``, cleaned and standardised, one row per kept volume.

        Raises `InputError` for a damaged file.
        """


def without_excluded(
    found: Mapping[str, _Found], exclude: Sequence[str]
) -> tuple[dict[str, _Found], list[Exclusion]]:
    """Return the runs in ``found`` whose names match no pattern of ``exclude``, and the others.

    Raises `UnknownNameError` for a pattern that matches none, `InputError` when it leaves none.
    """
    for pattern in exclude:
        if not any(fnmatchcase(name, pattern) for name in found):
            raise unknown("run in pairing.exclude", pattern, found)
    out = [name for name in found if any(fnmatchcase(name, pattern) for pattern in exclude)]
    if len(out) == len(found):
        raise InputError(f"pairing.exclude {list(exclude)} leaves none of {len(found)} runs")
    exclusions = [Exclusion(name, "excluded by pairing.exclude") for name in out]
    return {name: each for name, each in found.items() if name not in out}, exclusions


def check_grids(runs: Sequence[FmriRun], space: TargetSpace | None) -> None:
    """Raise `InputError`, naming all, for runs whose images are not on the grid of ``space``."""
    if space is None:
        return
    differ = {run.name: "" if run.grid is None else run.grid.difference(space) for run in runs}
    wrong = [f"{run.files[0]} {differ[run.name]}" for run in runs if differ[run.name]]
    if wrong:
        same = next((run.files[0].name for run in runs if not differ[run.name]), "the others")
        raise listed(
            wrong,
            f"images on another grid than {same} (shape {space.shape})",
            "use images in one space and resolution, or name these runs in pairing.exclude",
        )


def standardised(Y: NDArray[Any]) -> NDArray[Any]:
    """Return the columns of Y (n, s) with mean 0 and sample variance 1; constant ones become 0."""
    centred = Y - Y.mean(axis=0, dtype=np.float64)
    scale = centred.std(axis=0, ddof=1)
    scale[scale < np.finfo(Y.dtype).eps * np.abs(Y).max(axis=0, initial=1)] = np.inf
    return (centred / scale).astype(Y.dtype)


def check_finite_run(Y: NDArray[Any], run: FmriRun) -> None:
    """Raise `InputError`, naming the run, for NaN or infinity in Y."""
    if not np.isfinite(Y).all():
        row, column = np.argwhere(~np.isfinite(Y))[0]
        raise InputError(
            f"run {run.name} holds {Y[row, column]} in volume {run.kept[row]}, target {column}: "
            "correct the file, or name the run in pairing.exclude"
        )
