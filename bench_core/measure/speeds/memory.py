"""Rates of memory by the size of arrays: caches, and what the allocator keeps, show in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench_core.measure.speeds.timing import middle, seconds_in_rounds
from bench_core.scaling.calibration import MemorySpeed

ARRAY_BYTES = (2**14, 2**18, 2**21, 2**24)
"""Sizes of arrays that caches or the allocator may hold."""

LARGE_BYTES = 2**26
"""Size of an array that none of them holds."""

_SECONDS = 0.3
"""Time for which a rate is repeated, all rounds together."""


def memory_rates(*, quick: bool = False) -> tuple[MemorySpeed, ...]:
    """Return the rates of one process between arrays in use, and into new memory.

    "stream" counts both directions. "pages" is new memory without huge pages, as
    `bench_core.ridge` takes for coefficients.
    """
    timed = list(_calls())
    least, rounds = (0.0, 1) if quick else (_SECONDS, 3)
    times = seconds_in_rounds([call for _, _, call in timed], least, rounds)
    return tuple(
        MemorySpeed(
            speed.kind,
            1,
            moved / middle(seconds) / 1e9,
            speed.array_bytes,
        )
        for (speed, moved, _), seconds in zip(timed, times, strict=True)
    )


def _calls() -> Iterator[tuple[MemorySpeed, int, Callable[[], object]]]:
    """Yield what is timed with any rate, the bytes that it moves, and the call.

    The largest comes first: glibc's allocator keeps what was freed up to the size of the largest
    block so far, at most 32 MiB, and is then as it is in the middle of a fit.
    """
    for size in (LARGE_BYTES, *reversed(ARRAY_BYTES)):
        named = None if size == LARGE_BYTES else size
        left, right = np.ones(size // 8), np.ones(size // 8)
        yield MemorySpeed("stream", 1, 1.0, named), 2 * size, partial(np.copyto, left, right)
        yield MemorySpeed("fresh", 1, 1.0, named), size, partial(np.full, size // 8, 1.0)
    yield MemorySpeed("pages", 1, 1.0), LARGE_BYTES, _pages


def _pages() -> NDArray[np.float64]:
    from bench_core.ridge.arrays.coef_file import fresh_memory

    found: NDArray[np.float64] = fresh_memory((LARGE_BYTES // 8192, 1024), np.float64)
    found.fill(1.0)
    return found
