"""Sampling of frames of videos and replays at a frame rate, resized for the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError
from encoders import video
from encoders.videogpt.clips.resize import resize
from encoders.videogpt.clips.store import Stretch

Picture = NDArray[np.uint8]
ShownFrame = tuple[float, float, Callable[[], Picture]]
"""A frame's first and last moment in seconds, and the function that returns its pixels."""

# Frames resized together: some tens of megabytes at the sizes of game screens.
BATCH = 64
# Ticks are products of floats and time stamps are rounded: they are equal within a microsecond.
_SAME = 1e-6


def read_video(
    path: Path, side: int, frame_rate: float | None = None, clock: str = "file"
) -> Stretch:
    """Return the frames of a video file, upright and resized to ``side``; see `sample_frames`.

    Times count on the ``clock`` of `encoders.video.frames`.

    Raises `InputError` for a file that is not a video or is cut short.
    """

    def pictures() -> Iterator[ShownFrame]:
        for shown in video.frames(path, clock):
            yield shown.start, shown.end, shown.pixels

    return sample_frames(pictures(), side, frame_rate)


def sample_frames(
    shown: Iterable[ShownFrame], side: int, frame_rate: float | None = None
) -> Stretch:
    """Return sampled frames, resized to ``side``, with the times at which they were first shown.

    Parameters
    ----------
    frame_rate : frames per second. A frame is kept, once, if it is shown at a tick of this clock,
        which starts with the first frame. None keeps every frame.

    Raises `InputError` for a frame rate that is not above 0.
    """
    small: list[Picture] = []
    batch: list[Picture] = []
    times: list[float] = []
    for time, picture in at_rate(shown, frame_rate):
        batch.append(picture())
        times.append(time)
        if len(batch) == BATCH:
            small.append(resize(np.stack(batch), side))
            batch.clear()
    if batch:
        small.append(resize(np.stack(batch), side))
    if not small:
        return Stretch(np.empty((0, side, side, 3), np.uint8), np.empty(0))
    return Stretch(np.concatenate(small), np.array(times))


def at_rate(
    shown: Iterable[ShownFrame], frame_rate: float | None
) -> Iterator[tuple[float, Callable[[], Picture]]]:
    """Yield the start and the picture of every frame that is shown at a tick of the clock."""
    if frame_rate is not None and not frame_rate > 0:
        raise InputError(f"frame rate {frame_rate} must be above 0 frames/s")
    first: float | None = None
    tick = 0
    for start, until, picture in shown:
        first = start if first is None else first
        if frame_rate is None:
            yield start, picture
            continue
        if first + tick / frame_rate + _SAME < until:
            yield start, picture
            tick = int(np.ceil((until - first - _SAME) * frame_rate))
