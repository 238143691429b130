"""Tables of events: what was presented when (BIDS ``events.tsv``)."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError


@dataclass(frozen=True)
class Event:
    """One row of an events table.

    Parameters
    ----------
    onset, duration : seconds from the run's first volume, and seconds; a duration of "n/a", which
        BIDS allows, is NaN.
    trial_type, stim_file : the row's text; None where the column is missing, empty or "n/a".

    Examples
    --------
    >>> boxcars([Event(onset=2.5, duration=5.0, trial_type="face")], ["face"], n=4, tr=2.5).T
    array([[0., 1., 1., 0.]])
    """

    onset: float
    duration: float
    trial_type: str | None = None
    stim_file: str | None = None


def read_events(
    path: str | Path, *, required: Collection[str] = (), columns: Collection[str] = ()
) -> list[Event]:
    """Return the rows of a tab-separated BIDS events table, in the order of the file.

    Parameters
    ----------
    required : further columns that must have a value in every row, such as "trial_type".
    columns : further columns that must exist, with values in some rows.

    Raises
    ------
    InputError : no such file, a missing column, a value that is no number of seconds, a negative
        duration, or an empty required value; the message names file, line and value.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    table = csv.DictReader(text.splitlines(), delimiter="\t")
    missing = {"onset", "duration", *required, *columns} - set(table.fieldnames or ())
    if missing:
        raise InputError(
            f"{path} has no column {', '.join(sorted(missing))}: an events table is separated by "
            "tabs and names its columns in the first line"
        )
    return [_event(row, required, f"{path}, line {table.line_num}") for row in table]


def _event(row: dict[str, str | None], required: Collection[str], where: str) -> Event:
    onset = _seconds(row, "onset", where)
    unknown = _text(row["duration"]) is None
    duration = math.nan if unknown else _seconds(row, "duration", where)
    if duration < 0:
        raise InputError(f"{where}: duration is {duration:g}: give 0 seconds or more")
    for column in required:
        if _text(row.get(column)) is None:
            raise InputError(f"{where}: {column} is {row.get(column)!r}: give a value")
    return Event(onset, duration, _text(row.get("trial_type")), _text(row.get("stim_file")))


def _seconds(row: dict[str, str | None], column: str, where: str) -> float:
    try:
        value = float(row[column] or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: {column} is {row[column]!r}: give a number of seconds")
    return value


def _text(value: str | None) -> str | None:
    return None if value is None or value.strip() in ("", "n/a") else value.strip()


def boxcars(
    events: Sequence[Event], categories: Sequence[str], n: int, tr: float, phase: float = 0.0
) -> NDArray[np.float64]:
    """Return (n, categories): 1 where an event of that trial type lasts at i · ``tr`` + ``phase``.

    Raises `InputError` for an event of another trial type or without a duration.
    """
    times = tr * np.arange(n) + phase
    base = np.zeros((n, len(categories)))
    for event in events:
        if math.isnan(event.duration):
            raise InputError(f"the event at {event.onset:g} s has no duration: give seconds")
        if event.trial_type not in categories:
            raise InputError(f"trial type {event.trial_type!r} is not among {list(categories)}")
        on = (times >= event.onset) & (times < event.onset + event.duration)
        base[on, categories.index(event.trial_type)] = 1
    return base
