"""Frames of a video at given times, by presentation time stamp.

A frame is shown from its own time stamp until the next frame's. Frame rates and frame counts are
not used: they are wrong for variable rates, and in containers that round them. Times count from
the file's time 0, or from the first frame (`encoders.film`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError
from encoders.film import checked_clock, file_zero, no_picture, opened, stated_end
from encoders.orientation import upright
from encoders.protocol import Frames, InputSpec

# Sample times are products of floats and time stamps are ratios of integers: they count as equal
# within a microsecond (the finest usual tick is 11 µs).
_SAME = 1e-6
_MISSING = 1.0  # seconds: more than any rounding of a last frame's duration

BATCH_BYTES = 2**28
"""Bytes of pixels at which a batch is full, however few its samples."""


@dataclass(frozen=True)
class Sample:
    """The frames of one TR.

    Parameters
    ----------
    tr : number of the TR, 0 at time 0.
    pixels : (frames, height, width, 3) uint8, red, green, blue, upright.
    times : (frames,) presentation time stamps in seconds.
    """

    tr: int
    pixels: NDArray[np.uint8]
    times: NDArray[np.float64]


class ShownFrame(NamedTuple):
    """One picture: when it is on the screen, in seconds, PyAV's frame, and the film's file."""

    start: float
    end: float
    frame: Any
    path: Path

    def pixels(self) -> NDArray[np.uint8]:
        """Return the pixels (height, width, 3) uint8, red, green, blue, turned upright.

        Raises `InputError` for a picture that cannot be converted.
        """
        try:
            return upright(self.frame)
        except InputError as error:
            raise InputError(f"{self.path} at {self.start:.3f} s: {error}") from error


def duration(path: str | Path, clock: str = "file") -> float | None:
    """Return the time in seconds at which the film ends by its header, None when it states none.

    It serves progress bars only; `samples` depends on the frames themselves.
    """
    with opened(Path(path)) as (container, stream):
        start = float((stream.start_time or 0) * stream.time_base)
        zero = file_zero(container) if checked_clock(clock) == "file" else start
        end = stated_end(container, stream)
        if end is None and container.duration is not None:
            end = float(((container.start_time or 0) + container.duration) / av.time_base)
        return None if end is None else end - zero


def frames(path: str | Path, clock: str = "file") -> Iterator[ShownFrame]:
    """Yield every frame with its start and its end in seconds.

    The last frame ends after its own duration, or after the previous frame's where the file has
    none. Of frames with one time stamp the last is shown.

    Parameters
    ----------
    clock : ``"file"``, seconds count from the file's time 0 (see `encoders.film`); ``"picture"``,
        from the first frame.

    Raises
    ------
    InputError : a file that is not a video or has no frame, frames without time stamps or with
        stamps that go back, and, after the last frame, a file that ends over a second before its
        stated end.
    UnknownNameError : an unknown clock.
    """
    path = Path(path)
    checked_clock(clock)
    with opened(path) as (container, stream):
        zero = file_zero(container) if clock == "file" else None
        held: tuple[float, Any] | None = None
        gap = 0.0
        for number, frame in enumerate(container.decode(stream)):
            if frame.pts is None:
                raise InputError(
                    f"{path} has frames without presentation time stamps: convert it to .mkv"
                )
            stamp = float(frame.pts * frame.time_base)
            zero = stamp if zero is None else zero
            now = stamp - zero
            if held is not None and now < held[0]:
                raise InputError(
                    f"{path}: time stamps go back from {held[0]:.3f} s to {now:.3f} s at picture "
                    f"{number}: give the film new ones by converting it"
                )
            if held is not None and now > held[0]:
                gap = now - held[0]
                yield ShownFrame(held[0], now, held[1], path)
            held = now, frame
        if held is None or zero is None:
            raise no_picture(path)
        last = held[1]
        length = float(last.duration * last.time_base) if last.duration else gap
        end = held[0] + length
        yield ShownFrame(held[0], end, last, path)
        claimed = stated_end(container, stream)
        if claimed is not None and end < claimed - zero - _MISSING:
            raise InputError(
                f"{path} ends at {end:.2f} s and states an end at {claimed - zero:.2f} s: it is "
                "damaged or cut short; copy or convert it again"
            )


def samples(
    path: str | Path,
    spec: InputSpec,
    *,
    tr: float,
    phase: float = 0.0,
    start: int = 0,
    clock: str = "file",
) -> Iterator[Sample]:
    """Yield one `Sample` per TR of the video, from TR ``start`` on, while it is decoded.

    TR i is at i · ``tr`` + ``phase`` seconds of the ``clock``, as in `frames`. Its frames are those
    shown at that time plus each of ``spec.offsets``. A TR has no sample when one of these times is
    before the first frame or after the end of the last.

    Only sampled frames are converted to pixels, each once, however many clips contain it.

    Raises `InputError` as `frames` does, and for a frame size that changes within the video.
    """
    offsets = spec.offsets + phase
    # The next TR without a frame, for each slot of a clip; slot 0 is the earliest.
    waiting: NDArray[np.int64] | None = None
    open_clips: dict[int, tuple[NDArray[np.uint8], NDArray[np.float64]]] = {}
    shape: tuple[int, ...] = ()
    for shown in frames(path, clock):
        if waiting is None:
            before = int(np.ceil((shown.start - offsets[0] - _SAME) / tr))
            waiting = np.full(spec.frames, max(start, before, 0), dtype=np.int64)
        pixels: NDArray[np.uint8] | None = None
        for slot in range(spec.frames):
            while waiting[slot] * tr + offsets[slot] + _SAME < shown.end:
                wanted = int(waiting[slot])
                waiting[slot] += 1
                if pixels is None:
                    pixels = shown.pixels()
                    shape = shape or pixels.shape
                    if pixels.shape != shape:
                        raise InputError(
                            f"{path} changes its frame size at {shown.start:.3f} s to "
                            f"{pixels.shape[:2]}: convert it to one size"
                        )
                if slot == 0:
                    open_clips[wanted] = (
                        np.empty((spec.frames, *shape), dtype=np.uint8),
                        np.empty(spec.frames),
                    )
                clip, times = open_clips[wanted]
                clip[slot], times[slot] = pixels, shown.start
                if slot == spec.frames - 1:
                    del open_clips[wanted]
                    yield Sample(wanted, clip, times)


def batches(
    path: str | Path,
    spec: InputSpec,
    size: int,
    *,
    tr: float,
    phase: float = 0.0,
    start: int = 0,
    clock: str = "file",
) -> Iterator[tuple[NDArray[np.int64], Frames]]:
    """Yield the TRs (n,) and `Frames` of up to ``size`` samples at a time; see `samples`.

    Clips of large pictures come fewer at a time, once their pixels take `BATCH_BYTES`.
    """
    held: list[Sample] = []
    for sample in samples(path, spec, tr=tr, phase=phase, start=start, clock=clock):
        held.append(sample)
        if len(held) == size or len(held) * sample.pixels.nbytes >= BATCH_BYTES:
            yield _batch(held)
            held = []
    if held:
        yield _batch(held)


def _batch(held: list[Sample]) -> tuple[NDArray[np.int64], Frames]:
    trs = np.array([sample.tr for sample in held], dtype=np.int64)
    pixels = np.stack([sample.pixels for sample in held])
    return trs, Frames(pixels, np.stack([sample.times for sample in held]))
