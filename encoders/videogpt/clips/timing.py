"""When each frame of a game was on the screen in the scanner.

A recording knows its frames only by number. The events file of the fMRI run says when each
repetition of the game began and how long it lasted on the scanner's clock, which is not exactly
frames / frame rate: the recording is stretched to that duration.
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
class Event:
    """One repetition: seconds from the run's first volume, and the recording's file name."""

    onset: float
    duration: float
    stim_file: str


def read_events(path: Path) -> list[Event]:
    """Return the rows of a BIDS events file that name a recording, in order of onset.

    Raises `InputError` for missing columns, or an onset or duration that is no number of seconds.
    """
    if not path.is_file():
        raise InputError(f"no events file {path}")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        lacking = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
        if lacking:
            raise InputError(f"{path} lacks the columns {', '.join(lacking)}")
        rows = [row for row in reader if row["stim_file"] not in ("", "n/a", "Missing file", None)]
    events = []
    for row in rows:
        try:
            event = Event(float(row["onset"]), float(row["duration"]), row["stim_file"])
        except ValueError:
            raise InputError(
                f"{path}: onset {row['onset']!r}, duration {row['duration']!r}"
            ) from None
        if not (np.isfinite(event.onset) and event.duration > 0):
            raise InputError(
                f"{path}: {event.stim_file} lasts {event.duration} s from {event.onset}"
            )
        events.append(event)
    return sorted(events, key=lambda event: event.onset)


def frame_times(count: int, onset: float, duration: float) -> NDArray[np.float64]:
    """Return the times (count,) at which the frames of one repetition were first shown.

    Frame i of ``count`` is shown at onset + duration · i / count.
    """
    if count < 1:
        raise InputError("a repetition without frames has no times")
    return onset + duration * np.arange(count) / count
