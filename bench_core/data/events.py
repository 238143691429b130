"""Stimulus categories over time, from a table of events (BIDS ``events.tsv``)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError


@dataclass(frozen=True)
class Event:
    """One presentation: from ``onset`` on, for ``duration``, both in seconds of the run."""

    onset: float
    duration: float
    category: str


def read_events(path: Path) -> list[Event]:
    """Return the rows of a tab-separated table with onset, duration and trial_type.

    Raises `InputError` for a column that is missing or a time that is no number.
    """
    with Path(path).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    try:
        return [Event(float(r["onset"]), float(r["duration"]), str(r["trial_type"])) for r in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} is no table of events ({error}): it needs columns onset and duration in "
            "seconds and trial_type, separated by tabs"
        ) from error


def boxcars(
    events: Sequence[Event], categories: Sequence[str], n: int, tr: float, phase: float = 0.0
) -> NDArray[np.float64]:
    """Return (n, categories): 1 where a stimulus of the category was on at i · ``tr`` + ``phase``.

    Raises `InputError` for an event of another category.
    """
    times = tr * np.arange(n) + phase
    base = np.zeros((n, len(categories)))
    for event in events:
        if event.category not in categories:
            raise InputError(f"an event of {event.category!r}: the categories are {categories}")
        on = (times >= event.onset) & (times < event.onset + event.duration)
        base[on, categories.index(event.category)] = 1
    return base
