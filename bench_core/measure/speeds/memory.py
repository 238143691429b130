"""Rates of memory by the size of arrays: caches, and what the allocator keeps, show in them.

glibc's allocator gives freed memory back to the system once there is twice as much of it as its
largest block so far, and always from 32 MiB on: most arrays of a fit are then new pages again and
again. Its state depends on what a process did before, so this is timed in a process of its own,
small arrays first.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench_core.measure.speeds.timing import seconds_in_rounds
from bench_core.scaling.calibration import MemorySpeed

ARRAY_BYTES = (2**14, 2**18, 2**20, 2**22, 2**24)
"""Sizes of arrays that caches or the allocator may hold."""

LARGE_BYTES = 2**26
"""Size of an array that none of them holds."""

TOGETHER = 3
"""New arrays that are alive at the same time, as intermediate results of a fit are."""

_SECONDS = 0.15
"""Time for which a rate is repeated, all rounds together."""


def memory_rates(*, quick: bool = False) -> tuple[MemorySpeed, ...]:
    """Return the rates of one process between arrays in use, and into new memory.

    "stream" counts both directions. "pages" is new memory without huge pages, as
    `bench_core.ridge` takes for coefficients.
    """
    least, rounds = (0.0, 1) if quick else (_SECONDS, 3)
    left, right = (np.ones(LARGE_BYTES // 8) for _ in range(2))
    found = []
    for size in (*ARRAY_BYTES, LARGE_BYTES):
        named = None if size == LARGE_BYTES else size
        copy = partial(np.copyto, left[: size // 8], right[: size // 8])
        (copied,) = seconds_in_rounds([copy], least, rounds)
        (filled,) = seconds_in_rounds([partial(_fill, size)], least, rounds)
        found += [
            MemorySpeed("stream", 1, 2 * size / min(copied) / 1e9, named),
            MemorySpeed("fresh", 1, TOGETHER * size / min(filled) / 1e9, named),
        ]
    (paged,) = seconds_in_rounds([_pages], least, rounds)
    return (*found, MemorySpeed("pages", 1, LARGE_BYTES / min(paged) / 1e9))


def _fill(size: int) -> list[NDArray[np.float64]]:
    return [np.full(size // 8, 1.0) for _ in range(TOGETHER)]


def _pages() -> NDArray[np.float64]:
    from bench_core.ridge.arrays.coef_file import fresh_memory

    found: NDArray[np.float64] = fresh_memory((LARGE_BYTES // 8192, 1024), np.float64)
    found.fill(1.0)
    return found
