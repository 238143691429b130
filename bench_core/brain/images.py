"""Targets from functional images: fMRIPrep's derivatives, or any folder of NIfTI files."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench_core.brain import confounds, extraction
from bench_core.brain.bids import Pattern, entities, run_name
from bench_core.brain.extraction import Cleaning, Extraction
from bench_core.brain.targets import Exclusion, FmriRun, check_finite_run, without_excluded
from bench_core.data.space import TargetSpace
from bench_core.errors import InputError, unknown

_BOLD = "_desc-preproc_bold.nii.gz"
_MASK = "_desc-brain_mask.nii.gz"


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

    def __post_init__(self) -> None:
        if not 0 <= self.smoothing_mm < 100:
            raise InputError(f"targets.smoothing_mm is {self.smoothing_mm}: give 0 (none) or more")
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


@dataclass(frozen=True, kw_only=True)
class FmriprepSettings(ImageSettings):
    """``[targets]`` with ``source = "fmriprep"``."""

    subject: Annotated[str, 'the label of the subject, such as "01"']
    task: Annotated[tuple[str, ...], "names of tasks, with * and ? as wildcards"] = ("*",)
    space: Annotated[str, "the space entity of the images"] = "MNI152NLin2009cAsym"
    resolution: Annotated[str | None, "the res entity of the images"] = None
    confounds: Annotated[tuple[str, ...], "nilearn's strategy of removing confounds"] = (
        "motion",
        "high_pass",
    )
    motion: Annotated[
        Literal["basic", "power2", "derivatives", "full"], "set of motion parameters"
    ] = "full"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.confounds:
            if name not in confounds.STRATEGIES:
                raise unknown("strategy in targets.confounds", name, confounds.STRATEGIES)

    def open(self, base: Path, dtype: str, exclude: Sequence[str] = ()) -> ImageTargets:
        """Return the targets; raise `InputError` when no run can be read."""
        subject = self.folder / f"sub-{self.subject.removeprefix('sub-')}"
        if not subject.is_dir():
            there = ", ".join(sorted(path.name for path in self.folder.glob("sub-*/")))
            raise InputError(f"{subject} is not a folder: the subjects are {there or 'none'}")
        files, exclusions = without_excluded(self._bold(subject), exclude)
        found = [_header(path, name) for name, path in files.items()]
        runs = []
        cleaners: dict[str, NDArray[np.float64] | None] = {}
        for bold in found:
            tables = sorted(bold.path.parent.glob(f"{bold.name}_*desc-confounds_*.tsv"))
            if self.confounds and not tables:
                exclusions.append(Exclusion(bold.name, "no table of confounds beside its image"))
                continue
            try:
                cleaners[bold.name], kept = confounds.of_fmriprep(
                    bold.path, self.confounds, self.motion, bold.volumes
                )
            except confounds.NoConfoundsError as error:
                exclusions.append(Exclusion(bold.name, str(error)))
                continue
            runs.append(FmriRun(bold.name, bold.volumes, kept, bold.tr, (bold.path, *tables)))
        if not runs:
            raise InputError(f"no run of {subject} can be used: {exclusions[0].reason}")
        masks: list[Path] = []
        if self.mask == "anat":
            masks = _files(subject, "anat", f"*space-{self.space}*{_MASK}", self.resolution)[:1]
        elif self.mask == "func":
            masks = [Path(str(run.files[0]).replace(_BOLD, _MASK)) for run in runs]
        if self.mask in ("anat", "func") and not masks:
            raise InputError(
                f'{subject} has no brain mask in space {self.space} for targets.mask = "anat": '
                'give "func", or the path of a mask'
            )
        about = {"confounds": list(self.confounds), "motion": self.motion, "subject": subject.name}
        return _opened(self, base, dtype, runs, exclusions, cleaners, masks, self.space, about)

    def _bold(self, subject: Path) -> dict[str, Path]:
        every = _files(subject, "func", f"*{_BOLD}", None)
        names = [entities(path.name) for path in every]
        spaces = sorted({name.get("space", "(native)") for name in names})
        found: dict[str, Path] = {}
        for path, name in zip(every, names, strict=True):
            wanted = name.get("space") == self.space and (
                self.resolution is None or name.get("res") == self.resolution
            )
            if wanted and any(fnmatch.fnmatchcase(name.get("task", ""), t) for t in self.task):
                if run_name(path.name) in found:
                    raise InputError(
                        f"{path.name} and {found[run_name(path.name)].name} are the same run: "
                        "choose one with targets.resolution"
                    )
                found[run_name(path.name)] = path
        if not found:
            tasks = sorted({name.get("task", "") for name in names})
            raise InputError(
                f"{subject} has no {_BOLD} with targets.space {self.space} and targets.task "
                f"{list(self.task)}: spaces are {spaces}, tasks {tasks}"
            )
        return found


@dataclass(frozen=True, kw_only=True)
class NiftiSettings(ImageSettings):
    """``[targets]`` with ``source = "images"``: NIfTI files with names of any kind."""

    bold: Annotated[str, 'pattern of the images, * for the run\'s name: "*/bold.nii.gz"']
    motion: Annotated[str | None, "pattern of text files of six motion estimates"] = None
    tr: Annotated[float | None, "repetition time in seconds where the header is wrong"] = None
    template: Annotated[str | None, 'the space of the images, such as "MNI152"'] = None

    def open(self, base: Path, dtype: str, exclude: Sequence[str] = ()) -> ImageTargets:
        """Return the targets; raise `InputError` when no run can be read."""
        files = Pattern(self.bold).find(self.folder)
        if not files:
            raise InputError(f"{self.folder} has no file {self.bold}: correct targets.bold")
        if self.mask in ("anat", "func"):
            raise InputError(f"targets.mask {self.mask!r} is for fMRIPrep: give the path of a mask")
        files, exclusions = without_excluded(files, exclude)
        runs = []
        cleaners: dict[str, NDArray[np.float64] | None] = {}
        for name, path in files.items():
            bold = _header(path, name)
            tr, used = self.tr or bold.tr, [path]
            try:
                cleaners[name] = None
                if self.motion is not None:
                    used.append(Pattern(self.motion).of(self.folder, name))
                    if tr is None:
                        raise InputError(f"{path} has no repetition time: give targets.tr")
                    cleaners[name] = confounds.of_motion(used[1], tr, bold.volumes)
            except confounds.NoConfoundsError as error:
                exclusions.append(Exclusion(name, str(error)))
                continue
            everything = np.arange(bold.volumes, dtype=np.intp)
            runs.append(FmriRun(name, bold.volumes, everything, tr, tuple(used)))
        if not runs:
            raise InputError(f"no run of {self.folder} can be used: {exclusions[0].reason}")
        removed = [] if self.motion is None else ["motion", "high_pass"]
        return _opened(
            self, base, dtype, runs, exclusions, cleaners, [], self.template, {"confounds": removed}
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

    @property
    def names(self) -> list[str]:
        """One name per target."""
        return self.extraction.names

    @property
    def space(self) -> TargetSpace:
        """Positions of the targets."""
        return self.extraction.space

    def read(self, run: FmriRun) -> NDArray[Any]:
        """Return the targets (m, s) of ``run``, cleaned, one row per kept volume."""
        path = run.files[0]
        bold = extraction.load_image(path, "image")
        grid = self.extraction.image
        if bold.shape[:3] != grid.shape or not np.allclose(bold.affine, grid.affine, atol=1e-4):
            raise InputError(
                f"{path} has another grid or affine than the first run: use images in one "
                "space, such as fMRIPrep's output in a standard space"
            )
        try:
            found = self.extraction.read(bold, self.confounds[run.name], run.kept, self.cleaning)
        except (EOFError, OSError) as error:
            raise InputError(
                f"{path} is cut short ({error}): copy it again, or name the run in pairing.exclude"
            ) from error
        check_finite_run(found, run)
        return found


@dataclass(frozen=True)
class _Bold:
    name: str
    path: Path
    volumes: int
    tr: float | None


def _header(path: Path, name: str) -> _Bold:
    """Return the run's length and repetition time from the header and the JSON file beside it."""
    image = extraction.load_image(path, "image")
    if len(image.shape) != 4:
        raise InputError(f"{path} has shape {image.shape}: a functional image has four axes")
    tr: float | None = float(image.header.get_zooms()[3]) or None
    side = Path(str(path).replace(".nii.gz", ".json"))
    if side != path and side.is_file():
        try:
            tr = float(json.loads(side.read_text(encoding="utf-8")).get("RepetitionTime", tr))
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{side} is damaged ({error}): copy it again") from error
    return _Bold(name, path, int(image.shape[3]), tr)


def _files(subject: Path, kind: str, pattern: str, resolution: str | None) -> list[Path]:
    found = sorted([*subject.glob(f"{kind}/{pattern}"), *subject.glob(f"ses-*/{kind}/{pattern}")])
    right = [path for path in found if entities(path.name).get("res") == resolution]
    return right or found if resolution is None else right


def _opened(
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
    reference = _volume(runs[0].files[0])
    if settings.extract == "parcels" or settings.numbers:
        assert settings.labels is not None
        if settings.labels.startswith(extraction.BASC):
            path = extraction.basc(settings.labels, settings.data_dir)
        else:
            path = base / settings.labels
        files = [path]
        labels = extraction.load_image(path, "targets.labels")
        if settings.extract == "parcels":
            chosen = extraction.of_parcels(labels, reference, template)
        else:
            chosen = extraction.of_mask(labels, reference, template, settings.numbers)
    else:
        assert settings.mask is not None
        files = list(masks) or [base / settings.mask]
        images = [extraction.load_image(file, "targets.mask") for file in files]
        chosen = extraction.of_mask(_common(images), reference, template)
    return ImageTargets(
        runs=runs,
        exclusions=exclusions,
        files=files,
        about={
            **about,
            "extract": settings.extract,
            "smoothing_mm": settings.smoothing_mm,
            "standardize": settings.standardize,
            "labels_lost": list(chosen.lost),
        },
        extraction=chosen,
        cleaning=Cleaning(settings.smoothing_mm, settings.standardize, dtype),
        confounds=cleaners,
    )


def _volume(path: Path) -> Any:
    """Return an image with the grid of the functional image in ``path``, without its data."""
    import nibabel

    bold = extraction.load_image(path, "image")
    return nibabel.Nifti1Image(np.zeros(bold.shape[:3], dtype=np.int8), bold.affine)


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
