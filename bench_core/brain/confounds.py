"""Confounds that are regressed out of every voxel: motion and slow drifts.

The thesis removes 24 motion parameters (six estimates, their differences, and the squares of
both; Friston et al. 1996) and drifts slower than 128 s. fMRIPrep's tables have them all; for
other data they are computed from the six estimates.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.brain.bids import companions
from bench_core.brain.content import absent_content
from bench_core.errors import InputError
from bench_core.files import read_json, read_text

HIGH_PASS_SECONDS = 128.0
_TABLES = tuple(f"_{kind}.tsv{end}" for kind in ("timeseries", "regressors") for end in ("", ".gz"))
STRATEGIES = ("motion", "high_pass", "wm_csf", "global_signal", "compcor", "ica_aroma", "scrub")


class NoConfoundsError(InputError):
    """A run that cannot be cleaned, and is excluded for the reason in the message."""


@dataclass(frozen=True, eq=False)
class RunConfounds:
    """Confounds of one run.

    Parameters
    ----------
    values : (volumes, c), None when nothing is removed.
    kept : (m,) volumes to keep: not those before the steady state, nor scrubbed ones.
    files : the tables they come from.
    notes : what was not done, or dropped, in whole sentences.
    """

    values: NDArray[np.float64] | None
    kept: NDArray[np.intp]
    files: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()


def of_fmriprep(bold: Path, strategy: Sequence[str], motion: str, volumes: int) -> RunConfounds:
    """Return the confounds of the image ``bold``, none for an empty ``strategy``.

    The table is found by its BIDS entities and read by nilearn, compressed (``.tsv.gz``) or not.

    Raises `NoConfoundsError` when the table, or a column that the strategy needs, is missing, or
    when no volume is left. Raises `InputError` when the table is not as long as the run, a file is
    damaged, or a kept volume has no value.
    """
    everything = np.arange(volumes, dtype=np.intp)
    if not strategy:
        return RunConfounds(None, everything)
    path = _table_of(bold)
    table, sample_mask = _load(path, strategy, motion)
    kept = everything if sample_mask is None else np.asarray(sample_mask, dtype=np.intp)
    if len(table) != volumes:
        raise InputError(
            f"{bold} has {volumes} volumes and its confounds {len(table)} rows: copy both again, "
            "or name the run in pairing.exclude"
        )
    if not len(kept):
        raise NoConfoundsError(f"scrubbing leaves none of its {volumes} volumes")
    values = table.to_numpy(dtype=np.float64)
    wrong = np.argwhere(~np.isfinite(values[kept]))
    if len(wrong):
        row, column = kept[wrong[0][0]], wrong[0][1]
        raise InputError(
            f"{path} holds {values[row, column]} in column {table.columns[column]}, row {row} "
            "(counted from 0): correct the table, or name the run in pairing.exclude"
        )
    notes = []
    if "high_pass" in strategy and not any("cosine" in name for name in table.columns):
        notes.append("no high-pass was applied: its table of confounds has no cosine columns")
    if len(kept) < volumes:
        how = "or scrubbed" if "scrub" in strategy else "as its table says"
        notes.append(
            f"{volumes - len(kept)} of {volumes} volumes are left out: before the steady state, "
            f"{how}"
        )
    return RunConfounds(values, kept, (path,), tuple(notes))


def _table_of(bold: Path) -> Path:
    """Return the table of confounds beside the image; raise `NoConfoundsError` without one."""
    found = companions(bold, "confounds", _TABLES)
    if not found:
        raise NoConfoundsError("no table of confounds beside its image")
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise NoConfoundsError(f"several tables of confounds: {names}; remove all but one")
    absent = absent_content(found[0])
    if absent is not None:
        raise NoConfoundsError(f"no confounds: {found[0].name}: {absent}")
    return found[0]


def _load(path: Path, strategy: Sequence[str], motion: str) -> tuple[Any, Any]:
    """Return nilearn's table and sample mask, from a copy under the names that nilearn reads.

    nilearn takes the name of an image, which need not exist, and reads no compressed tables.
    """
    from nilearn.interfaces.fmriprep import load_confounds

    side = path.with_name(path.name.removesuffix(".gz").removesuffix(".tsv") + ".json")
    with TemporaryDirectory() as name:
        folder = Path(name)
        table = folder / "sub-x_desc-confounds_timeseries.tsv"
        table.write_text(read_text(path), encoding="utf-8")
        if side.is_file():
            table.with_suffix(".json").write_text(json.dumps(read_json(side)), encoding="utf-8")
        image = str(folder / "sub-x_desc-preproc_bold.nii.gz")
        try:
            with warnings.catch_warnings():
                # The mean of no volume, where scrubbing removes all: reported by the caller.
                warnings.simplefilter("ignore", RuntimeWarning)
                found: tuple[Any, Any] = load_confounds(
                    image, strategy=tuple(strategy), motion=motion
                )
                return found
        except (ValueError, LookupError) as error:
            words = " ".join(str(error).replace(name, str(path.parent)).split())
            raise NoConfoundsError(f"no confounds: {path.name}: {words}") from error


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
