"""Alignment of features (one row per TR of the stimulus) to samples (one row per fMRI volume).

The acquisition of volume i of a run starts at i · TR. Its predictors are the features of a window
of TRs that ends ``start`` TRs earlier. The thesis concatenates the four TRs before the volume
(section 3.2.1: TR 1.49 s, 4 × 4096 = 16,384 features). A window never reaches into another run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError

THESIS_TR = 1.49


@dataclass(frozen=True)
class Alignment:
    """The TRs of the stimulus that predict a volume.

    Parameters
    ----------
    tr : repetition time in seconds.
    window : number of TRs whose features are concatenated.
    start : TRs from a volume back to the latest TR of its window; 0 includes the volume's own.
    phase : seconds from a TR's onset to the time at which its frame is read.
    first : TR of the stimulus at the onset of volume 0: above 0 when the run's first volumes were
        removed, below 0 when the scan started before the stimulus.

    Raises `InputError` for a value out of range.

    Examples
    --------
    >>> Alignment().delays
    (1, 2, 3, 4)
    """

    tr: float = THESIS_TR
    window: int = 4
    start: int = 1
    phase: float = 0.0
    first: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.tr < float("inf"):
            raise InputError(f"TR {self.tr} s must be above 0 and finite")
        if self.window < 1 or self.start < 0:
            raise InputError(
                f"window {self.window} and start {self.start}: give a window of 1 TR or more and "
                "a start of 0 or more"
            )
        if not 0 <= self.phase < self.tr:
            raise InputError(
                f"phase {self.phase} s must be at least 0 and below the TR {self.tr} s"
            )

    @property
    def delays(self) -> tuple[int, ...]:
        """TRs from a volume back to each TR of its window, nearest first: (1, 2, 3, 4)."""
        return tuple(range(self.start, self.start + self.window))


@dataclass(frozen=True)
class AlignedSamples:
    """The samples of one run.

    Parameters
    ----------
    X : (m, q · window); columns are grouped by delay, in the order of `Alignment.delays`, as in
        `bench_core.data.delays.delayed`.
    volumes : (m,) the fMRI volume of each row, ascending; index the targets with it.
    dropped : number of volumes without a full window.
    """

    X: NDArray[Any]
    volumes: NDArray[np.intp]
    dropped: int


def usable_volumes(
    trs: NDArray[np.integer[Any]], volumes: int, alignment: Alignment | None = None
) -> NDArray[np.intp]:
    """Return the volumes (m,) of 0 … ``volumes`` − 1 with features at every TR of their windows.

    ``trs`` (n,) are the TRs that have features, ascending. No features are read, so that the size
    of a problem can be computed first.

    Raises `InputError` for TRs that do not ascend and for a negative number of volumes.
    """
    alignment = alignment or Alignment()
    _check_trs(trs)
    if volumes < 0:
        raise InputError(f"{volumes} volumes: give 0 or more")
    own = np.arange(volumes) + alignment.first
    full = np.ones(volumes, dtype=bool)
    for delay in alignment.delays:
        full &= np.isin(own - delay, trs)
    return np.flatnonzero(full)


def align(
    features: NDArray[Any],
    trs: NDArray[np.integer[Any]],
    volumes: int,
    alignment: Alignment | None = None,
    *,
    out: NDArray[Any] | None = None,
) -> AlignedSamples:
    """Return the samples of one run of ``volumes`` fMRI volumes.

    Parameters
    ----------
    features : (n, q), one row per TR of the stimulus that has features.
    trs : (n,) integers, ascending: the TR of each row.
    out : array or memory map (m, q · window) to write X into, m from `usable_volumes`; its dtype
        is kept. None allocates one of the features' dtype.

    Raises
    ------
    InputError : the sizes contradict each other, or ``trs`` do not ascend.

    Examples
    --------
    >>> found = align(np.arange(6.0)[:, None], np.arange(6), 6, Alignment(window=2))
    >>> found.volumes.tolist(), found.X[0].tolist()
    ([2, 3, 4, 5], [1.0, 0.0])
    """
    alignment = alignment or Alignment()
    n, q = features.shape
    if trs.shape != (n,):
        raise InputError(f"TRs of shape {trs.shape} for {n} rows of features: give shape ({n},)")
    kept = usable_volumes(trs, volumes, alignment)
    shape = (len(kept), q * alignment.window)
    if out is None:
        out = np.empty(shape, dtype=features.dtype)
    elif out.shape != shape:
        raise InputError(f"out has shape {out.shape}: the samples of this run need {shape}")
    for k, delay in enumerate(alignment.delays):
        rows = np.searchsorted(trs, kept + alignment.first - delay)
        out[:, k * q : (k + 1) * q] = features[rows]
    return AlignedSamples(out, kept, volumes - len(kept))


def _check_trs(trs: NDArray[np.integer[Any]]) -> None:
    if trs.ndim != 1 or trs.dtype.kind not in "iu" or np.any(np.diff(trs) <= 0):
        raise InputError(f"TRs {trs!r}: they must be ascending integers without repeats")
