"""Regions of an atlas: the one of every target."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.data.space import TargetSpace
from bench_core.deprecated import renamed
from bench_core.errors import InputError


def regions_of(space: TargetSpace, labels: Any, s: int) -> NDArray[np.int64]:
    """Return the label (s,) of the image ``labels`` at each target, 0 for none.

    Each voxel takes the nearest label; a parcel takes the one that most of its voxels have, 0 not
    counted.

    Raises `InputError` when no target lies in a region.
    """
    volume = np.rint(np.nan_to_num(np.asarray(labels.dataobj, dtype=np.float64))).astype(np.int64)
    volume = volume.reshape(volume.shape[:3])
    inverse = np.linalg.inv(labels.affine)
    places = np.rint(space.millimetres() @ inverse[:3, :3].T + inverse[:3, 3]).astype(np.int64)
    inside = ((places >= 0) & (places < volume.shape)).all(axis=1)
    found = np.zeros(len(places), dtype=np.int64)
    found[inside] = volume[tuple(places[inside].T)]
    regions = np.zeros(s, dtype=np.int64)
    known = found != 0
    if not known.any():
        raise InputError("no target lies in a region of the atlas: are both in one space?")
    numbers, position = np.unique(found[known], return_inverse=True)
    votes = np.zeros((s, len(numbers)), dtype=np.int64)
    np.add.at(votes, (space.targets[known], position), 1)
    voted = votes.any(axis=1)
    regions[voted] = numbers[votes[voted].argmax(axis=1)]
    return regions


__getattr__ = renamed(__name__, {"region_names": "bench_core.brain.label_names:label_names"})
