"""Seconds that the links between hosts took in the timed fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median

from bench_core.records.machine import LinkRecord


class LinkMeter:
    """Seconds in which bytes were on their way, of every link in every fit.

    Parameters
    ----------
    read : returns the seconds of every link so far, by its name ("host 0 to host 1").

    Examples
    --------
    >>> readings = iter([{"a to b": 1.0}, {"a to b": 1.5}])
    >>> meter = LinkMeter(lambda: next(readings))
    >>> meter.begin()
    >>> meter.end()
    >>> meter.seconds
    {'a to b': 0.5}
    """

    def __init__(self, read: Callable[[], dict[str, float]]) -> None:
        self._read = read
        self._before: dict[str, float] = {}
        self._fits: list[dict[str, float]] = []

    def begin(self) -> None:
        """Read the links before a fit."""
        self._before = self._read()

    def end(self) -> None:
        """Read them after it."""
        after = self._read()
        self._fits.append(
            # A node that was lost takes its seconds with it.
            {name: max(0.0, each - self._before.get(name, 0.0)) for name, each in after.items()}
        )

    def forget(self, fits: int) -> None:
        """Leave out the first fits, which were warm-up."""
        del self._fits[:fits]

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of every link in one fit: the median over the fits."""
        names = self._fits[0] if self._fits else {}
        return {name: median(fit.get(name, 0.0) for fit in self._fits) for name in names}


def link_records(moved: Mapping[str, int], seconds: Mapping[str, float]) -> tuple[LinkRecord, ...]:
    """Return the record's links, those that were used.

    Parameters
    ----------
    moved : bytes of every link by its name, among other counts. seconds : of every link.

    >>> link_records({"a to b": 5, "total": 5}, {"a to b": 0.5})
    (LinkRecord(source='a', target='b', bytes=5, seconds=0.5),)
    """
    found = []
    for name, count in moved.items():
        source, between, target = name.partition(" to ")
        if between and count:
            found.append(LinkRecord(source, target, count, seconds.get(name)))
    return tuple(found)
