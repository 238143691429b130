"""A film's file: how it is opened, its clock, and the irregularities that decide what is read.

The *file's clock* is the container's: a time stamp of 0 is time 0. MPEG transport and program
streams and Ogg count from any number; there time 0 is the start of the earliest stream, such as
the sound. The first picture may come later than time 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av

from bench_core.errors import InputError, unknown
from encoders.orientation import AS_STORED, orientation_of

CLOCKS = ("file", "picture")
_NO_ZERO = 0x0200  # AVFMT_TS_DISCONT: time stamps of the format count from any number


@dataclass(frozen=True)
class Film:
    """Properties of a film that decide which pictures are read, and how they are turned.

    Parameters
    ----------
    clock : ``"file"``, times count from the file's time 0; ``"picture"``, from the first picture.
    first_picture : seconds from the file's time 0 to the first picture.
    orientation : as `encoders.orientation.orientation_of`; empty for pictures shown as stored.
    repeated_stamps : pictures with the time stamp of a later one, which is shown in their place.
    """

    clock: str
    first_picture: float
    orientation: str
    repeated_stamps: int

    def identity(self) -> dict[str, Any]:
        """Return what is irregular, for the key of stored features; empty for other films."""
        return {
            **self.clock_identity(),
            **({"orientation": self.orientation} if self.orientation else {}),
            **({"repeated_stamps": self.repeated_stamps} if self.repeated_stamps else {}),
        }

    def clock_identity(self) -> dict[str, Any]:
        """Return the clock and the first picture's time, where times differ between the clocks."""
        if self.clock == "picture" or not self.first_picture:
            return {}
        return {"clock": self.clock, "first_picture": self.first_picture}

    def to_dict(self) -> dict[str, Any]:
        """Return all fields by name."""
        return asdict(self)

    def notes(self) -> list[str]:
        """Return a sentence on each irregularity.

        >>> Film("file", 0.75, "", 0).notes()
        ["the first picture is at 0.750 s of the file's clock, from which times count"]
        """
        notes = []
        if self.first_picture:
            where = f"the first picture is at {self.first_picture:.3f} s of the file's clock"
            counted = "from which times count" if self.clock == "file" else "times count from it"
            notes.append(f"{where}, {counted}")
        if self.orientation:
            notes.append(f"pictures are turned as the file states ({self.orientation})")
        if self.repeated_stamps:
            notes.append(
                f"{self.repeated_stamps} pictures have the time stamp of a later one, which is "
                "shown in their place"
            )
        return notes


@contextmanager
def opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Yield PyAV's container and the first video stream of a film.

    Raises `InputError`, with the file's name, for all errors of PyAV within the context.
    """
    try:
        container = av.open(str(path), metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise InputError(
            f"{path} cannot be opened as a video ({error}): give a file that ffmpeg can read"
        ) from error
    with container:
        if not container.streams.video:
            raise InputError(f"{path} has no video stream: give a video file")
        stream = container.streams.video[0]
        try:
            stream.thread_type = "AUTO"
            yield container, stream
        except av.FFmpegError as error:
            raise InputError(
                f"{path} cannot be decoded to its end ({error}): copy or convert it again"
            ) from error


def film_of(path: str | Path, clock: str = "file") -> Film:
    """Return the properties of a film; all time stamps are read, and the first picture is decoded.

    Raises `InputError` for a file without a picture, and `UnknownNameError` for an unknown clock.
    """
    path = Path(path)
    with opened(path) as (container, stream):
        stamps = [p.pts for p in container.demux(stream) if p.pts is not None and not p.is_discard]
    with opened(path) as (container, stream):
        zero = file_zero(container)
        first = next((frame for frame in container.decode(stream) if frame.pts is not None), None)
        if first is None:
            raise no_picture(path)
        return Film(
            clock=checked_clock(clock),
            first_picture=round(float(first.pts * first.time_base) - zero, 6),
            orientation=orientation_of(first) or AS_STORED,
            repeated_stamps=len(stamps) - len(set(stamps)),
        )


def checked_clock(clock: str) -> str:
    """Return ``clock``; raise `UnknownNameError` for another than those of `CLOCKS`."""
    if clock not in CLOCKS:
        raise unknown("clock", clock, CLOCKS)
    return clock


def no_picture(path: Path) -> InputError:
    """Return the error for a file without a picture."""
    return InputError(f"{path} has no frame that can be decoded: copy or convert it again")


def file_zero(container: Any) -> float:
    """Return the time stamp, in seconds, of the file's time 0."""
    if not int(container.format.flags) & _NO_ZERO or container.start_time is None:
        return 0.0
    return float(container.start_time / av.time_base)


def stated_end(container: Any, stream: Any) -> float | None:
    """Return the time stamp, in seconds, at which a video ends by its header; None without one."""
    start = float((stream.start_time or 0) * stream.time_base)
    if stream.duration is not None:
        return start + float(stream.duration * stream.time_base)
    # Matroska has hours:minutes:seconds, from the file's time 0.
    parts = stream.metadata.get("DURATION", "").split(":")
    try:
        hours, minutes, seconds = map(float, parts)
    except ValueError:
        return None
    return hours * 3600 + minutes * 60 + seconds
