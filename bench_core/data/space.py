"""Positions of a problem's targets in the brain, from which maps are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench_core.errors import InputError


@dataclass(frozen=True, eq=False)
class TargetSpace:
    """The voxels of every target: one voxel each for voxel-wise targets, many for a parcel.

    Parameters
    ----------
    shape : voxels along the three axes of the volume.
    affine : (4, 4), from voxel indices to millimetres.
    voxels : (n, 3) integer indices, each voxel once.
    targets : (n,) the target that every voxel belongs to.
    template : name of the coordinate space ("MNI152NLin2009cAsym"), None when unknown.

    Raises `InputError` when sizes do not fit together or a voxel lies outside the volume.

    Examples
    --------
    >>> mask = np.zeros((2, 2, 1), dtype=bool)
    >>> mask[0] = True
    >>> space = TargetSpace.of_mask(mask, np.eye(4))
    >>> space.volume([0.5, 0.25])[:, :, 0]
    array([[0.5 , 0.25],
           [ nan,  nan]])
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    voxels: NDArray[Any]
    targets: NDArray[Any]
    template: str | None = None

    def __post_init__(self) -> None:
        n = len(self.voxels)
        if len(self.shape) != 3 or self.affine.shape != (4, 4):
            raise InputError(
                f"volume {self.shape} and affine {self.affine.shape}: three axes and shape (4, 4) "
                "are needed"
            )
        if self.voxels.shape != (n, 3) or self.targets.shape != (n,):
            raise InputError(
                f"voxels {self.voxels.shape} and targets {self.targets.shape}: "
                "they must be (n, 3) and (n,)"
            )
        if n and ((self.voxels < 0).any() or (self.voxels >= np.array(self.shape)).any()):
            raise InputError(
                f"a voxel lies outside the volume of shape {self.shape}: correct its index"
            )

    @classmethod
    def of_mask(
        cls, mask: NDArray[np.bool_], affine: ArrayLike, *, template: str | None = None
    ) -> TargetSpace:
        """Return the space of one target per voxel in ``mask``, in the order of `numpy.argwhere`.

        This is the order in which nilearn's maskers give voxels.
        """
        voxels = np.argwhere(mask).astype(np.int32)
        targets = np.arange(len(voxels), dtype=np.int32)
        return cls(_triple(mask.shape), _affine(affine), voxels, targets, template)

    @classmethod
    def of_labels(
        cls,
        labels: NDArray[Any],
        numbers: Sequence[int],
        affine: ArrayLike,
        *,
        template: str | None = None,
    ) -> TargetSpace:
        """Return the space of one target per label: target k is where ``labels`` is numbers[k]."""
        order = np.argsort(numbers)
        voxels = np.argwhere(np.isin(labels, numbers)).astype(np.int32)
        found = np.searchsorted(np.asarray(numbers)[order], labels[tuple(voxels.T)])
        targets = order[found].astype(np.int32)
        return cls(_triple(labels.shape), _affine(affine), voxels, targets, template)

    @property
    def s(self) -> int:
        """Targets that have a voxel, counted up to the last one."""
        return int(self.targets.max()) + 1 if len(self.targets) else 0

    def volume(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return ``values`` (s,) at the voxels of their targets, NaN in the rest of the volume."""
        found = np.asarray(values, dtype=np.float64)
        if found.ndim != 1 or len(found) < self.s:
            raise InputError(f"{found.shape} values for {self.s} targets: give one for each")
        volume = np.full(self.shape, np.nan)
        volume[tuple(self.voxels.T)] = found[self.targets]
        return volume

    def millimetres(self) -> NDArray[np.float64]:
        """Return the coordinates (n, 3) of the voxels' centres."""
        return self.voxels @ self.affine[:3, :3].T + self.affine[:3, 3]

    def same_grid(self, other: TargetSpace) -> bool:
        """Return whether two spaces have the same grid of voxels, to 1e-4 mm."""
        return self.shape == other.shape and np.allclose(self.affine, other.affine, atol=1e-4)

    def description(self) -> dict[str, Any]:
        """Return the part that JSON can hold; `arrays` has the rest."""
        return {
            "shape": list(self.shape),
            "affine": self.affine.tolist(),
            "template": self.template,
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays under the names that a problem folder gives them."""
        return {"space_voxels": self.voxels, "space_targets": self.targets}

    @classmethod
    def stored(cls, description: Any, arrays: dict[str, NDArray[Any]]) -> TargetSpace:
        """Return the space from its `description` and `arrays`."""
        try:
            return cls(
                _triple(tuple(description["shape"])),
                _affine(description["affine"]),
                np.array(arrays["space_voxels"]),
                np.array(arrays["space_targets"]),
                description["template"],
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"the problem's space is damaged ({error}): make it again") from error


def _triple(shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise InputError(f"a volume must have three axes, not shape {shape}")
    return int(shape[0]), int(shape[1]), int(shape[2])


def _affine(affine: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(affine, dtype=np.float64)
