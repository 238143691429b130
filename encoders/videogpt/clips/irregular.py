"""Irregular recordings: rows without one, repetitions that overlap, and wrong durations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from bench_core.data import events as table
from bench_core.errors import InputError
from encoders.videogpt.clips.events import ClipEvent, names_recording

# Rounded onsets overlap by less than a frame; durations of real logs differ by less than this.
_FRAME = 0.02
_STRETCH = 0.02


def rows_without_recording(path: Path) -> list[str]:
    """Return a sentence on the rows of an events file that name no recording, if there are any."""
    every = table.read_events(path, columns=("stim_file",))
    onsets = [f"{event.onset:g}" for event in every if not names_recording(event)]
    if not onsets:
        return []
    rows = "1 row names" if len(onsets) == 1 else f"{len(onsets)} rows name"
    return [
        f"{rows} no recording and {'is' if len(onsets) == 1 else 'are'} left out: onset "
        f"{', '.join(onsets)} s"
    ]


def overlaps(events: Sequence[ClipEvent]) -> list[str]:
    """Return a sentence on every repetition that lasts beyond the onset of the next.

    >>> len(overlaps([ClipEvent(0.0, 6.0, "a.bk2"), ClipEvent(5.0, 2.0, "b.bk2")]))
    1
    """
    return [
        f"{one.stim_file} lasts until {one.onset + one.duration:g} s and {other.stim_file} begins "
        f"at {other.onset:g} s: on the scanner's clock the later is shown"
        for one, other in pairwise(sorted(events, key=lambda event: event.onset))
        if one.onset + one.duration > other.onset + _FRAME
    ]


def stretched(event: ClipEvent, frames: int, rate: float) -> list[str]:
    """Return a sentence if ``frames`` in the event's duration are not the machine's ``rate``.

    >>> stretched(ClipEvent(0.0, 30.0, "a.bk2"), 960, 60.0)[0][:55]
    'a.bk2 has 960 frames in 30 s, 32.0 per second, where th'
    """
    own = frames / event.duration
    if abs(own / rate - 1) <= _STRETCH:
        return []
    return [
        f"{event.stim_file} has {frames} frames in {event.duration:g} s, {own:.1f} per second, "
        f"where the machine shows {rate:.1f}: the recording is cut short or the duration is wrong, "
        "and its times are stretched"
    ]


def refuse(name: str, notes: Sequence[str]) -> None:
    """Raise `InputError` with the notes, if there are any."""
    if notes:
        raise InputError(
            f"{name} is irregular: {'; '.join(notes)}. Correct the source, or prepare it without "
            "strict"
        )
