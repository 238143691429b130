"""Frames of videos and replays, chosen by time and resized, as stretches for the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError
from encoders import video
from encoders.videogpt.clips.resize import resize
from encoders.videogpt.clips.store import Stretch

Picture = NDArray[np.uint8]
# A frame on the screen from the first time until the second; the picture is made when asked for.
Shown = tuple[float, float, Callable[[], Picture]]

# Frames resized at once: some tens of megabytes at the sizes of game screens.
BATCH = 64
# Ticks are products of floats and time stamps are rounded: equal means within a microsecond.
_SAME = 1e-6


def read_video(path: Path, side: int, frame_rate: float | None = None) -> Stretch:
    """Return a whole video file resized to ``side``; see `gather`.

    Times count from the first frame. Raises `InputError` for what is no video or breaks off.
    """

    def shown() -> Iterator[Shown]:
        for start, until, frame in video.frames(path):
            yield start, until, partial(frame.to_ndarray, format="rgb24")

    return gather(shown(), side, frame_rate)


def gather(shown: Iterable[Shown], side: int, frame_rate: float | None = None) -> Stretch:
    """Return the chosen frames, resized to ``side``, with the times they were first shown.

    Parameters
    ----------
    frame_rate : frames per second: those on the screen at the ticks of this clock, counted from
        the first frame, each once. None keeps every frame.
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
    shown: Iterable[Shown], frame_rate: float | None
) -> Iterator[tuple[float, Callable[[], Picture]]]:
    """Yield the time and picture of every frame that is on the screen at a tick."""
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
