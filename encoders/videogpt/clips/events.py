"""Times of a game's frames on the scanner's clock, from the events of an fMRI run.

A recording numbers its frames and has no times. The events file has the onset and duration of each
repetition of the game on the scanner's clock. The duration differs slightly from frames / frame
rate: the recording is stretched to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench_core.data import events as table
from bench_core.errors import InputError


@dataclass(frozen=True)
class ClipEvent:
    """One repetition: onset and duration in seconds of the run, and the recording's file name."""

    onset: float
    duration: float
    stim_file: str


def read_events(path: Path) -> list[ClipEvent]:
    """Return the rows of a BIDS events file that name a recording, in order of onset.

    Raises `InputError` for a missing column, and for an onset or a duration that is not a number
    of seconds.
    """
    events = []
    for event in table.read_events(path, columns=("stim_file",)):
        if not names_recording(event):
            continue
        assert event.stim_file is not None
        if not event.duration > 0:
            raise InputError(
                f"{path}: {event.stim_file} at {event.onset:g} s lasts {event.duration:g} s: "
                "give a duration above 0"
            )
        events.append(ClipEvent(event.onset, event.duration, event.stim_file))
    return sorted(events, key=lambda event: event.onset)


def names_recording(event: table.Event) -> bool:
    """Return False for a row whose ``stim_file`` is empty, "n/a" or "Missing file"."""
    return event.stim_file not in (None, "Missing file")


def frame_times(count: int, onset: float, duration: float) -> NDArray[np.float64]:
    """Return the times (count,) in seconds at which the frames of one repetition were first shown.

    Frame i of ``count`` is shown at onset + duration · i / count.

    >>> frame_times(4, 3.0, 2.0).tolist()
    [3.0, 3.5, 4.0, 4.5]
    """
    if count < 1:
        raise InputError(f"a repetition of {count} frames: give 1 or more")
    return onset + duration * np.arange(count) / count
