"""Design matrices whose rows see the features of earlier samples of the same run.

The haemodynamic response lags the stimulus by seconds; delayed copies of the features let a
linear model find the lag (finite impulse response). A row never sees another run: what was shown
before a scan began is not the end of the scan before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError


def run_slices(runs: NDArray[Any]) -> list[slice]:
    """Return the stretches of consecutive equal values in ``runs`` (t,), in order."""
    edges = np.flatnonzero(np.diff(runs)) + 1
    bounds = [0, *edges.tolist(), len(runs)] if len(runs) else []
    return [slice(a, b) for a, b in pairwise(bounds)]


def delayed(base: NDArray[Any], runs: NDArray[Any], delays: Sequence[int]) -> NDArray[Any]:
    """Return X (t, q·d): for each of the d delays, the base features (t, q) that much earlier.

    Columns are grouped by delay, in the order given. Where a run has no such earlier sample, X
    is zero. ``runs`` (t,) numbers the run of every sample; each run must be one stretch.

    Raises `InputError` for delays that are negative, repeated or absent, and for a run in pieces.
    """
    if not delays or min(delays) < 0 or len(set(delays)) != len(delays):
        raise InputError(f"delays {list(delays)} must be different numbers of samples, 0 or more")
    t, q = base.shape
    if runs.shape != (t,):
        raise InputError(f"runs has shape {runs.shape}; {t} samples need shape ({t},)")
    stretches = run_slices(runs)
    if len(stretches) != len(np.unique(runs)):
        raise InputError("a run is in pieces: put the samples of every run next to each other")
    X = np.zeros((t, q * len(delays)), dtype=base.dtype)
    for rows in stretches:
        for k, delay in enumerate(delays):
            if delay < rows.stop - rows.start:
                columns = slice(k * q, (k + 1) * q)
                X[rows.start + delay : rows.stop, columns] = base[rows.start : rows.stop - delay]
    return X
