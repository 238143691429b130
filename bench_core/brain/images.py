"""Targets from functional images: what fMRIPrep's derivatives and other NIfTI files share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench_core.brain import extraction
from bench_core.brain.extraction import Cleaning, Extraction
from bench_core.brain.header import BoldHeader
from bench_core.brain.label_names import label_names
from bench_core.brain.missing import check_missing, find_missing
from bench_core.brain.placement import check_placement
from bench_core.brain.targets import Exclusion, FmriRun, check_finite_run, check_grids
from bench_core.data.space import TargetSpace
from bench_core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """Keys of ``[targets]`` that fMRIPrep's and other images share."""

    folder: Annotated[Path, "the folder of the images"]
    extract: Annotated[extraction.Kind, "targets to extract: parcels, a region or the whole brain"]
    labels: Annotated[str | None, "a label image, or basc:444 and the like for nilearn's BASC"] = (
        None
    )
    mask: Annotated[
        str | None, 'a mask image; for the whole brain also "anat" or "func", fMRIPrep\'s own'
    ] = None
    numbers: Annotated[
        tuple[int, ...], "labels of the atlas in targets.labels that make the ROI"
    ] = ()
    data_dir: Annotated[Path | None, "where nilearn keeps atlases"] = None
    smoothing_mm: Annotated[float, "full width at half maximum of the smoothing"] = 8.0
    standardize: Annotated[
        Literal["zscore_sample", "psc", "none"], "how every run's time courses are scaled"
    ] = "zscore_sample"

    tr: Annotated[
        float | None, "repetition time in seconds, where headers and JSON files are wrong"
    ] = None
    missing: Annotated[
        Literal["refuse", "mask"], "voxels with NaN or infinity: an error, or in no run a target"
    ] = "refuse"

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing_mm < 100:
            raise InputError(f"targets.smoothing_mm is {self.smoothing_mm}: give 0 (none) or more")
        if self.tr is not None and not 0 < self.tr < float("inf"):
            raise InputError(f"targets.tr is {self.tr}: give seconds above 0")
        needed, other = {
            "parcels": ("labels", "mask"),
            "roi": ("mask", "") if self.labels is None else ("labels", "mask"),
            "whole-brain": ("mask", "labels"),
        }[self.extract]
        if getattr(self, needed) is None:
            raise InputError(f"targets.{needed} is missing: {self.extract} needs it")
        if other and getattr(self, other) is not None:
            raise InputError(
                f"targets.{other} cannot be combined with {self.extract} and {needed}: remove it"
            )
        if bool(self.numbers) != (self.extract == "roi" and self.labels is not None):
            raise InputError(
                "targets.numbers selects labels of targets.labels for a roi: give both, or only "
                "targets.mask"
            )


@dataclass(frozen=True, eq=False)
class ImageTargets:
    """Targets from images; see `bench_core.brain.targets.Targets`."""

    runs: Sequence[FmriRun]
    exclusions: Sequence[Exclusion]
    files: Sequence[Path]
    about: Mapping[str, Any]
    extraction: Extraction
    cleaning: Cleaning
    confounds: Mapping[str, NDArray[np.float64] | None]
    masked: NDArray[np.bool_] | None = None
    remarks: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """One name per target."""
        return self.extraction.names

    @property
    def notes(self) -> Sequence[str]:
        """What was lost as masks or labels were put on the grid of the images."""
        return [*self.remarks, *self.extraction.notes]

    @property
    def space(self) -> TargetSpace:
        """Positions of the targets."""
        return self.extraction.space

    def read(self, run: FmriRun) -> NDArray[Any]:
        """Return the targets (m, s) of ``run``, cleaned, one row per kept volume.

        Raises `InputError` for a voxel without a value, unless such voxels are masked.
        """
        from nilearn.image import new_img_like

        path = run.files[0]
        bold, data = self._data(run)
        if self.masked is not None:
            data = np.array(data)  # of an uncompressed file it is mapped
            data[self.masked] = 0
        smoothed = self.cleaning.smoothing_mm > 0
        check_missing(find_missing(data, run.kept, self.extraction.used, smoothed), path)
        image = new_img_like(bold, data)
        found = self.extraction.read(image, self.confounds[run.name], run.kept, self.cleaning)
        check_finite_run(found, run)
        return found

    def without_missing(self) -> ImageTargets:
        """Return the targets without the voxels that lack a value in some run; reads every run."""
        smoothed = self.cleaning.smoothing_mm > 0
        masked = np.zeros(self.extraction.space.shape, dtype=bool)
        runs = []
        for run in self.runs:
            _, data = self._data(run)
            found = find_missing(data, run.kept, self.extraction.used, smoothed)
            masked |= found.voxels
            runs.append(replace(run, notes=(*run.notes, found.note())) if found else run)
        chosen = self.extraction.without(masked)
        about = {**self.about, "labels_lost": list(chosen.lost), "masked": int(masked.sum())}
        return replace(self, runs=runs, extraction=chosen, about=about, masked=masked)

    def _data(self, run: FmriRun) -> tuple[Any, NDArray[Any]]:
        """Return the image of ``run`` and its values; raise `InputError` for damage."""
        check_grids([run], self.space)
        path = run.files[0]
        bold = extraction.load_image(path, "image")
        try:
            return bold, np.asarray(bold.dataobj, dtype=self.cleaning.dtype)
        except (EOFError, OSError, ValueError) as error:
            raise InputError(
                f"{path} is cut short ({error}): copy it again, or name the run in pairing.exclude"
            ) from error


def image_run(
    bold: BoldHeader, kept: NDArray[np.intp], files: Sequence[Path], notes: Sequence[str] = ()
) -> FmriRun:
    """Return the run of one image; the first of ``files`` is the image."""
    return FmriRun(
        bold.name,
        bold.volumes,
        kept,
        bold.tr.seconds,
        tuple(files),
        (*bold.tr.notes, *notes),
        bold.grid,
        bold.tr.source,
        bold.tr.doubt,
    )


def open_images(
    settings: ImageSettings,
    base: Path,
    dtype: str,
    runs: Sequence[FmriRun],
    exclusions: Sequence[Exclusion],
    cleaners: Mapping[str, NDArray[np.float64] | None],
    masks: Sequence[Path],
    template: str | None,
    about: Mapping[str, Any],
) -> ImageTargets:
    """Return the targets of ``runs``; mask or labels are put on the grid of the first run."""
    reference = _volume(runs)
    if settings.extract == "parcels" or settings.numbers:
        assert settings.labels is not None
        if settings.labels.startswith(extraction.BASC):
            path = extraction.basc(settings.labels, settings.data_dir)
        else:
            path = base / settings.labels
        files = [path]
        labels = extraction.load_image(path, "targets.labels")
        remarks = check_placement(labels, reference, path, "targets.labels")
        if settings.extract == "parcels":
            chosen = extraction.of_parcels(labels, reference, template, label_names(path))
        else:
            chosen = extraction.of_mask(labels, reference, template, settings.numbers)
    else:
        assert settings.mask is not None
        files = list(masks) or [base / settings.mask]
        images = [extraction.load_image(file, "targets.mask") for file in files]
        remarks = [
            remark
            for image, file in zip(images, files, strict=True)
            for remark in check_placement(image, reference, file, "targets.mask")
        ]
        chosen = extraction.of_mask(_common(images), reference, template)
    targets = ImageTargets(
        runs=runs,
        exclusions=exclusions,
        files=files,
        about={
            **about,
            "extract": settings.extract,
            "smoothing_mm": settings.smoothing_mm,
            "standardize": settings.standardize,
            "labels_lost": list(chosen.lost),
            "missing": settings.missing,
        },
        extraction=chosen,
        cleaning=Cleaning(settings.smoothing_mm, settings.standardize, dtype),
        confounds=cleaners,
        remarks=remarks,
    )
    return targets.without_missing() if settings.missing == "mask" else targets


def _volume(runs: Sequence[FmriRun]) -> Any:
    """Return an image without data on the grid that most runs have, the first of equally many."""
    import nibabel

    grids = [run.grid for run in runs if run.grid is not None]
    same = [sum(not grid.difference(other) for other in grids) for grid in grids]
    grid = grids[int(np.argmax(same))]
    return nibabel.Nifti1Image(np.zeros(grid.shape, dtype=np.int8), grid.affine)


def _common(masks: Sequence[Any]) -> Any:
    """Return the voxels that are in all masks."""
    from nilearn.image import new_img_like

    if len(masks) == 1:
        return masks[0]
    first = masks[0]
    for mask in masks[1:]:
        if mask.shape != first.shape or not np.allclose(mask.affine, first.affine, atol=1e-4):
            raise InputError(
                "the runs' masks have different grids: give the path of one mask as targets.mask"
            )
    inside = reduce(np.logical_and, (np.asarray(mask.dataobj) > 0 for mask in masks))
    return new_img_like(first, inside.astype(np.int8))
