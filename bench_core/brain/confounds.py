"""Confounds that are regressed out of every voxel: motion and slow drifts.

The thesis removes 24 motion parameters (six estimates, their differences, and the squares of
both; Friston et al. 1996) and drifts slower than 128 s. fMRIPrep's tables have them all; for
other data they are computed from the six estimates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError

HIGH_PASS_SECONDS = 128.0
STRATEGIES = ("motion", "high_pass", "wm_csf", "global_signal", "compcor", "ica_aroma", "scrub")


class NoConfoundsError(InputError):
    """Missing confounds of a run; the run is excluded for the reason in the message."""


def of_fmriprep(
    bold: Path, strategy: Sequence[str], motion: str, volumes: int
) -> tuple[NDArray[np.float64] | None, NDArray[np.intp]]:
    """Return the confounds (volumes, c), None for an empty strategy, and the volumes to keep.

    Volumes that fMRIPrep found before the steady state, or that scrubbing removes, are not kept.

    Raises `NoConfoundsError` when the table, or a column that the strategy needs, is missing, and
    `InputError` when the table is not as long as the run, or a kept volume has no value.
    """
    from nilearn.interfaces.fmriprep import load_confounds

    everything = np.arange(volumes, dtype=np.intp)
    if not strategy:
        return None, everything
    try:
        table, sample_mask = load_confounds(str(bold), strategy=tuple(strategy), motion=motion)
    except ValueError as error:
        raise NoConfoundsError("no confounds: " + " ".join(str(error).split())) from error
    kept = everything if sample_mask is None else np.asarray(sample_mask, dtype=np.intp)
    if len(table) != volumes:
        raise InputError(
            f"{bold} has {volumes} volumes and its confounds {len(table)} rows: copy both again, "
            "or name the run in pairing.exclude"
        )
    values = table.to_numpy(dtype=np.float64)
    wrong = np.argwhere(~np.isfinite(values[kept]))
    if len(wrong):
        row, column = kept[wrong[0][0]], wrong[0][1]
        raise InputError(
            f"the confounds of {bold} hold {values[row, column]} in column "
            f"{table.columns[column]}, row {row} (counted from 0): correct the table, or name the "
            "run in pairing.exclude"
        )
    return values, kept


def of_motion(path: Path, tr: float, volumes: int) -> NDArray[np.float64]:
    """Return 24 motion parameters and drifts from a text file of six estimates per volume.

    Raises `NoConfoundsError` for a missing file, `InputError` for one of another size.
    """
    if not path.is_file():
        raise NoConfoundsError(f"no confounds: {path} does not exist")
    try:
        estimates = np.loadtxt(path, ndmin=2)
    except ValueError as error:
        raise InputError(f"{path} is not a table of motion estimates: {error}") from error
    if estimates.shape != (volumes, 6):
        raise InputError(
            f"{path} holds {estimates.shape[0]} × {estimates.shape[1]} numbers: a run of {volumes} "
            f"volumes needs {volumes} × 6 motion estimates"
        )
    if not np.isfinite(estimates).all():
        row, column = np.argwhere(~np.isfinite(estimates))[0]
        raise InputError(
            f"{path} holds {estimates[row, column]} in row {row}, column {column} (counted from "
            "0): correct the table, or name the run in pairing.exclude"
        )
    return np.hstack([motion24(estimates), drifts(volumes, tr)])


def motion24(estimates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n, 24): six estimates (n, 6), their differences, and the squares of both."""
    differences = np.diff(estimates, axis=0, prepend=estimates[:1])
    both = np.hstack([estimates, differences])
    return np.hstack([both, both**2])


def drifts(n: int, tr: float, period: float = HIGH_PASS_SECONDS) -> NDArray[np.float64]:
    """Return (n, k) cosines slower than one cycle in ``period`` seconds, without the constant.

    The discrete cosine basis that SPM and fMRIPrep use: column j is cos(π j (2i + 1) / 2n),
    j = 1 … ⌊2 n tr / period⌋.
    """
    orders = np.arange(1, int(2 * n * tr / period) + 1)
    return np.cos(np.pi * orders * (2 * np.arange(n)[:, None] + 1) / (2 * n))
