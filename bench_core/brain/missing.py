"""Voxels without a value: NaN or infinity, found before anything replaces them.

nilearn's maskers put 0 for such values before they smooth: one NaN becomes a spike in all voxels
around it. A voxel that is missing in every volume is harmless outside the targets, where SPM and
others write NaN: 0 in all volumes adds nothing that varies.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError, counted


@dataclass(frozen=True, eq=False)
class MissingVoxels:
    """Voxels (i, j, k) that lack a value which reaches a target; see `find_missing`."""

    voxels: NDArray[np.bool_]
    count: int
    first: str

    def __bool__(self) -> bool:
        return self.count > 0

    def note(self) -> str:
        """Return a sentence for a run whose missing voxels are masked."""
        return f"{counted(self.count, 'voxel')} without a value ({self.first}): masked in all runs"


def find_missing(
    data: NDArray[Any], kept: NDArray[np.intp], used: NDArray[np.bool_], smoothed: bool
) -> MissingVoxels:
    """Return the voxels of ``data`` (i, j, k, volumes) without a value in a ``kept`` volume.

    These are voxels that are ``used`` by a target and, for data to be ``smoothed``, all others
    that have a value in some volumes only.
    """
    counts = np.zeros(data.shape[:3], dtype=np.int64)
    for volume in kept:
        counts += ~np.isfinite(data[..., volume])
    found = (counts > 0) & used
    if smoothed:
        found |= (counts > 0) & (counts < len(kept))
    if not found.any():
        return MissingVoxels(found, 0, "")
    i, j, k = (int(index) for index in np.argwhere(found)[0])
    course = data[i, j, k, kept]
    at = int(np.flatnonzero(~np.isfinite(course))[0])
    first = f"{course[at]} at voxel {i} {j} {k}, volume {int(kept[at])}"
    return MissingVoxels(found, int(found.sum()), first)


def check_missing(found: MissingVoxels, path: Path) -> None:
    """Raise `InputError` for voxels without a value, naming file, voxel, volume and remedy."""
    if found:
        raise InputError(
            f"{path} holds {found.first}, and {found.count} voxels without a value in all: "
            'correct the file, leave such voxels out with targets.missing = "mask", or name the '
            "run in pairing.exclude"
        )
