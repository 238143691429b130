"""The 420 published training times; `published/README.md` beside this file names the source."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from importlib.resources import files
from statistics import fmean


@dataclass(frozen=True)
class PublishedTime:
    """One published training time: a figure, a configuration, a subject and its seconds.

    Examples
    --------
    >>> times = published_times()
    >>> len(times), sorted({time.blas for time in times})
    (420, ['mkl', 'openblas'])
    """

    figure: str
    resolution: str
    blas: str
    strategy: str
    subject: str
    nodes: int
    threads: int
    seconds: float


def published_times() -> tuple[PublishedTime, ...]:
    """Return the 420 published times in the order of their file."""
    text = (files("bench_core.scaling") / "published" / "timings.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return tuple(
        PublishedTime(
            figure=row["figure"],
            resolution=row["resolution"],
            blas=row["blas"],
            strategy=row["strategy"],
            subject=row["subject"],
            nodes=int(row["nodes"]),
            threads=int(row["threads"]),
            seconds=float(row["seconds"]),
        )
        for row in rows
    )


def select(times: Iterable[PublishedTime], **wanted: object) -> Iterator[PublishedTime]:
    """Yield the times whose fields have the ``wanted`` values.

    Raises
    ------
    TypeError : a keyword that is no field of `PublishedTime`.
    """
    known = {field.name for field in fields(PublishedTime)}
    if unknown := set(wanted) - known:
        raise TypeError(f"no such field: {', '.join(sorted(unknown))}; known: {sorted(known)}")
    for time in times:
        if all(getattr(time, name) == value for name, value in wanted.items()):
            yield time


def mean_seconds(times: Iterable[PublishedTime], **wanted: object) -> float | None:
    """Return the mean over subjects of one configuration, None where nothing was published."""
    seconds = [time.seconds for time in select(times, **wanted)]
    return fmean(seconds) if seconds else None
