"""A prepared run as a video file on the scanner's clock, for feature extraction."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from bench_core.errors import InputError
from encoders.videogpt.clips.store import ClipStore

# Matroska counts in milliseconds.
CLOCK = Fraction(1, 1000)


def export_run(store: ClipStore, name: str, path: Path) -> None:
    """Write the run ``name`` as a lossless Matroska video whose time 0 is the run's time 0.

    Frames are shown at their times. The screen is black before the first stretch of frames, in
    the gaps between stretches, and after the last frame's turn.

    Raises `InputError` for a run that begins before time 0.
    """
    number = next((i for i, run in enumerate(store.runs) if run.name == name), None)
    if number is None:
        raise InputError(f"{store.folder} has no run {name!r}")
    times = store.times(number)
    if times[0] < 0:
        raise InputError(f"run {name} begins {-times[0]:.3f} s before its time 0")
    black = np.zeros((store.side, store.side, 3), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        with av.open(str(partial), "w", format="matroska") as container:
            stream = container.add_stream("ffv1", rate=60)
            stream.width = stream.height = store.side
            stream.pix_fmt = "bgr0"
            stream.time_base = stream.codec_context.time_base = CLOCK
            shown = -1

            def show(picture: np.ndarray, time: float) -> None:
                nonlocal shown
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                # Two frames within a millisecond still follow one another.
                shown = frame.pts = max(round(time / CLOCK), shown + 1)
                frame.time_base = CLOCK
                container.mux(stream.encode(frame))

            ends = _ends(store.runs[number].segments, times)
            if times[0] > 0:
                show(black, 0.0)
            for (first, last), end in zip(store.runs[number].segments, ends, strict=True):
                for i in range(first, last):
                    show(store.read(number, i, 1)[0], float(times[i]))
                following = times[last] if last < len(times) else np.inf
                if following - end > float(CLOCK):
                    show(black, end)
            container.mux(stream.encode())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _ends(segments: np.ndarray, times: np.ndarray) -> list[float]:
    """Return when the last frame of each stretch goes: after as long as the frame before it."""
    ends = []
    for first, last in segments:
        shown = times[last - 1] - times[last - 2] if last - first > 1 else 1 / 60
        ends.append(float(times[last - 1] + shown))
    return ends
