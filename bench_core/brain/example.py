"""A small synthetic data set for the walk-through: videos, an fMRIPrep folder and an encoder.

The brain is an ellipsoid of noise, motion and drift in MNI space, on a grid of 8 mm. In two boxes
of voxels a response to the videos is planted. Every frame of a video shows a number of its own as
16 bars, drawn at random, so that features of any other frame are wrong. Box "early" follows bars
0–3 two TRs later, box "late" bars 4–7 three TRs later.

Session 2 shows one video again, one run has no confounds, one begins with two unsteady volumes,
and one is a volume longer than its video. Further subjects saw the same videos in the same runs:
their responses are those of the first, their noise is their own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.brain.confounds import drifts, motion24
from bench_core.errors import InputError
from bench_core.files import new_folder

TR = 1.49
SPACE = "MNI152NLin2009cAsym"
RATE = 5.0
GRID = (20, 25, 20)
AFFINE = np.array([[8.0, 0, 0, -76], [0, 8, 0, -112], [0, 0, 8, -72], [0, 0, 0, 1]])
PARCEL = 4
"""Voxels along each side of a cubic parcel."""


@dataclass(frozen=True)
class Planted:
    """A box of voxels that follows four bars of the frame shown ``delay`` TRs before."""

    corner: tuple[int, int, int]
    bars: slice
    delay: int

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """The voxels, as an index of the grid."""
        i, j, k = (slice(c, c + PARCEL) for c in self.corner)
        return i, j, k


PLANTED = {
    "early": Planted((4, 8, 8), slice(0, 4), 2),
    "late": Planted((12, 12, 8), slice(4, 8), 3),
}


@dataclass(frozen=True)
class ExampleRun:
    """One run: its session, its video, and its irregularities."""

    session: str
    video: str
    volumes: int
    unsteady: int = 0
    confounds: bool = True

    @property
    def name(self) -> str:
        """The BIDS name, of the first subject."""
        return self.of_subject("01")

    def of_subject(self, label: str) -> str:
        """Return the BIDS name of the run of a subject.

        >>> RUNS[0].of_subject("02")
        'sub-02_ses-001_task-s01e01a'
        """
        return f"sub-{label}_ses-{self.session}_task-{self.video}"


VIDEOS = {"s01e01a": 75, "s01e01b": 68, "s01e02a": 80, "s01e02b": 72, "s01e03a": 20}
"""Names of the videos and their lengths in TRs."""

RUNS = (
    ExampleRun("001", "s01e01a", 75),
    ExampleRun("001", "s01e01b", 68, unsteady=2),
    ExampleRun("001", "s01e02a", 81),
    ExampleRun("002", "s01e01a", 75),
    ExampleRun("002", "s01e02b", 72),
    ExampleRun("002", "s01e03a", 20, confounds=False),
)


def write_example(folder: str | Path, *, seed: int = 0, subjects: int = 1) -> str:
    """Write the data set of sub-01 and so on into a new ``folder`` and return its description.

    Raises `InputError` when the folder exists.
    """
    labels = [f"{number:02d}" for number in range(1, subjects + 1)]
    try:
        with new_folder(Path(folder)) as part:
            _write(part, seed, labels)
    except FileExistsError as error:
        raise InputError(str(error)) from error
    who = "sub-01" if subjects == 1 else f"each of {subjects} subjects"
    return f"{len(VIDEOS)} videos, {len(RUNS)} runs of {who}, an atlas and an encoder"


def _write(folder: Path, seed: int, labels: Sequence[str]) -> None:
    (folder / "stimuli").mkdir()
    bars = {video: _video(folder / "stimuli", video, seed) for video in VIDEOS}
    inside = brain()
    _save(folder / "atlas.nii.gz", *_finer(parcels()))
    for subject, label in enumerate(labels):
        own = folder / "fmriprep" / f"sub-{label}"
        (own / "anat").mkdir(parents=True)
        _save(own / "anat" / f"sub-{label}_space-{SPACE}_desc-brain_mask.nii.gz", *_finer(inside))
        for number, run in enumerate(RUNS):
            rng = np.random.default_rng([seed, 1, number, *([subject] if subject else [])])
            place = own / f"ses-{run.session}" / "func"
            place.mkdir(parents=True, exist_ok=True)
            _write_run(place / run.of_subject(label), run, bars[run.video], inside, rng)
    _encoder(folder / "encoder")
    for extract, rest in _CONFIGS.items():
        text = _CONFIG.format(extract=extract, rest=rest)
        (folder / f"{extract}.toml").write_text(text, encoding="utf-8")
    (folder / "spaces.toml").write_text(_SPACES, encoding="utf-8")
    names = ", ".join(f'"{label}"' for label in labels)
    (folder / "subjects.toml").write_text(_SUBJECTS.format(names=names), encoding="utf-8")


def brain() -> NDArray[np.bool_]:
    """Return the voxels of the grid that are inside the brain, an ellipsoid."""
    centred = np.indices(GRID).T - (np.array(GRID) - 1) / 2
    radii = np.array(GRID) / 2 - 0.5
    return (((centred / radii) ** 2).sum(axis=-1) <= 1).T


def parcels() -> NDArray[np.int16]:
    """Return cubes of voxels, numbered from 1 where they are inside the brain, 0 elsewhere."""
    cubes = np.ravel_multi_index(
        tuple(np.indices(GRID) // PARCEL), tuple(n // PARCEL + 1 for n in GRID)
    )
    _, numbers = np.unique(np.where(brain(), cubes + 1, 0), return_inverse=True)
    return numbers.reshape(GRID).astype(np.int16)


def response(bars: NDArray[np.float64], planted: Planted, volumes: int) -> NDArray[np.float64]:
    """Return the planted response (volumes,) to ``bars`` (TRs, 16), of variance near 1."""
    weights = np.array([1.0, -1.0, 1.0, 1.0])
    found = np.zeros(volumes)
    shown = (bars[:, planted.bars] - 0.5) @ weights
    n = min(volumes - planted.delay, len(shown))
    found[planted.delay : planted.delay + n] = shown[:n]
    return found


def codes(video: str, seed: int) -> NDArray[np.int64]:
    """Return the number that every frame of ``video`` shows, all different."""
    count = int(VIDEOS[video] * TR * RATE)
    key = [seed, 0, sorted(VIDEOS).index(video)]
    return np.random.default_rng(key).permutation(2**16)[:count]


def _video(folder: Path, video: str, seed: int) -> NDArray[np.float64]:
    """Write one video and return the bars (TRs, 16) on the screen as each TR begins."""
    from encoders.synthetic import numbered, write_video

    numbers = codes(video, seed)
    rng = np.random.default_rng([seed, 2])
    # No two frames are shown equally long: a frame's time is not its number over the rate.
    times = np.round((np.arange(len(numbers)) + rng.uniform(-0.3, 0.3, len(numbers))) / RATE, 3)
    times[0] = 0
    write_video(folder / f"{video}.mkv", map(numbered, map(int, numbers)), times.tolist())
    shown = np.searchsorted(times, TR * np.arange(VIDEOS[video]) + 1e-6, side="right") - 1
    return ((numbers[shown][:, None] >> np.arange(16)) & 1).astype(float)


def _write_run(
    stem: Path,
    run: ExampleRun,
    bars: NDArray[np.float64],
    inside: NDArray[np.bool_],
    rng: np.random.Generator,
) -> None:
    n = run.volumes
    motion = np.cumsum(rng.normal(0, 0.02, (n, 6)), axis=0)
    slow = drifts(n, TR)
    noise = rng.normal(0, 1, (n, *GRID))
    for planted in PLANTED.values():
        noise[(slice(None), *planted.box)] += response(bars, planted, n)[:, None, None, None]
    # Motion and drift are far stronger than the response: without confounds it is lost.
    for nuisance, strength in ((motion24(motion), 3.0), (slow, 5.0)):
        scaled = nuisance / nuisance.std(axis=0)
        width = strength / np.sqrt(max(1, scaled.shape[1]))
        weights = rng.normal(0, width, (scaled.shape[1], *GRID))
        noise += np.tensordot(scaled, weights, axes=1)
    noise[: run.unsteady] += 50
    images = np.where(inside, 1000 + 20 * noise, 0).astype(np.int16)
    _save(
        Path(f"{stem}_space-{SPACE}_desc-preproc_bold.nii.gz"), np.moveaxis(images, 0, -1), AFFINE
    )
    _save(Path(f"{stem}_space-{SPACE}_desc-brain_mask.nii.gz"), inside.astype(np.uint8), AFFINE)
    _json(Path(f"{stem}_space-{SPACE}_desc-preproc_bold.json"), {"RepetitionTime": TR})
    if run.confounds:
        _confounds(stem, motion, slow, run.unsteady, rng)


def _confounds(
    stem: Path,
    motion: NDArray[np.float64],
    slow: NDArray[np.float64],
    unsteady: int,
    rng: np.random.Generator,
) -> None:
    n = len(motion)
    names = [f"{kind}_{axis}" for kind in ("trans", "rot") for axis in "xyz"]
    suffixes = ("", "_derivative1", "_power2", "_derivative1_power2")
    columns = [f"{name}{suffix}" for suffix in suffixes for name in names]
    table = dict(zip(columns, motion24(motion).T, strict=True))
    table |= {f"cosine{k:02d}": column for k, column in enumerate(slow.T)}
    table |= {"global_signal": rng.normal(1000, 1, n), "csf": rng.normal(800, 1, n)}
    for k in range(unsteady):
        table[f"non_steady_state_outlier{k:02d}"] = np.eye(n)[k]
    rows = np.column_stack(list(table.values()))
    lines = ["\t".join(table)]
    for i, row in enumerate(rows):
        # As fMRIPrep writes it: the first volume has no difference to the one before.
        empty = [i == 0 and "derivative1" in name for name in table]
        cells = ("n/a" if e else f"{x:.9g}" for e, x in zip(empty, row, strict=True))
        lines.append("\t".join(cells))
    path = Path(f"{stem}_desc-confounds_timeseries.tsv")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    _json(path.with_suffix(".json"), {"cosine00": {"CutoffPeriod": 128}})


def _finer(volume: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return ``volume`` on a grid of 4 mm, each voxel in eight, and that grid's affine."""
    fine = volume.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    affine = AFFINE.copy()
    affine[:3, :3] /= 2
    affine[:3, 3] -= 2
    return fine.astype(np.int16), affine


def _save(path: Path, data: NDArray[Any], affine: NDArray[np.float64]) -> None:
    import nibabel

    image = nibabel.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm", "sec")
    if data.ndim == 4:
        image.header.set_zooms((8, 8, 8, TR))
    nibabel.save(image, path)


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def _encoder(folder: Path) -> None:
    """Write an encoder as somebody else's package would have it, to be put on PYTHONPATH."""
    from importlib.resources import files

    info = folder / "bars_encoder-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bars-encoder\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ridgebench.encoders]\nbars = bars_encoder:Bars\n")
    source = files("bench_core.brain") / "bars_encoder.py.txt"
    (folder / "bars_encoder.py").write_text(source.read_text(encoding="utf-8"), encoding="utf-8")


_CONFIG = """\
# What a problem is made of: see docs/problems.md. Paths are relative to this file.
name = "example {extract}"
out = "problems/{extract}"

[targets]
source = "fmriprep"
folder = "fmriprep"
subject = "01"
extract = "{extract}"
{rest}

[features]
source = "store"
folder = "features"
"""

_CONFIGS = {"parcels": 'labels = "atlas.nii.gz"', "whole-brain": 'mask = "anat"'}

_SUBJECTS = """\
# A problem for every subject, in OUT/sub-LABEL.
name = "example"
out = "problems/subjects"
subjects = [{names}]

[targets]
source = "fmriprep"
folder = "fmriprep"
extract = "parcels"
labels = "atlas.nii.gz"

[features]
source = "store"
folder = "features"
layer = "bars"
"""

_SPACES = """\
# A problem of two feature spaces: two layers of the encoder.
name = "example spaces"
out = "problems/spaces"

[targets]
source = "fmriprep"
folder = "fmriprep"
subject = "01"
extract = "parcels"
labels = "atlas.nii.gz"

[features]
source = "spaces"

[features.spaces.first]
source = "store"
folder = "features"
layer = "first"

[features.spaces.second]
source = "store"
folder = "features"
layer = "second"
"""
