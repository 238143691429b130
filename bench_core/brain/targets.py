"""Interface of every source of targets, however its data are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from bench_core.data.space import TargetSpace
from bench_core.errors import InputError, unknown

_Found = TypeVar("_Found")


@dataclass(frozen=True, eq=False)
class FmriRun:
    """One run that can be read.

    Parameters
    ----------
    name : BIDS entities, or what the file is called.
    volumes : fMRI volumes acquired.
    kept : (m,) the volumes that `Targets.read` gives rows for, ascending; not those before the
        magnetisation is steady.
    tr : repetition time in seconds, None when the file does not say.
    files : everything that is read for it.
    """

    name: str
    volumes: int
    kept: NDArray[np.intp]
    tr: float | None
    files: tuple[Path, ...]


@dataclass(frozen=True)
class LeftOut:
    """A run or stimulus that is not used, and why."""

    name: str
    reason: str


class Targets(Protocol):
    """A source of targets, opened: sizes are known, data are read run by run.

    ``names`` has one name per target, ``space`` says where they are (None when unknown), and
    ``about`` what to tell of them in the problem's ``meta``. ``files`` are read for all runs
    alike (masks, labels).
    """

    names: Sequence[str]
    space: TargetSpace | None
    about: Mapping[str, Any]
    runs: Sequence[FmriRun]
    left_out: Sequence[LeftOut]
    files: Sequence[Path]

    def read(self, run: FmriRun) -> NDArray[Any]:
        """Return the targets (m, s) of ``run``, cleaned and standardised, one row per kept volume.

        Raises `InputError` for a damaged file.
        """


def without_excluded(
    found: Mapping[str, _Found], exclude: Sequence[str]
) -> tuple[dict[str, _Found], list[LeftOut]]:
    """Return the runs in ``found`` whose names match no pattern of ``exclude``, and the others.

    Raises `UnknownNameError` for a pattern that matches none, `InputError` when it leaves none.
    """
    for pattern in exclude:
        if not any(fnmatchcase(name, pattern) for name in found):
            raise unknown("run in pairing.exclude", pattern, found)
    out = [name for name in found if any(fnmatchcase(name, pattern) for pattern in exclude)]
    if len(out) == len(found):
        raise InputError(f"pairing.exclude {list(exclude)} leaves none of {len(found)} runs")
    left_out = [LeftOut(name, "excluded by pairing.exclude") for name in out]
    return {name: each for name, each in found.items() if name not in out}, left_out


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
            "mend the file, or name the run in pairing.exclude"
        )
