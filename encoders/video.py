"""Frames of a video at given times, by presentation time stamp.

A frame is shown from its own time stamp until the next frame's. Frame rates and frame counts are
not used: they are wrong for variable rates, and in containers that round them. Times count from
the first frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError
from encoders.protocol import Frames, InputSpec

# Sample times are products of floats and time stamps are ratios of integers: they count as equal
# within a microsecond (the finest usual tick is 11 µs).
_SAME = 1e-6
_MISSING = 1.0  # seconds: more than any rounding of a last frame's duration


@dataclass(frozen=True)
class Sample:
    """The frames of one TR.

    Parameters
    ----------
    tr : number of the TR, 0 at the start of the video.
    pixels : (frames, height, width, 3) uint8, red, green, blue.
    times : (frames,) presentation time stamps in seconds.
    """

    tr: int
    pixels: NDArray[np.uint8]
    times: NDArray[np.float64]


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    try:
        container = av.open(str(path))
    except (OSError, ValueError) as error:  # PyAV's errors derive from these
        raise InputError(
            f"{path} cannot be opened as a video ({error}): give a file that ffmpeg can read"
        ) from error
    with container:
        if not container.streams.video:
            raise InputError(f"{path} has no video stream: give a video file")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        yield container, stream


def duration(path: str | Path) -> float | None:
    """Return the duration in seconds that the file states, None when it states none.

    It serves progress bars only; `samples` depends on the frames themselves.
    """
    with _opened(Path(path)) as (container, stream):
        claimed = _claimed(stream)
        if claimed is None and container.duration is not None:
            return float(container.duration / av.time_base)
        return claimed


def _claimed(stream: Any) -> float | None:
    """Return the duration in seconds that the video stream states."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    # Matroska has hours:minutes:seconds, from the file's zero and not from the first frame.
    parts = stream.metadata.get("DURATION", "").split(":")
    try:
        hours, minutes, seconds = map(float, parts)
    except ValueError:
        return None
    return (
        hours * 3600 + minutes * 60 + seconds - float((stream.start_time or 0) * stream.time_base)
    )


def frames(path: str | Path) -> Iterator[tuple[float, float, Any]]:
    """Yield (start, end, frame) of every frame: seconds from the first frame, and PyAV's frame.

    The last frame ends after its own duration, or after the previous frame's where the file has
    none.

    Raises `InputError` for a file that is not a video, for frames without time stamps, and, after
    the last frame, for a file that ends over a second before its stated duration.
    """
    path = Path(path)
    with _opened(path) as (container, stream):
        first: float | None = None
        held: tuple[float, Any] | None = None
        gap = 0.0
        try:
            for frame in container.decode(stream):
                if frame.pts is None:
                    raise InputError(
                        f"{path} has frames without presentation time stamps: convert it to .mkv"
                    )
                stamp = float(frame.pts * frame.time_base)
                first = stamp if first is None else first
                now = stamp - first
                if held is not None:
                    if now <= held[0]:
                        continue  # never on the screen
                    gap = now - held[0]
                    yield held[0], now, held[1]
                held = now, frame
        except av.FFmpegError as error:
            raise InputError(
                f"{path} cannot be decoded to its end ({error}): copy or convert it again"
            ) from error
        if held is None:
            raise InputError(f"{path} has no frame that can be decoded: convert it again")
        last = held[1]
        length = float(last.duration * last.time_base) if last.duration else gap
        end = held[0] + length
        yield held[0], end, last
        claimed = _claimed(stream)
        if claimed is not None and end < claimed - _MISSING:
            raise InputError(
                f"{path} ends after {end:.2f} s and states a duration of {claimed:.2f} s: it is "
                "damaged or cut short; copy or convert it again"
            )


def samples(
    path: str | Path, spec: InputSpec, *, tr: float, phase: float = 0.0, start: int = 0
) -> Iterator[Sample]:
    """Yield one `Sample` per TR of the video, from TR ``start`` on, while it is decoded.

    TR i is at i · ``tr`` + ``phase`` seconds. Its frames are those shown at that time plus each of
    ``spec.offsets``. A TR has no sample when one of these times is before the first frame or after
    the end of the last.

    Only sampled frames are converted to pixels, each once, however many clips contain it.

    Raises `InputError` as `frames` does, and for a frame size that changes within the video.
    """
    offsets = spec.offsets + phase
    before = int(np.ceil((-offsets[0] - _SAME) / tr))
    # The next TR without a frame, for each slot of a clip; slot 0 is the earliest.
    waiting = np.full(spec.frames, max(start, before, 0), dtype=np.int64)
    open_clips: dict[int, tuple[NDArray[np.uint8], NDArray[np.float64]]] = {}
    shape: tuple[int, ...] = ()
    for shown, until, frame in frames(path):
        pixels: NDArray[np.uint8] | None = None
        for slot in range(spec.frames):
            while waiting[slot] * tr + offsets[slot] + _SAME < until:
                wanted = int(waiting[slot])
                waiting[slot] += 1
                if pixels is None:
                    pixels = frame.to_ndarray(format="rgb24")
                    shape = shape or pixels.shape
                    if pixels.shape != shape:
                        raise InputError(
                            f"{path} changes its frame size at {shown:.3f} s to "
                            f"{pixels.shape[:2]}: convert it to one size"
                        )
                if slot == 0:
                    open_clips[wanted] = (
                        np.empty((spec.frames, *shape), dtype=np.uint8),
                        np.empty(spec.frames),
                    )
                clip, times = open_clips[wanted]
                clip[slot], times[slot] = pixels, shown
                if slot == spec.frames - 1:
                    del open_clips[wanted]
                    yield Sample(wanted, clip, times)


def batches(
    path: str | Path, spec: InputSpec, size: int, *, tr: float, phase: float = 0.0, start: int = 0
) -> Iterator[tuple[NDArray[np.int64], Frames]]:
    """Yield the TRs (n,) and `Frames` of up to ``size`` samples at a time; see `samples`."""
    held: list[Sample] = []
    for sample in samples(path, spec, tr=tr, phase=phase, start=start):
        held.append(sample)
        if len(held) == size:
            yield _batch(held)
            held = []
    if held:
        yield _batch(held)


def _batch(held: list[Sample]) -> tuple[NDArray[np.int64], Frames]:
    trs = np.array([sample.tr for sample in held], dtype=np.int64)
    pixels = np.stack([sample.pixels for sample in held])
    return trs, Frames(pixels, np.stack([sample.times for sample in held]))
