"""Export of a prepared run as a video on the scanner's clock, for feature extraction."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from bench_core.errors import InputError, unknown
from bench_core.files import replace_file
from encoders.videogpt.clips.store import ClipStore

# Matroska's clock has milliseconds.
CLOCK = Fraction(1, 1000)


def export_run(store: ClipStore, name: str, path: Path) -> None:
    """Write the run ``name`` as a lossless Matroska video whose time 0 is the run's time 0.

    Each frame is shown at its time. The video is black before the first stretch of frames, in the
    gaps between stretches, and after the last frame. Where two stretches overlap, the later is
    shown from its start on.

    Raises `UnknownNameError` for an unknown run, and `InputError` for a run that starts before
    time 0.
    """
    number = next((i for i, run in enumerate(store.runs) if run.name == name), None)
    if number is None:
        raise unknown("run", name, [run.name for run in store.runs])
    times = store.times(number)
    if times[0] < 0:
        raise InputError(
            f"run {name} starts at {times[0]:.3f} s: prepare it with onsets of 0 s or later"
        )
    black = np.zeros((store.side, store.side, 3), np.uint8)

    def save(part: Path) -> None:
        with av.open(str(part), "w", format="matroska") as container:
            stream = container.add_stream("ffv1", rate=60)
            stream.width = stream.height = store.side
            stream.pix_fmt = "bgr0"
            stream.time_base = stream.codec_context.time_base = CLOCK
            shown = -1

            def show(picture: np.ndarray, time: float) -> None:
                nonlocal shown
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                # Two frames within a millisecond get consecutive time stamps.
                shown = frame.pts = max(round(time / CLOCK), shown + 1)
                frame.time_base = CLOCK
                container.mux(stream.encode(frame))

            ends = _ends(store.runs[number].segments, times)
            if times[0] > 0:
                show(black, 0.0)
            for (first, last), end in zip(store.runs[number].segments, ends, strict=True):
                following = times[last] if last < len(times) else np.inf
                for i in range(first, last):
                    if times[i] < following:
                        show(store.read(number, i, 1)[0], float(times[i]))
                if following - end > float(CLOCK):
                    show(black, end)
            container.mux(stream.encode())

    try:
        replace_file(path, save)
    except av.FFmpegError as error:
        raise InputError(f"{path} cannot be written ({error}): choose another file") from error


def _ends(segments: np.ndarray, times: np.ndarray) -> list[float]:
    """Return the end of each stretch; its last frame lasts as long as the previous one."""
    ends = []
    for first, last in segments:
        shown = times[last - 1] - times[last - 2] if last - first > 1 else 1 / 60
        ends.append(float(times[last - 1] + shown))
    return ends
