"""Targets from fMRIPrep's derivatives, found by their BIDS names."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from bench_core.brain import confounds
from bench_core.brain.bids import entities, run_name
from bench_core.brain.header import read_header
from bench_core.brain.images import ImageSettings, ImageTargets, open_images
from bench_core.brain.targets import Exclusion, FmriRun, without_excluded
from bench_core.errors import InputError, unknown

_BOLD = "_desc-preproc_bold.nii.gz"
_MASK = "_desc-brain_mask.nii.gz"


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
        found = [read_header(path, name) for name, path in files.items()]
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
        return open_images(self, base, dtype, runs, exclusions, cleaners, masks, self.space, about)

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


def _files(subject: Path, kind: str, pattern: str, resolution: str | None) -> list[Path]:
    found = sorted([*subject.glob(f"{kind}/{pattern}"), *subject.glob(f"ses-*/{kind}/{pattern}")])
    right = [path for path in found if entities(path.name).get("res") == resolution]
    return right or found if resolution is None else right
