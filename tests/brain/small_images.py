"""A folder of small images of any names, with features, for tests that damage one of them."""

from __future__ import annotations

import gzip
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


MOTION = ["trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z"]


class SmallFmriprep:
    """fMRIPrep's folder of sub-01, written image by image under names of the test's choice."""

    def __init__(self, folder: Path, volumes: int = 30):
        self.folder, self.volumes = folder, volumes
        self.func = folder / "fmriprep" / "sub-01" / "func"
        self.func.mkdir(parents=True)
        (folder / "features").mkdir()
        mask = np.zeros(SHAPE, np.uint8)
        mask[1:5, 1:6, 1:4] = 1
        nibabel.save(nibabel.Nifti1Image(mask, AFFINE), folder / "mask.nii.gz")

    def bold(self, name: str, *, affine=AFFINE, tr: float = TR, units: str | None = "sec"):
        """Write ``sub-01_NAME`` and features for its task; return its data."""
        path = self.func / f"sub-01_{name}"
        rng = np.random.default_rng(list(name.encode()))
        data = rng.normal(100, 5, (*SHAPE, self.volumes)).astype(np.float32)
        image = nibabel.Nifti1Image(data, affine)
        image.header.set_zooms((4, 4, 4, tr))
        image.header.set_xyzt_units("mm", units)
        nibabel.save(image, path)
        task = name.partition("task-")[2].partition("_")[0]
        np.save(self.folder / "features" / f"{task}.npy", rng.random((self.volumes, 2)))
        return data

    def table(self, name: str, columns=(*MOTION, "cosine00")) -> str:
        """Write a table of confounds as ``sub-01_NAME`` and return its text."""
        values = np.random.default_rng(1).standard_normal((self.volumes, len(columns)))
        lines = ["\t".join(columns), *("\t".join(map(str, row)) for row in values)]
        text = "\n".join(lines) + "\n"
        path = self.func / f"sub-01_{name}"
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress(text.encode()))
        else:
            path.write_text(text, encoding="utf-8")
        return text

    def run(self, task: str, space: str = "_space-MNI152NLin2009cAsym", ending: str = ".nii.gz"):
        self.table(f"task-{task}_desc-confounds_timeseries.tsv")
        return self.bold(f"task-{task}{space}_desc-preproc_bold{ending}")

    def plan(self, targets: str = "", rest: str = "", how: str = 'mask = "mask.nii.gz"'):
        config = self.folder / "study.toml"
        config.write_text(f"""
dtype = "float64"
[targets]
source = "fmriprep"
folder = "fmriprep"
subject = "01"
extract = "whole-brain"
motion = "basic"
smoothing_mm = 0
{how}
{targets}
[features]
source = "npy"
folder = "features"
[samples]
tr = {TR}
window = 1
start = 1
{rest}
""")
        return plan(ProblemSettings.read(config))

    def build(self, *args, **keys):
        self.count = getattr(self, "count", 0) + 1
        return build(self.plan(*args, **keys), self.folder / f"problem{self.count}")


def used(planned) -> list[str]:
    return [run.pair.run.name for run in planned.runs]


def left_out(planned) -> dict[str, str]:
    return {each.name: each.reason for each in planned.exclusions}
