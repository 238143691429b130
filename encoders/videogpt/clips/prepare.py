"""Preparation of video files and recordings as runs of a clip store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bench_core.errors import InputError
from encoders.film import film_of
from encoders.videogpt.clips.events import ClipEvent, frame_times, read_events
from encoders.videogpt.clips.irregular import overlaps, refuse, stretched
from encoders.videogpt.clips.recordings import length, machine_rate, replay
from encoders.videogpt.clips.sampling import ShownFrame, read_video, sample_frames
from encoders.videogpt.clips.store import Stretch, write_run


@dataclass(frozen=True)
class Recording:
    """One repetition of a game in a run.

    ``onset`` and ``duration`` are seconds on the scanner's clock. Without them the recording starts
    at 0 and has the game machine's frame rate.
    """

    path: Path
    onset: float | None = None
    duration: float | None = None


def prepare_video(
    folder: Path,
    name: str,
    path: Path,
    *,
    subject: str,
    side: int,
    frame_rate: float | None = None,
    clock: str = "file",
    strict: bool = False,
) -> Path:
    """Write a video file as the run ``name`` of the store ``folder``; return the run's file.

    Times count on the ``clock`` of `encoders.video.frames`. What is irregular about the film is
    in the run's notes; with ``strict`` it raises `InputError`.
    """
    notes = film_of(path, clock).notes()
    if strict:
        refuse(str(path), notes)
    stretch = read_video(path, side, frame_rate, clock)
    return write_run(folder, name, [stretch], subject=subject, source=path.name, notes=notes)


def prepare_recordings(
    folder: Path,
    name: str,
    recordings: Sequence[Recording],
    *,
    subject: str,
    side: int,
    frame_rate: float | None = None,
    notes: Sequence[str] = (),
    strict: bool = False,
) -> Path:
    """Write the recordings of one run as ``name`` of the store ``folder``; return its file.

    What is irregular about them follows ``notes`` in those of the run; with ``strict`` it raises
    `InputError` before anything is replayed.
    """
    notes = [*notes, *irregularities(recordings)]
    if strict:
        refuse(f"run {name}", notes)

    def stretches() -> Iterator[Stretch]:
        for recording in recordings:
            yield _replayed(recording, side, frame_rate)

    source = ", ".join(recording.path.name for recording in recordings)
    return write_run(folder, name, stretches(), subject=subject, source=source, notes=notes)


def irregularities(recordings: Sequence[Recording]) -> list[str]:
    """Return a sentence on every recording that overlaps the next or has a wrong duration."""
    events = [
        ClipEvent(each.onset, each.duration, each.path.name)
        for each in recordings
        if each.onset is not None and each.duration is not None
    ]
    notes = overlaps(events)
    timed = [each for each in recordings if each.onset is not None and each.duration is not None]
    for event, recording in zip(events, timed, strict=True):
        notes += stretched(event, length(recording.path), machine_rate(recording.path))
    return notes


def recordings_of(events: Path, root: Path) -> list[Recording]:
    """Return the recordings named by an events file, in the folder ``root``, with their timing.

    Raises `InputError` for a recording that is missing and for a file that names none.
    """
    found = []
    for event in read_events(events):
        path = root / event.stim_file
        if not path.is_file():
            raise InputError(
                f"{events} names {event.stim_file}, which is not in {root}: give its folder as root"
            )
        found.append(Recording(path, event.onset, event.duration))
    if not found:
        raise InputError(f"{events} names no recording: fill in the column stim_file")
    return found


def _replayed(recording: Recording, side: int, frame_rate: float | None) -> Stretch:
    """Return the frames of one recording with the times of its event."""
    count = length(recording.path)
    if recording.onset is None or recording.duration is None:
        times = frame_times(count, 0.0, count / machine_rate(recording.path))
    else:
        times = frame_times(count, recording.onset, recording.duration)
    ends = np.append(times[1:], 2 * times[-1] - times[-2] if count > 1 else np.inf)

    def shown() -> Iterator[ShownFrame]:
        pictures = replay(recording.path)
        for start, until, picture in zip(times, ends, pictures, strict=True):
            yield float(start), float(until), partial(np.asarray, picture)

    return sample_frames(shown(), side, frame_rate)
