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
from bench_core.errors import InputError, unknown

_Found = TypeVar("_Found")


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
    """

    name: str
    volumes: int
    kept: NDArray[np.intp]
    tr: float | None
    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exclusion:
    """A run or stimulus that the problem does not use, and the reason."""

    name: str
    reason: str


class Targets(Protocol):
    """A source of targets, opened: sizes are known, data are read run by run.

    ``names`` has one name per target, ``space`` their positions (None when unknown), and ``about``
    their description in the problem's ``meta``. ``files`` serve all runs (masks, labels).
    """

    names: Sequence[str]
    space: TargetSpace | None
    about: Mapping[str, Any]
    runs: Sequence[FmriRun]
    exclusions: Sequence[Exclusion]
    files: Sequence[Path]

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
