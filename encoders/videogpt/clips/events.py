"""Times of a game's frames on the scanner's clock, from the events of an fMRI run.

A recording numbers its frames and has no times. The events file has the onset and duration of each
repetition of the game on the scanner's clock. The duration differs slightly from frames / frame
rate: the recording is stretched to it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError

COLUMNS = ("onset", "duration", "stim_file")


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
    if not path.is_file():
        raise InputError(f"{path} is not a file: give an events file (.tsv)")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        lacking = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
        if lacking:
            raise InputError(
                f"{path} lacks the columns {', '.join(lacking)}: add them, separated by tabs"
            )
        rows = [row for row in reader if row["stim_file"] not in ("", "n/a", "Missing file", None)]
    events = []
    for row in rows:
        try:
            event = ClipEvent(float(row["onset"]), float(row["duration"]), row["stim_file"])
        except ValueError:
            raise InputError(
                f"{path}: onset {row['onset']!r}, duration {row['duration']!r}: give seconds"
            ) from None
        if not (np.isfinite(event.onset) and event.duration > 0):
            raise InputError(
                f"{path}: {event.stim_file} has onset {event.onset} s and duration "
                f"{event.duration} s: give a finite onset and a duration above 0"
            )
        events.append(event)
    return sorted(events, key=lambda event: event.onset)


def frame_times(count: int, onset: float, duration: float) -> NDArray[np.float64]:
    """Return the times (count,) in seconds at which the frames of one repetition were first shown.

    Frame i of ``count`` is shown at onset + duration · i / count.

    >>> frame_times(4, 3.0, 2.0).tolist()
    [3.0, 3.5, 4.0, 4.5]
    """
    if count < 1:
        raise InputError(f"a repetition of {count} frames: give 1 or more")
    return onset + duration * np.arange(count) / count
