"""Use of the machine during timed fits, and whether it disturbed them.

Counters of the whole machine are read before the first repeat and after the last, and the
processor time of this measurement's own processes with them: the worker, its nodes and helpers,
and the programs that asked for the fit. The difference is other people's work.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import psutil

from bench_core.machine.activity import (
    Activity,
    base_megahertz,
    processor_seconds,
    read_activity,
)
from bench_core.records.times import MachineUse

#: Others may use this many cores, or this part of all, without disturbing. Counters have ticks of
#: 10 ms: over short spans this many seconds are no evidence.
OTHERS_CORES, OTHERS_SHARE, LEAST_S = 0.15, 0.1, 0.1
#: Parts of the fit's own cores that a hypervisor may take, and of its time that a quota may stop.
STEAL_SHARE, THROTTLED_SHARE = 0.02, 0.01
#: Part of its base clock below which a processor is throttled.
CLOCK_SHARE = 0.8

_REFRESH_S = 1.0
_CALLERS = ("python", "ridgebench", "asv", "pytest")


class OwnProcesses:
    """The running process, its descendants, and the programs that started it.

    Those are its ancestors as long as they are Python's: a shell or an editor is not ours. Finding
    descendants reads every process of the machine, so it is done once a second at most.

    Examples
    --------
    >>> os.getpid() in OwnProcesses().seconds()
    True
    """

    def __init__(self) -> None:
        self._this = psutil.Process()
        self._callers = []
        with suppress(psutil.Error):
            for one in self._this.parents():
                if not one.name().startswith(_CALLERS):
                    break
                self._callers.append(one.pid)
        self._found: list[int] = []
        self._refresh_at = -math.inf

    def seconds(self) -> dict[int, float]:
        """Return the processor time of each so far, by their ids."""
        now = perf_counter()
        if now >= self._refresh_at:
            with suppress(psutil.Error):
                below = [one.pid for one in self._this.children(recursive=True)]
                self._found = [self._this.pid, *below]
            self._refresh_at = now + _REFRESH_S
        callers = processor_seconds(self._callers, children=False)
        return callers | processor_seconds(self._found)


@dataclass(frozen=True)
class _Reading:
    activity: Activity
    own: Mapping[Any, float]


@dataclass
class UseMeter:
    """Use of the machine from the begin of one fit to the end of another.

    Parameters
    ----------
    read : returns the machine's counters.
    own : returns the processor time of our own processes, each by what tells it from the others.

    Examples
    --------
    >>> from dataclasses import replace
    >>> before = Activity(0.0, 10.0, 0.0, 0.0, None, None, None)
    >>> after = replace(before, at=2.0, busy_s=14.0)
    >>> meter = UseMeter(iter([before, after]).__next__, iter([{7: 1.0}, {7: 2.9}]).__next__)
    >>> meter.begin()
    >>> meter.end()
    >>> round(meter.use(cores=2).others_cores, 2)
    1.05
    """

    read: Callable[[], Activity] = read_activity
    own: Callable[[], Mapping[Any, float]] = field(default_factory=lambda: OwnProcesses().seconds)
    _begun: list[_Reading] = field(default_factory=list)
    _ended: _Reading | None = None

    def begin(self) -> None:
        """Read before a fit."""
        self._begun.append(_Reading(self.read(), self.own()))

    def end(self) -> None:
        """Read after a fit."""
        self._ended = _Reading(self.read(), self.own())

    def forget(self, fits: int) -> None:
        """Leave out the first fits: the span begins with the next."""
        del self._begun[:fits]

    def use(self, *, cores: int | None = None) -> MachineUse:
        """Return the use of the machine from the first fit that counts to the end of the last.

        Parameters
        ----------
        cores : of the machine; None to count them.
        """
        assert self._ended is not None
        first, last = self._begun[0], self._ended
        a, b = first.activity, last.activity
        seconds = b.at - a.at
        # A process that is new has worked since it began; one that ended is counted by its parent.
        own = sum(max(0.0, now - first.own.get(one, 0.0)) for one, now in last.own.items())

        def since(name: str) -> float | None:
            before, after = getattr(a, name), getattr(b, name)
            return None if before is None or after is None else max(0.0, after - before)

        def share(value: float | None) -> float | None:
            return None if value is None or seconds <= 0 else round(value / seconds, 4)

        busy, thermal = since("busy_s"), since("thermal_events")
        return MachineUse(
            seconds=seconds,
            cores=cores or os.cpu_count() or 1,
            own_cores=share(own),
            others_cores=share(None if busy is None else max(0.0, busy - own)),
            steal_cores=share(since("steal_s")),
            waiting=share(since("waiting_s")),
            throttled_s=since("throttled_s"),
            thermal_events=None if thermal is None else int(thermal),
            megahertz=b.megahertz,
            base_megahertz=base_megahertz(),
        )


def disturbance(use: MachineUse, asked: int) -> str | None:
    """Return what disturbed fits on ``asked`` cores, None if nothing did.

    Others disturb where they take a tenth of the machine, which shares its caches and memory, or
    where what they take is missing to the fit.
    """
    found = []
    others, seconds = use.others_cores, use.seconds
    if others is not None and others > OTHERS_CORES and others * seconds > LEAST_S:
        left = use.cores - asked
        if others > OTHERS_SHARE * use.cores or others > left + OTHERS_CORES:
            found.append(f"others kept {others:.2f} of {use.cores} cores busy")
    steal = use.steal_cores
    if steal is not None and steal > STEAL_SHARE * asked and steal * seconds > LEAST_S:
        found.append(f"the hypervisor took {steal:.2f} cores for other machines")
    stopped = use.throttled_s
    if stopped is not None and stopped > THROTTLED_SHARE * seconds:
        found.append(f"a quota stopped the fits for {stopped:.3g} s of {seconds:.3g} s")
    if use.thermal_events:
        found.append(f"processors slowed down {use.thermal_events} times to cool")
    clock, base = use.megahertz, use.base_megahertz
    if clock is not None and base is not None and clock < CLOCK_SHARE * base:
        found.append(f"processors ran at {clock:.0f} of {base:.0f} MHz")
    return "; ".join(found) or None
