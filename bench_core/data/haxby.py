"""One real problem: a slice of subject 1 of Haxby et al. (2001), shipped with the package.

"Distributed and overlapping representations of faces and objects in ventral temporal cortex",
Science 293. The files and their licence (CC BY-SA 3.0) are in ``haxby2001/``, with a README.
"""

from __future__ import annotations

from importlib.resources import as_file, files

import nibabel
import numpy as np
from numpy.typing import NDArray
from scipy.signal import detrend

from bench_core.data.delays import delayed
from bench_core.data.events import boxcars, read_events
from bench_core.data.problem import Problem
from bench_core.data.shapes import DELAYS, HAXBY, HAXBY_RUNS
from bench_core.data.space import TargetSpace

SOURCE = (
    "Haxby et al. (2001), Distributed and overlapping representations of faces and objects in "
    "ventral temporal cortex, Science 293; one slice of one subject, from PyMVPA's test data"
)
LICENCE = "CC BY-SA 3.0"


def haxby2001(*, dtype: str = "float64") -> Problem:
    """Return the slice as a problem of t = 1452 volumes, p = 32 features and s = 530 voxels.

    X: for 8 categories, 1 where a stimulus of that category was on as the volume began and 0
    elsewhere, delayed by 1–4 volumes within each run. Y: the voxels that are non-zero in every run,
    with the linear trend of each run removed and scaled to mean 0 and variance 1 in each run.
    """
    with as_file(files("bench_core.data") / HAXBY) as folder:
        images = [nibabel.load(folder / f"run-{run:02d}" / "bold.nii.gz") for run in _numbers()]
        tables = [folder / f"run-{run:02d}" / "events.tsv" for run in _numbers()]
        events = [read_events(table, required=("trial_type",)) for table in tables]
        volumes = [np.asarray(image.dataobj, dtype=np.float64) for image in images]
    mask = np.all([(volume != 0).all(axis=-1) for volume in volumes], axis=0)
    categories = sorted({str(event.trial_type) for event in events[0]})
    repetition = float(images[0].header.get_zooms()[3])
    base = np.vstack(
        [
            boxcars(run_events, categories, volume.shape[-1], repetition)
            for run_events, volume in zip(events, volumes, strict=True)
        ]
    )
    runs = np.repeat(np.array(list(_numbers()), np.int32), [v.shape[-1] for v in volumes])
    Y = np.vstack([_standardised(detrend(volume[mask].T, axis=0)) for volume in volumes])
    return Problem(
        delayed(base, runs, DELAYS).astype(dtype),
        Y.astype(dtype),
        runs,
        name=HAXBY,
        target_names=[f"voxel {i} {j} {k}" for i, j, k in np.argwhere(mask)],
        meta={
            "source": SOURCE,
            "licence": LICENCE,
            "delays": list(DELAYS),
            "repetition_time_s": repetition,
            "features": [f"{name} delay {d}" for d in DELAYS for name in categories],
        },
        space=TargetSpace.of_mask(mask, images[0].affine),
        volumes=np.concatenate([np.arange(volume.shape[-1]) for volume in volumes]),
    )


def _numbers() -> range:
    return range(1, HAXBY_RUNS + 1)


def _standardised(Y: NDArray[np.float64]) -> NDArray[np.float64]:
    return (Y - Y.mean(axis=0)) / Y.std(axis=0)
