"""Extraction of targets from fMRI volumes: parcels, a region, or the whole brain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench_core.brain.content import absent_content
from bench_core.brain.label_names import target_names
from bench_core.data.space import TargetSpace
from bench_core.errors import InputError

Kind = Literal["parcels", "roi", "whole-brain"]
BASC = "basc:"


@dataclass(frozen=True)
class Cleaning:
    """Processing of every voxel's time course besides the removal of confounds.

    Parameters
    ----------
    smoothing_mm : full width at half maximum of the Gaussian; 0 for none.
    standardize : as nilearn's maskers name it; "none" for no scaling.
    """

    smoothing_mm: float
    standardize: str
    dtype: str


@dataclass(frozen=True, eq=False)
class Extraction:
    """Targets on the grid of the functional images.

    Parameters
    ----------
    space : positions of the targets.
    names : one name per target.
    image : the mask or the labels, resampled to the functional grid.
    parcels : whether ``image`` holds labels.
    lost : labels without a voxel on that grid.
    atlas : names of labels, where the atlas has a table of them.
    """

    space: TargetSpace
    names: list[str]
    image: Any
    parcels: bool
    lost: tuple[int, ...] = ()
    atlas: dict[int, str] = field(default_factory=dict)

    @property
    def notes(self) -> list[str]:
        """What was lost on the way to the functional grid, in whole sentences."""
        if not self.lost:
            return []
        names = [
            f"{number} ({self.atlas[number]})" if number in self.atlas else str(number)
            for number in self.lost
        ]
        return [
            f"labels lost, without a voxel on the grid of the images: {len(names)} of "
            f"{len(names) + len(self.names)}: {', '.join(names)}"
        ]

    @property
    def used(self) -> NDArray[np.bool_]:
        """Voxels (i, j, k) of the functional grid that belong to a target."""
        return np.asarray(self.image.dataobj) != 0

    def without(self, voxels: NDArray[np.bool_]) -> Extraction:
        """Return the extraction with ``voxels`` (i, j, k) in no target.

        A voxel's target, or a parcel that loses all its voxels, is gone. Raises `InputError` when
        no target is left.
        """
        values = np.where(voxels, 0, np.asarray(self.image.dataobj)).astype(np.int64)
        if not values.any():
            raise InputError("every voxel of the targets lacks a value in some run")
        if not self.parcels:
            return _of_voxels(values != 0, self.image, self.space.template)
        known = [*self.labels, *self.lost]
        return _of_labels(values, self.image, self.space.template, known, self.atlas)

    @property
    def labels(self) -> list[int]:
        """Numbers of the labels in ``image``, in the order of the targets; [] for voxels."""
        return _numbers(np.asarray(self.image.dataobj, dtype=np.int64)) if self.parcels else []

    def read(
        self,
        bold: Any,
        confounds: NDArray[np.float64] | None,
        kept: NDArray[np.intp],
        cleaning: Cleaning,
    ) -> NDArray[Any]:
        """Return the targets (m, s) in the m ``kept`` volumes of the image ``bold``."""
        from nilearn.maskers import NiftiLabelsMasker, NiftiMasker

        options = {
            "smoothing_fwhm": cleaning.smoothing_mm or None,
            "standardize": None if cleaning.standardize == "none" else cleaning.standardize,
            "dtype": cleaning.dtype,
        }
        masker = (
            NiftiLabelsMasker(self.image, resampling_target=None, **options)
            if self.parcels
            else NiftiMasker(self.image, **options)
        )
        chosen = None if len(kept) == bold.shape[3] else kept
        found = masker.fit_transform(bold, confounds=confounds, sample_mask=chosen)
        return np.asarray(found, dtype=cleaning.dtype)


def of_parcels(
    labels: Any, reference: Any, template: str | None, atlas: dict[int, str] | None = None
) -> Extraction:
    """Return one target per label of the image ``labels``, in the order of their numbers.

    Targets have the names in ``atlas``, where it has one. ``reference`` gives the functional grid.
    The image is resampled to the nearest label.
    """
    on_grid = _integers(_on_grid(labels, reference))
    if not on_grid.any():
        raise InputError(
            "no label lies on the grid of the functional images: use labels in the same space"
        )
    return _of_labels(on_grid, reference, template, _numbers(_integers(labels)), atlas or {})


def of_mask(
    mask: Any, reference: Any, template: str | None, numbers: Sequence[int] = ()
) -> Extraction:
    """Return one target per voxel where ``mask`` is not 0, or is one of the label ``numbers``."""
    values = _integers(_on_grid(mask, reference))
    absent = sorted(set(numbers) - set(_numbers(values)))
    if absent:
        raise InputError(
            f"targets.numbers has {absent[0]}, a label with no voxel on the functional grid: "
            f"there are {_listed(_numbers(values))}"
        )
    inside = np.isin(values, numbers) if len(numbers) else values != 0
    if not inside.any():
        raise InputError("the mask has no voxel on the grid of the functional images")
    return _of_voxels(inside, reference, template)


def load_image(path: Path, what: str) -> Any:
    """Return the NIfTI image in ``path`` without reading its data; ``what`` names it in errors."""
    import nibabel
    from nibabel.filebasedimages import ImageFileError

    try:
        return nibabel.load(path)
    except FileNotFoundError:
        absent = absent_content(path)
        if absent is not None:
            raise InputError(f"{what} {path}: {absent}") from None
        raise InputError(f"{what} {path} does not exist: correct its path") from None
    except (ImageFileError, EOFError, OSError, ValueError) as error:
        absent = absent_content(path)
        if absent is not None:
            raise InputError(f"{what} {path}: {absent}") from error
        raise InputError(f"{what} {path} cannot be read as an image: {error}") from error


def basc(text: str, data_dir: Path | None) -> Path:
    """Return the file of the BASC parcellation named as ``basc:444``, fetched by nilearn.

    Raises `InputError` for an unknown resolution, or one that cannot be fetched.
    """
    from nilearn.datasets import fetch_atlas_basc_multiscale_2015

    try:
        resolution = int(text.removeprefix(BASC))
        atlas = fetch_atlas_basc_multiscale_2015(
            data_dir=None if data_dir is None else str(data_dir), resolution=resolution, verbose=0
        )
    except ValueError as error:
        raise InputError(f"targets.labels is {text!r}: {error}") from error
    except OSError as error:
        raise InputError(
            f"{text} cannot be fetched ({error}): give the file of a parcellation as "
            "targets.labels, or the folder nilearn keeps it in as targets.data_dir"
        ) from error
    return Path(atlas["maps"])


def _of_labels(
    values: NDArray[np.int64],
    reference: Any,
    template: str | None,
    known: Sequence[int],
    atlas: dict[int, str],
) -> Extraction:
    """Return one target per label in ``values``; those ``known`` that it lacks are lost."""
    from nilearn.image import new_img_like

    numbers = _numbers(values)
    return Extraction(
        TargetSpace.of_labels(values, numbers, reference.affine, template=template),
        target_names(numbers, atlas),
        new_img_like(reference, values.astype(np.int32)),
        parcels=True,
        lost=tuple(sorted(set(known) - set(numbers))),
        atlas=atlas,
    )


def _of_voxels(inside: NDArray[np.bool_], reference: Any, template: str | None) -> Extraction:
    """Return one target per voxel in ``inside``."""
    from nilearn.image import new_img_like

    space = TargetSpace.of_mask(inside, reference.affine, template=template)
    return Extraction(
        space,
        [f"voxel {i} {j} {k}" for i, j, k in space.voxels],
        new_img_like(reference, inside.astype(np.int8)),
        parcels=False,
    )


def _on_grid(image: Any, reference: Any) -> Any:
    from nilearn.image import resample_to_img

    if len(image.shape) == 4 and image.shape[3] == 1:
        from nilearn.image import index_img

        image = index_img(image, 0)
    if len(image.shape) != 3:
        raise InputError(f"a mask or label image must have three axes, not shape {image.shape}")
    if image.shape == reference.shape[:3] and np.allclose(image.affine, reference.affine):
        return image
    return resample_to_img(
        image, reference, interpolation="nearest", force_resample=True, copy_header=True
    )


def _integers(image: Any) -> NDArray[np.int64]:
    """Return the whole numbers in ``image``; NaN, which means outside, is 0."""
    found = np.asarray(image.dataobj, dtype=np.float64)
    if np.isinf(found).any():
        raise InputError("a mask or label image holds infinity: write it again with whole numbers")
    values = np.rint(np.nan_to_num(found))
    return values.reshape(values.shape[:3]).astype(np.int64)


def _numbers(values: NDArray[np.int64]) -> list[int]:
    return [int(number) for number in np.unique(values) if number != 0]


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:12]))
    return shown + (f", … {numbers[-1]}" if len(numbers) > 12 else "")
