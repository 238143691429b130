"""Tables of events: what was presented when (BIDS ``events.tsv``)."""

from __future__ import annotations

import csv
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError
from bench_core.files import read_text

_ROUNDING_S = 1e-6


@dataclass(frozen=True)
class Event:
    """One row of an events table.

    Parameters
    ----------
    onset, duration : seconds from the run's first volume, and seconds; a duration of "n/a", which
        BIDS allows, is NaN.
    trial_type, stim_file : the row's text; None where the column is missing, empty or "n/a".
    line : the row's line in its file, from 1 with the header; 0 for an event from no file.

    Examples
    --------
    >>> boxcars([Event(onset=2.5, duration=5.0, trial_type="face")], ["face"], n=4, tr=2.5).T
    array([[0., 1., 1., 0.]])
    """

    onset: float
    duration: float
    trial_type: str | None = None
    stim_file: str | None = None
    line: int = field(default=0, compare=False)


def read_events(
    path: str | Path, *, required: Collection[str] = (), columns: Collection[str] = ()
) -> list[Event]:
    """Return the rows of a tab-separated BIDS events table, in the order of the file.

    The text is UTF-8, or UTF-16 with a byte-order mark, compressed for a name in ``.gz``.

    Parameters
    ----------
    required : further columns that must have a value in every row, such as "trial_type".
    columns : further columns that must exist, with values in some rows.

    Raises
    ------
    InputError : no such file, a missing column, a row of more or fewer cells than the first line,
        another encoding, a value that is no number of seconds, a negative duration, or an empty
        required value; the message names file, line and value.
    """
    table = csv.DictReader(read_text(Path(path)).splitlines(), delimiter="\t")
    missing = {"onset", "duration", *required, *columns} - set(table.fieldnames or ())
    if missing:
        raise InputError(
            f"{path} has no column {', '.join(sorted(missing))}: an events table is separated by "
            "tabs and names its columns in the first line"
        )
    return [_event(row, required, str(path), table.line_num) for row in table]


def _event(row: dict[str, str | None], required: Collection[str], path: str, line: int) -> Event:
    where = f"{path}, line {line}"
    onset = _seconds(row, "onset", where)
    unknown = _text(row["duration"]) is None
    duration = math.nan if unknown else _seconds(row, "duration", where)
    if duration < 0:
        raise InputError(f"{where}: duration is {duration:g}: give 0 seconds or more")
    if None in row or None in row.values():
        raise InputError(
            f"{where}: the row has more or fewer cells than the first line has names: write n/a "
            "for a value that is missing"
        )
    for column in required:
        if _text(row.get(column)) is None:
            raise InputError(f"{where}: {column} is {row.get(column)!r}: give a value")
    return Event(onset, duration, _text(row.get("trial_type")), _text(row.get("stim_file")), line)


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
    events: Sequence[Event],
    categories: Sequence[str],
    n: int,
    tr: float,
    phase: float = 0.0,
    first: int = 0,
) -> NDArray[np.float64]:
    """Return (n, categories): 1 where an event of that trial type is on, as `on_samples` says.

    Raises `InputError` for an event of another trial type, or without an onset or duration.
    """
    base = np.zeros((n, len(categories)))
    for event in events:
        if event.trial_type not in categories:
            raise InputError(f"trial type {event.trial_type!r} is not among {list(categories)}")
        on = on_samples(event, n, tr, phase, first)
        base[on, categories.index(event.trial_type)] = 1
    return base


def on_samples(
    event: Event, n: int, tr: float, phase: float = 0.0, first: int = 0
) -> NDArray[np.bool_]:
    """Return (n,) whether the event lasts at each time (``first`` + i) · ``tr`` + ``phase``.

    It lasts from its onset up to its end. A duration of 0, BIDS's impulse, is on at the first of
    these times that is not before its onset. An event may end before the next time: then it is on
    at none.

    Raises `InputError` for an onset or a duration that is not a number of seconds.

    Examples
    --------
    >>> on_samples(Event(2.5, 0), n=4, tr=2.0)
    array([False, False,  True, False])
    """
    if not (math.isfinite(event.onset) and math.isfinite(event.duration) and event.duration >= 0):
        row = f"line {event.line}: " if event.line else ""
        raise InputError(
            f"{row}the event at {event.onset:g} s has duration {event.duration:g}: give seconds, "
            "0 for an impulse"
        )
    times = tr * (first + np.arange(n)) + phase - event.onset
    # Onsets are decimals, multiples of the TR are rounded: a microsecond decides nothing.
    return (times > -_ROUNDING_S) & (times < (event.duration or tr) - _ROUNDING_S)
