"""One real problem: a slice of subject 1 of Haxby et al. (2001), shipped with the package.

"Distributed and overlapping representations of faces and objects in ventral temporal cortex",
Science 293. The files and their licence (CC BY-SA 3.0) are in ``haxby2001/``, with a README.
"""

from __future__ import annotations

import csv
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy.signal import detrend

from bench_core.data.delays import delayed
from bench_core.data.problem import Problem
from bench_core.data.shapes import DELAYS, HAXBY
from bench_core.errors import BadInput

RUNS = 12
SOURCE = (
    "Haxby et al. (2001), Distributed and overlapping representations of faces and objects in "
    "ventral temporal cortex, Science 293; one slice of one subject, from PyMVPA's test data"
)
LICENCE = "CC BY-SA 3.0"


def haxby2001(*, dtype: str = "float64") -> Problem:
    """Return the slice as a problem of t = 1452 volumes, p = 32 features and s = 530 voxels.

    X: for 8 categories, whether a stimulus of that category was on when the volume began, delayed
    by 1–4 volumes within each run. Y: the voxels that are non-zero in every run, with the linear
    trend of each run removed and scaled to mean 0 and variance 1 in each run. ``meta`` has
    ``volume_shape``, ``affine`` and ``voxels`` (s × 3 indices), enough for `brain_map`.
    """
    with as_file(files("bench_core.data") / HAXBY) as folder:
        images = [nibabel.load(folder / f"run-{run:02d}" / "bold.nii.gz") for run in _numbers()]
        events = [_events(folder / f"run-{run:02d}" / "events.tsv") for run in _numbers()]
        volumes = [np.asarray(image.dataobj, dtype=np.float64) for image in images]
    mask = np.all([(volume != 0).all(axis=-1) for volume in volumes], axis=0)
    categories = sorted({category for _, _, category in events[0]})
    repetition = float(images[0].header.get_zooms()[3])
    base = np.vstack(
        [
            _boxcars(run_events, categories, volume.shape[-1], repetition)
            for run_events, volume in zip(events, volumes, strict=True)
        ]
    )
    runs = np.repeat(np.array(list(_numbers()), np.int32), [v.shape[-1] for v in volumes])
    Y = np.vstack([_standardised(detrend(volume[mask].T, axis=0)) for volume in volumes])
    voxels = np.argwhere(mask)
    return Problem(
        delayed(base, runs, DELAYS).astype(dtype),
        Y.astype(dtype),
        runs,
        name=HAXBY,
        target_names=[f"voxel {i} {j} {k}" for i, j, k in voxels],
        meta={
            "source": SOURCE,
            "licence": LICENCE,
            "delays": list(DELAYS),
            "repetition_time_s": repetition,
            "features": [f"{name} delay {d}" for d in DELAYS for name in categories],
            "volume_shape": list(mask.shape),
            "affine": images[0].affine.tolist(),
            "voxels": voxels.tolist(),
        },
    )


def brain_map(problem: Problem, values: NDArray[Any]) -> NDArray[np.float64]:
    """Return ``values`` (s,) at their voxels in a volume that is NaN elsewhere.

    Raises `BadInput` for a problem that does not say where its targets are.
    """
    if "voxels" not in problem.meta:
        raise BadInput(f"{problem.name} has no voxel positions: only {HAXBY} can be drawn")
    volume = np.full(problem.meta["volume_shape"], np.nan)
    volume[tuple(np.array(problem.meta["voxels"]).T)] = values
    return volume


def _numbers() -> range:
    return range(1, RUNS + 1)


def _events(path: Path) -> list[tuple[float, float, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream, delimiter="\t")
        return [(float(r["onset"]), float(r["duration"]), r["trial_type"]) for r in rows]


def _boxcars(
    events: list[tuple[float, float, str]], categories: list[str], n: int, repetition: float
) -> NDArray[np.float64]:
    """Return (n, categories): 1 where a stimulus of the category was on as the volume began."""
    begins = repetition * np.arange(n)
    base = np.zeros((n, len(categories)))
    for onset, duration, category in events:
        on = (begins >= onset) & (begins < onset + duration)
        base[on, categories.index(category)] = 1
    return base


def _standardised(Y: NDArray[np.float64]) -> NDArray[np.float64]:
    return (Y - Y.mean(axis=0)) / Y.std(axis=0)
