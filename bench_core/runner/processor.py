"""Processor time of the timed fits, and the threads, quota and libraries that decide it.

Variables and a library's own count of threads are claims. What counts is what ran: processor time
over wall time during the timed fits, and the threads of a matrix product in the same processes
right after them (`bench_core.blas.threads`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

from bench_core.blas.threads import ProductThreads, thread_seconds
from bench_core.cluster.cores import affinity
from bench_core.errors import counted
from bench_core.machine import read_topology, throttled_seconds
from bench_core.machine.pinning import can_pin
from bench_core.records.machine import PlacementRecord, ProcessorRecord, ProductRecord
from bench_core.runner.disturbance import UseMeter
from bench_core.runner.hosts_use import HostsMeter

#: Part of the fits' wall time for which a quota may stop them without being noticed.
THROTTLED_SHARE = 0.01
#: A fit is held to its plan when it takes this long, and products by the plan this part of it.
LEAST_FIT_S, LEAST_PRODUCT_SHARE = 1.0, 0.3
#: Work of a further thread, over that of the busiest, below which a fit has run on one thread. A
#: busy machine and a quota slow all threads down alike, so this raises no alarm on them.
_SERIAL = 0.1


@dataclass(frozen=True)
class ProcessTimes:
    """Processor time of one process so far, in seconds.

    Parameters
    ----------
    total : of all its threads, those that have ended included, and of its children that have.
    threads : of each thread that lives, by its id.

    Examples
    --------
    >>> before = ProcessTimes(1.0, {7: 0.9})
    >>> ProcessTimes(5.0, {7: 2.9, 8: 1.8}).since(before)
    (4.0, 2.0)
    """

    total: float
    threads: dict[int, float]

    def since(self, before: ProcessTimes) -> tuple[float, float]:
        """Return the seconds of the process, and those of its busiest thread, since ``before``."""
        total = max(0.0, self.total - before.total)
        worked = [now - before.threads.get(one, 0.0) for one, now in self.threads.items()]
        return total, min(total, max(worked, default=total))


def placed(process: str) -> PlacementRecord:
    """Return the processors that the threads of this process may run on."""
    machine = read_topology(cpus=affinity())
    return PlacementRecord(
        process,
        cpus=tuple(sorted(thread.number for thread in machine.threads)) if can_pin() else (),
        cores=len(machine.cores()),
        sockets=tuple(sorted({thread.socket for thread in machine.threads})),
        memory_domains=tuple(sorted({thread.domain for thread in machine.threads})),
        known=machine.known,
    )


def process_times() -> ProcessTimes:
    """Return the processor time of this process so far."""
    times = os.times()
    total = times.user + times.system + times.children_user + times.children_system
    return ProcessTimes(total, thread_seconds())


def _own_times() -> list[ProcessTimes]:
    return [process_times()]


@dataclass
class FitMeter:
    """Processor time and stops by quota of the timed fits, read outside the timed part.

    Parameters
    ----------
    read : returns the times of all processes of the fit, always in one order.
    throttled : returns the seconds of stops so far, None where the system does not say.
    use : reads what else the machine, or every host of the nodes, did; None not to look.

    Attributes
    ----------
    cpu_s, wall_s : of every fit, all processes together.
    busiest_s : of every fit, the busiest thread of each process, added up.

    Examples
    --------
    >>> times = iter([[ProcessTimes(1.0, {7: 1.0})], [ProcessTimes(5.0, {7: 3.0, 8: 2.0})]])
    >>> meter = FitMeter(read=times.__next__, throttled=lambda: None)
    >>> meter.begin()
    >>> meter.end()
    >>> meter.cpu_s, meter.busiest_s
    ([4.0], [2.0])
    """

    read: Callable[[], list[ProcessTimes]] = _own_times
    throttled: Callable[[], float | None] = throttled_seconds
    use: UseMeter | HostsMeter | None = None
    cpu_s: list[float] = field(default_factory=list)
    busiest_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)
    throttled_s: float | None = None
    _stops: list[float | None] = field(default_factory=list)
    _before: tuple[list[ProcessTimes], float | None, float] = ([], None, 0.0)

    def begin(self) -> None:
        """Read before a fit."""
        if self.use is not None:
            self.use.begin()
        self._before = self.read(), self.throttled(), perf_counter()

    def end(self) -> None:
        """Read after a fit."""
        earlier, stopped, began = self._before
        self.wall_s.append(perf_counter() - began)
        now = self.throttled()
        pairs = [one.since(before) for one, before in zip(self.read(), earlier, strict=True)]
        self.cpu_s.append(sum(total for total, _ in pairs))
        self.busiest_s.append(sum(busiest for _, busiest in pairs))
        self._stops.append(None if stopped is None or now is None else max(0.0, now - stopped))
        self._add_stops()
        if self.use is not None:
            self.use.end()

    def forget(self, fits: int) -> None:
        """Leave out the first fits, which were warm-up."""
        for each in (self.cpu_s, self.busiest_s, self.wall_s, self._stops):
            del each[:fits]
        self._add_stops()
        if self.use is not None:
            self.use.forget(fits)

    def _add_stops(self) -> None:
        known = [one for one in self._stops if one is not None]
        self.throttled_s = sum(known) if known else None

    @property
    def busy(self) -> float:
        """Processor time over wall time, the median over the fits."""
        pairs = zip(self.cpu_s, self.wall_s, strict=True)
        return median(cpu / wall if wall > 0 else 0.0 for cpu, wall in pairs)

    @property
    def further(self) -> float:
        """Processor time of all threads but the busiest of each process, over that thread's."""
        pairs = zip(self.cpu_s, self.busiest_s, strict=True)
        return median((cpu - one) / one if one > 0 else 0.0 for cpu, one in pairs)


def processor_record(
    meter: FitMeter,
    products: Mapping[str, Sequence[ProductThreads]],
    *,
    threads: int,
    flops: float | None,
    further: str | None = None,
    quota: float | None = None,
) -> ProcessorRecord:
    """Return the record's ``processor``; its ``note`` says what makes the times worthless.

    Parameters
    ----------
    products : of every process that computes, by its name.
    threads : that each process was given.
    flops : of one fit, by its plan; None without one.
    further : another reason against the times.
    quota : of the control groups, in cores, by `bench_core.machine.limits` where the fit runs.
    """
    doubts = [
        *_missing_threads(products),
        *_stopped(meter, quota),
        *_serial_fit(meter, products, threads, flops),
        *([further] if further else []),
    ]
    return ProcessorRecord(
        busy=meter.busy,
        quota_cores=quota,
        throttled_s=meter.throttled_s,
        products=tuple(
            ProductRecord(process, one.package, one.asked, one.used, one.busy, one.gflops)
            for process, found in products.items()
            for one in found
        ),
        note="; ".join(doubts) or None,
    )


def _missing_threads(products: Mapping[str, Sequence[ProductThreads]]) -> list[str]:
    return [
        f"a matrix product by {one.package} ran on {counted(one.used, 'thread')} where "
        f"{one.asked} were asked for (process {process}, processor time over wall time "
        f"{one.busy:.2f}): look for what limits threads in the strategy, at start-up or "
        "in the library's build"
        for process, found in products.items()
        for one in found
        if not one.enough
    ]


def _stopped(meter: FitMeter, quota: float | None) -> list[str]:
    wall = sum(meter.wall_s)
    if not meter.throttled_s or meter.throttled_s <= THROTTLED_SHARE * wall:
        return []
    named = "its quota" if quota is None else f"its quota of {quota:g} cores"
    return [
        f"the fits were stopped for {meter.throttled_s:.3g} s in {wall:.3g} s because their "
        f"control group used up {named}: ask for fewer threads, or for more cores"
    ]


def _serial_fit(
    meter: FitMeter,
    products: Mapping[str, Sequence[ProductThreads]],
    threads: int,
    flops: float | None,
) -> list[str]:
    """Return the doubt about a fit of products that ran on one thread, though products need not.

    Fits that are short, have no plan, or spend their time on other things than products raise
    none: they may well use one thread.
    """
    if threads == 1 or flops is None or not products:
        return []
    rates = [min(one.gflops for one in found) * 1e9 for found in products.values()]
    wall = median(meter.wall_s)
    if wall < LEAST_FIT_S or flops / sum(rates) < LEAST_PRODUCT_SHARE * wall:
        return []
    if meter.further >= _SERIAL * (threads - 1):
        return []
    return [
        f"the fit ran on one thread of {threads}, though its plan is one of matrix products, which "
        f"use all of them here (processor time over wall time {meter.busy:.2f}): look for what "
        "limits threads in the strategy"
    ]
