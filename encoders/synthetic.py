"""Synthetic videos for benchmarks, examples and tests.

`numbered` frames show their own number as 16 bars that survive lossy compression, so that a test
can tell which frame was read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError

_BITS = 16
_TICKS = 90_000  # per second: the usual clock of video containers


def write_video(
    path: str | Path,
    frames: Iterable[NDArray[np.uint8]],
    times: Sequence[float],
    *,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
) -> None:
    """Write a video of ``frames`` (height, width, 3) uint8, each shown from its time on.

    Height and width must be even. ``times`` are seconds, ascending, regular or not. The suffix
    (``.mkv``, ``.mp4``, …) chooses the container; Matroska rounds times to milliseconds.

    Raises `InputError` for times that do not ascend.
    """
    stamps = [round(time * _TICKS) for time in times]
    if any(b <= a for a, b in pairwise(stamps)):
        raise InputError(f"frame times {list(times)[:4]} …: they must ascend")
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=Fraction(30), options=options or {})
        stream.codec_context.time_base = Fraction(1, _TICKS)
        stream.codec_context.bit_rate = 4_000_000
        stream.pix_fmt = "yuv420p"
        for number, (pixels, stamp) in enumerate(zip(frames, stamps, strict=True)):
            if number == 0:
                stream.height, stream.width = pixels.shape[:2]
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, _TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def numbered(number: int, height: int = 48, width: int = 128) -> NDArray[np.uint8]:
    """Return a frame (height, width, 3) that shows ``number`` (below 65,536) as 16 bars.

    >>> read_number(numbered(12_345))
    12345
    """
    if not 0 <= number < 2**_BITS:
        raise InputError(f"number {number} does not fit in {_BITS} bars: give 0 to {2**_BITS - 1}")
    bits = (number >> np.arange(_BITS)) & 1
    edges = np.arange(width) * _BITS // width
    row = np.where(bits[edges], 235, 16).astype(np.uint8)
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def read_number(pixels: NDArray[Any]) -> int:
    """Return the number of a `numbered` frame (height, width, 3) of any size."""
    grey = pixels.mean(axis=(0, 2))
    centres = ((np.arange(_BITS) + 0.5) * len(grey) / _BITS).astype(int)
    return int(((grey[centres] > 127).astype(int) << np.arange(_BITS)).sum())
