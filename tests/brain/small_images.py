"""A folder of small images of any names, with features, for tests that damage one of them."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

from bench_core.brain.build import build, plan
from bench_core.brain.settings import ProblemSettings

SHAPE = (6, 7, 5)
AFFINE = np.diag([4.0, 4, 4, 1])
TR = 1.5


class SmallImages:
    """Two runs of 30 volumes; a mask of the inner voxels; an atlas of four labels in it."""

    def __init__(self, folder: Path, runs: int = 2, volumes: int = 30):
        self.folder = folder
        rng = np.random.default_rng(0)
        self.data = {}
        for number in range(1, runs + 1):
            name = f"run-{number}"
            self.write(name, rng.normal(100, 5, (*SHAPE, volumes)).astype(np.float32))
            np.save(folder / f"{name}.npy", rng.standard_normal((volumes, 3)))
        self.inside = np.zeros(SHAPE, dtype=bool)
        self.inside[1:5, 1:6, 1:4] = True
        self.labels = np.where(self.inside, 1 + np.indices(SHAPE)[0] % 4, 0).astype(np.int16)
        self.image("mask.nii.gz", self.inside.astype(np.uint8))
        self.image("atlas.nii.gz", self.labels)

    def image(self, name: str, data, affine=AFFINE, tr: float = TR, units: str | None = "sec"):
        image = nibabel.Nifti1Image(data, affine)
        if data.ndim == 4:
            image.header.set_zooms((*np.abs(np.diag(affine)[:3]), tr))
            image.header.set_xyzt_units("mm", units)
        nibabel.save(image, self.folder / name)
        return self.folder / name

    def write(self, name: str, data) -> None:
        self.data[name] = data
        self.image(f"{name}_bold.nii.gz", data)

    def plan(self, targets: str = "", rest: str = "", extract: str = "whole-brain"):
        how = {
            "whole-brain": 'extract = "whole-brain"\nmask = "mask.nii.gz"',
            "parcels": 'extract = "parcels"\nlabels = "atlas.nii.gz"',
        }[extract]
        config = self.folder / "study.toml"
        config.write_text(f"""
dtype = "float64"
[targets]
source = "images"
folder = "."
bold = "*_bold.nii.gz"
{how}
{targets}
[features]
source = "npy"
folder = "."
[samples]
tr = {TR}
window = 1
start = 1
{rest}
""")
        return plan(ProblemSettings.read(config))

    def build(self, targets: str = "", rest: str = "", extract: str = "whole-brain"):
        planned = self.plan(targets, rest, extract)
        self.count = getattr(self, "count", 0) + 1
        return build(planned, self.folder / f"problem{self.count}")


def zscored(Y):
    return (Y - Y.mean(axis=0)) / Y.std(axis=0, ddof=1)
