"""The three ratios of the thesis, from median times in seconds.

S. Ahmadi, "Scaling up Machine Learning Models for fMRI Brain Encoding" (2025), chapter 3.
"""

from __future__ import annotations

import math


def speed_up(reference_seconds: float, seconds: float) -> float:
    """Return SU = T(1 thread) / T(N threads), same strategy and problem.

    Raises
    ------
    ValueError : a time that is not a positive number of seconds.

    Examples
    --------
    >>> speed_up(120.0, 30.0), parallel_efficiency(120.0, 30.0, 8)
    (4.0, 0.5)
    """
    for value in (reference_seconds, seconds):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"a time must be a positive number of seconds, not {value!r}")
    return reference_seconds / seconds


def parallel_efficiency(reference_seconds: float, seconds: float, threads: int) -> float:
    """Return PE = SU / N, 1 when N threads are N times as fast as one.

    Raises `ValueError` as `speed_up`, and for fewer than one thread.
    """
    if threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads!r}")
    return speed_up(reference_seconds, seconds) / threads


def distributed_speed_up(ridgecv_one_thread_seconds: float, seconds: float) -> float:
    """Return DSU = T(`ridgecv`, 1 node, 1 thread) / T(strategy, c nodes, N threads).

    Raises `ValueError` as `speed_up`.
    """
    return speed_up(ridgecv_one_thread_seconds, seconds)
