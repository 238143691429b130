"""Use of the nodes' hosts during timed fits: counters and processor time that the nodes read there.

A node reads the counters of its host, and every process of the fit the processor time of its own
processes: nodes, the scheduler, and this process where it runs on a node's host. What is left of a
host's work is other people's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from bench_core.cluster.inspection import place
from bench_core.machine.activity import Activity, base_megahertz, read_activity
from bench_core.records.times import HostUse, MachineUse
from bench_core.runner.disturbance import OwnProcesses, UseMeter, disturbance

# This process's own, where it is a node or a scheduler.
_OWN: list[OwnProcesses] = []


@dataclass(frozen=True)
class HostReading:
    """What one process reads on its host.

    Parameters
    ----------
    machine : the same for processes of one host. processes : the same for processes that see each
        other's numbers.
    activity : counters of the host. own : processor time of the process and those that it started.
    cores, base_megahertz : logical processors of the host, and the clock they are sold with.

    Examples
    --------
    >>> here = read_host()
    >>> os.getpid() in here.own
    True
    """

    machine: str
    processes: str
    activity: Activity
    own: Mapping[int, float]
    cores: int
    base_megahertz: float | None


def read_host() -> HostReading:
    """Return what this process reads on its host."""
    if not _OWN:
        _OWN.append(OwnProcesses())
    machine, processes = place()
    return HostReading(
        machine,
        processes,
        read_activity(),
        _OWN[0].seconds(),
        os.cpu_count() or 1,
        base_megahertz(),
    )


@dataclass(frozen=True)
class _Host:
    """Counters of a host, and the processor time of the fit's processes there."""

    activity: Activity
    own: Mapping[tuple[str, int], float]
    cores: int
    base_megahertz: float | None


class HostsMeter:
    """Use of every host from the begin of one fit to the end of another; see `UseMeter`.

    Parameters
    ----------
    cluster : a `bench_core.cluster.adopted.AdoptedCluster`.
    here : reads this process's host.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> none = {"facts": [], "living": [], "host_names": list, "separate_scheduler": bool}
    >>> meter = HostsMeter(SimpleNamespace(run=lambda read: [], **none))
    >>> meter.begin()
    >>> meter.end()
    >>> meter.uses()
    ()
    """

    def __init__(self, cluster: Any, here: Callable[[], HostReading] = read_host) -> None:
        self.cluster = cluster
        self._here = here
        self._names: dict[str, str] = {}
        for facts, name in zip(cluster.facts, cluster.host_names(), strict=True):
            self._names.setdefault(facts.machine, name)
        self._latest: dict[str, _Host] = {}
        self._meters: dict[str, UseMeter] = {}

    def begin(self) -> None:
        """Read before a fit."""
        self._look()
        for machine in self._latest:
            if machine not in self._meters:
                self._meters[machine] = self._meter(machine)
        for machine in self._alive():
            self._meters[machine].begin()

    def end(self) -> None:
        """Read after a fit."""
        self._look()
        for machine in self._alive():
            self._meters[machine].end()

    def forget(self, fits: int) -> None:
        """Leave out the first fits: the span begins with the next."""
        for meter in self._meters.values():
            meter.forget(fits)

    def uses(self) -> tuple[HostUse, ...]:
        """Return the use of every host, in the order of the nodes.

        A host that has no node any more is left out: nobody can read its counters.
        """
        found = []
        for machine in self._alive():
            host = self._latest[machine]
            use = self._meters[machine].use(cores=host.cores)
            found.append(
                HostUse(self._names[machine], replace(use, base_megahertz=host.base_megahertz))
            )
        return tuple(found)

    def _alive(self) -> list[str]:
        return [one for one in self._names if one in self._latest and one in self._meters]

    def _meter(self, machine: str) -> UseMeter:
        return UseMeter(
            read=lambda: self._latest[machine].activity, own=lambda: self._latest[machine].own
        )

    def _look(self) -> None:
        """Ask every node that lives, the scheduler, and this process."""
        answers: list[HostReading] = self.cluster.run(read_host)
        nodes = list(zip(self.cluster.living, answers, strict=True))
        others = [self._here(), *self._scheduler()]
        self._latest = {}
        for machine in self._names:
            own = [(node, each) for node, each in nodes if each.machine == machine]
            if not own:
                continue
            first = own[0][1]
            seconds = {
                (each.processes, process): time
                for each in (*(one for _, one in own), *others)
                if each.machine == machine
                for process, time in each.own.items()
            }
            activity = replace(first.activity, throttled_s=self._throttled(own))
            self._latest[machine] = _Host(activity, seconds, first.cores, first.base_megahertz)

    def _throttled(self, nodes: Sequence[tuple[int, HostReading]]) -> float | None:
        """Return the seconds of stops by quotas, of every control group once."""
        stopped: dict[str, float] = {}
        for node, each in nodes:
            if (seconds := each.activity.throttled_s) is not None:
                group = self.cluster.facts[node].control
                stopped[group] = max(seconds, stopped.get(group, 0.0))
        return sum(stopped.values()) if stopped else None

    def _scheduler(self) -> list[HostReading]:
        """Return what the scheduler reads; nothing where it is in this process, or cannot."""
        if not self.cluster.separate_scheduler():
            return []
        with suppress(Exception):  # one without ridgebench counts as other work
            return [self.cluster.client.run_on_scheduler(read_host)]
        return []


def busiest(hosts: Sequence[HostUse]) -> MachineUse | None:
    """Return the use of the host where others, and its hypervisor, took the most cores."""
    return max((one.use for one in hosts), key=others_cores, default=None)


def others_cores(use: MachineUse) -> float:
    """Return the cores that others and the hypervisor took, as far as they are known."""
    return (use.others_cores or 0.0) + (use.steal_cores or 0.0)


def hosts_disturbance(hosts: Sequence[HostUse], asked: Mapping[str, int]) -> str | None:
    """Return what disturbed fits on which host, None if nothing did.

    asked : cores of the fit on every host, by its name.
    """
    reasons = [(one.host, disturbance(one.use, asked[one.host])) for one in hosts]
    return "; ".join(f"{host}: {reason}" for host, reason in reasons if reason) or None
