"""From features, one row per TR of the stimulus, to samples, one row per fMRI volume.

Volume i of a run is acquired from i · TR on. It is predicted from the features of a window of
TRs that ends ``start`` TRs earlier; the thesis concatenates the four TRs before the volume
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
    """Which TRs of the stimulus predict a volume.

    Parameters
    ----------
    tr : repetition time in seconds.
    window : TRs whose features are concatenated.
    start : TRs from a volume back to the latest TR of its window; 0 includes its own.
    phase : seconds after a TR's onset at which its frame is on the screen.
    first : TR of the stimulus at whose onset volume 0 was acquired; more than 0 when volumes at
        the run's beginning were removed, less when scanning began before the stimulus.
    """

    tr: float = THESIS_TR
    window: int = 4
    start: int = 1
    phase: float = 0.0
    first: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.tr < float("inf"):
            raise InputError(f"TR {self.tr} must be a number of seconds above 0")
        if self.window < 1 or self.start < 0:
            raise InputError(
                f"a window of {self.window} TRs that starts {self.start} before the sample: "
                "the window must be 1 or more, the start 0 or more"
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
class Samples:
    """The samples of one run.

    Parameters
    ----------
    X : (m, q · window); columns are grouped by delay, in the order of `Alignment.delays`, as in
        `bench_core.data.delays.delayed`.
    volumes : (m,) the fMRI volume of every row, ascending: take these rows of the targets.
    dropped : volumes without a full window.
    """

    X: NDArray[Any]
    volumes: NDArray[np.intp]
    dropped: int


def usable_volumes(
    trs: NDArray[np.integer[Any]], volumes: int, alignment: Alignment | None = None
) -> NDArray[np.intp]:
    """Return the volumes (m,) of 0 … ``volumes`` − 1 whose windows have features throughout.

    ``trs`` (n,) are the TRs that have features, ascending. Nothing is read but these, so a
    problem's size is known before its features are.
    """
    alignment = alignment or Alignment()
    _check_trs(trs)
    if volumes < 0:
        raise InputError(f"a run cannot have {volumes} volumes")
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
) -> Samples:
    """Return the samples of one run of ``volumes`` fMRI volumes.

    Parameters
    ----------
    features : (n, q), one row per TR of the stimulus that has features.
    trs : (n,) integers, ascending: the TR of every row.
    out : array or memory map (m, q · window) to write X into, m from `usable_volumes`; its dtype
        is kept. None makes one of the features' dtype.

    Raises
    ------
    InputError : when the sizes do not fit together or ``trs`` do not ascend.
    """
    alignment = alignment or Alignment()
    n, q = features.shape
    if trs.shape != (n,):
        raise InputError(f"{n} rows of features have {trs.shape} TRs: give one for each row")
    kept = usable_volumes(trs, volumes, alignment)
    shape = (len(kept), q * alignment.window)
    if out is None:
        out = np.empty(shape, dtype=features.dtype)
    elif out.shape != shape:
        raise InputError(f"out has shape {out.shape}: this run's samples need {shape}")
    for k, delay in enumerate(alignment.delays):
        rows = np.searchsorted(trs, kept + alignment.first - delay)
        out[:, k * q : (k + 1) * q] = features[rows]
    return Samples(out, kept, volumes - len(kept))


def _check_trs(trs: NDArray[np.integer[Any]]) -> None:
    if trs.ndim != 1 or trs.dtype.kind not in "iu" or np.any(np.diff(trs) <= 0):
        raise InputError("TRs must be ascending integers, each once")
