"""Where a mask or an atlas lies beside the functional images, before it is put on their grid."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bench_core.errors import InputError


def check_placement(image: Any, reference: Any, path: Path, key: str) -> list[str]:
    """Return what is not as usual about the place of ``image``, in whole sentences.

    Parameters
    ----------
    image : mask or labels, read from ``path``, which the setting ``key`` names.
    reference : an image on the grid of the functional images.

    Raises `InputError` for an image without orientation (both of its codes are 0) on another grid,
    which cannot be placed.
    """
    same = image.shape[:3] == reference.shape[:3] and np.allclose(image.affine, reference.affine)
    if not _oriented(image) and not same:
        raise InputError(
            f"{key} {path} has no orientation (qform and sform codes are 0) and another grid than "
            "the images, so that its place is unknown: write it again with the affine of the image "
            "that it was drawn on"
        )
    if same:
        return []
    values = np.asarray(image.dataobj, dtype=np.float64)
    values = values.reshape(values.shape[:3])
    voxels = np.argwhere(np.isfinite(values) & (np.rint(values) != 0))
    to_grid = np.linalg.inv(reference.affine) @ image.affine
    places = np.rint(voxels @ to_grid[:3, :3].T + to_grid[:3, 3])
    inside = ((places >= 0) & (places < reference.shape[:3])).all(axis=1)
    if inside.all():
        return []
    out = int((~inside).sum())
    return [
        f"{out / len(voxels):.1%} of the voxels of {key} {path.name} ({out} of {len(voxels)}) lie "
        "outside the images: is it in their space?"
    ]


def _oriented(image: Any) -> bool:
    """Return whether the header places the image; formats without such codes always do."""
    try:
        return bool(int(image.header["qform_code"]) or int(image.header["sform_code"]))
    except (KeyError, ValueError, TypeError):
        return True
