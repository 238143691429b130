"""Targets from fMRIPrep's derivatives, found by their BIDS names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from bench_core.brain import confounds
from bench_core.brain.derivatives import NATIVE, Wanted, brain_masks, find_bold
from bench_core.brain.header import read_header
from bench_core.brain.images import ImageSettings, ImageTargets, image_run, open_images
from bench_core.brain.targets import Exclusion, without_excluded
from bench_core.errors import InputError, unknown


@dataclass(frozen=True, kw_only=True)
class FmriprepSettings(ImageSettings):
    """``[targets]`` with ``source = "fmriprep"``."""

    subject: Annotated[str, 'the label of the subject, such as "01"']
    task: Annotated[tuple[str, ...], "names of tasks, with * and ? as wildcards"] = ("*",)
    space: Annotated[str, 'the space entity of the images, "native" for images without one'] = (
        "MNI152NLin2009cAsym"
    )
    resolution: Annotated[
        str | None, 'the res entity of the images, "none" for images without one'
    ] = None
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
        if self.mask == "anat" and self.space == NATIVE:
            raise InputError(
                'targets.mask = "anat" is not on the grid of images in native space: give "func"'
            )

    def open(self, base: Path, dtype: str, exclude: Sequence[str] = ()) -> ImageTargets:
        """Return the targets; raise `InputError` when no run can be read."""
        subject = self.folder / f"sub-{self.subject.removeprefix('sub-')}"
        if not subject.is_dir():
            there = ", ".join(sorted(path.name for path in self.folder.glob("sub-*/")))
            raise InputError(f"{subject} is not a folder: the subjects are {there or 'none'}")
        wanted = Wanted(self.task, self.space, self.resolution)
        every, unused = find_bold(subject, wanted)
        named, exclusions = without_excluded(every, exclude)
        exclusions += unused
        files = wanted.one_each(named)
        runs = []
        cleaners: dict[str, NDArray[np.float64] | None] = {}
        for name, path in files.items():
            bold = read_header(path, name, self.tr)
            try:
                found = confounds.of_fmriprep(path, self.confounds, self.motion, bold.volumes)
            except confounds.NoConfoundsError as error:
                exclusions.append(Exclusion(name, str(error)))
                continue
            cleaners[name] = found.values
            runs.append(image_run(bold, found.kept, (path, *found.files), found.notes))
        if not runs:
            reasons = {each.name: each.reason for each in exclusions}
            reason = next((reasons[name] for name in every if name in reasons), "")
            raise InputError(f"no run of {subject} can be used: {reason}")
        images = [run.files[0] for run in runs]
        masks = brain_masks(subject, self.mask, images, self.space)
        about = {"confounds": list(self.confounds), "motion": self.motion, "subject": subject.name}
        return open_images(self, base, dtype, runs, exclusions, cleaners, masks, self.space, about)
