"""Targets from a folder of NIfTI files with names of any kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from bench_core.brain import confounds
from bench_core.brain.bids import Pattern
from bench_core.brain.content import absent_content
from bench_core.brain.header import read_header
from bench_core.brain.images import ImageSettings, ImageTargets, image_run, open_images
from bench_core.brain.targets import Exclusion, without_excluded
from bench_core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class NiftiSettings(ImageSettings):
    """``[targets]`` with ``source = "images"``: NIfTI files with names of any kind."""

    bold: Annotated[str, 'pattern of the images, * for the run\'s name: "*/bold.nii.gz"']
    motion: Annotated[str | None, "pattern of text files of six motion estimates"] = None
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
            absent = absent_content(path)
            if absent is not None:
                exclusions.append(Exclusion(name, f"{path.name}: {absent}"))
                continue
            bold = read_header(path, name, self.tr)
            tr, used = bold.tr.seconds, [path]
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
            runs.append(image_run(bold, everything, used))
        if not runs:
            raise InputError(f"no run of {self.folder} can be used: {exclusions[0].reason}")
        removed = [] if self.motion is None else ["motion", "high_pass"]
        return open_images(
            self, base, dtype, runs, exclusions, cleaners, [], self.template, {"confounds": removed}
        )
