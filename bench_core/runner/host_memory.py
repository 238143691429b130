"""Peak memory of a fit whose nodes are on other hosts: a sampler on every host, asked over Dask.

Memory is summed as `bench_core.runner.memory` says, host by host, and the peaks are added up. Those
of different hosts need not be at one time, so that the sum may be above the largest at any time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import Any

from bench_core.cluster.losses import NodeLostError
from bench_core.cluster.waiting import guarded
from bench_core.records.times import Memory
from bench_core.runner.memory import MemoryWatch

# The sampler of this node's host, where this node is the one that keeps it.
_WATCH: list[MemoryWatch] = []


class HostsWatch:
    """Samples this process and the nodes of its host, and the nodes of every other host there.

    Parameters
    ----------
    cluster : an `bench_core.cluster.adopted.AdoptedCluster`.

    Attributes
    ----------
    peaks : bytes of every host but this process's, by its name, after `stop`; not of one whose
        sampling node was lost.
    """

    def __init__(self, interval_ms: float, cluster: Any) -> None:
        self.interval_ms = interval_ms
        self.cluster = cluster
        self.peaks: dict[str, int] = {}
        here = (cluster.here.machine, cluster.here.processes)
        groups: dict[tuple[str, str], list[int]] = {}
        for node, facts in enumerate(cluster.facts):
            groups.setdefault((facts.machine, facts.processes), []).append(node)
        self._own = groups.pop(here, [])
        self._groups = list(groups.values())
        workers = cluster.workers
        busy = {cpu for node in self._own for cpu in workers[node].cpus}
        roots = [os.getpid(), *(workers[node].pid for node in self._own)]
        self._watch = MemoryWatch(interval_ms, busy=busy, roots=roots)

    def __enter__(self) -> HostsWatch:
        self._watch.__enter__()
        for nodes in self._groups:
            own = [self.cluster.workers[node] for node in nodes]
            busy = sorted({cpu for each in own for cpu in each.cpus})
            self._on(nodes, _open, self.interval_ms, [each.pid for each in own], busy)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            for nodes in self._sampled:
                if error is None:
                    self._on(nodes, _close)
                else:  # which is told, not that its node no longer answers
                    with suppress(NodeLostError):
                        self._on(nodes, _close)
        finally:
            self._watch.__exit__(kind, error, trace)

    def start(self) -> None:
        """Take the baselines and sample from now on."""
        for nodes in self._groups:
            self._on(nodes, _start)
        self._watch.start()

    def stop(self, names: Mapping[int, str] | None = None) -> Memory:
        """Stop sampling and return the record's ``memory`` part, summed over the hosts."""
        own = {self.cluster.workers[node].pid: f"node {node}" for node in self._own}
        found = [self._watch.stop({**(names or {}), **own, os.getpid(): "main"})]
        hosts = self.cluster.host_names()
        for nodes in self._sampled:
            each = {self.cluster.workers[node].pid: f"node {node}" for node in nodes}
            memory = self._on(nodes, _stop, each)
            self.peaks[hosts[nodes[0]]] = self.peaks.get(hosts[nodes[0]], 0) + memory.peak_bytes
            found.append(memory)
        return add_up(found)

    @property
    def _sampled(self) -> list[list[int]]:
        """The groups of nodes whose first, which samples, lives."""
        return [nodes for nodes in self._groups if nodes[0] in self.cluster.living]

    def _on(self, nodes: Sequence[int], function: Any, *arguments: Any) -> Any:
        address = self.cluster.workers[nodes[0]].address

        def call() -> Any:
            return self.cluster.client.run(function, *arguments, workers=[address])[address]

        return guarded(call, self.cluster.check)


def add_up(parts: Sequence[Memory]) -> Memory:
    """Return the memory of several hosts as one: sums, the longest gap and the fewest samples."""
    first = parts[0]
    return replace(
        first,
        peak_bytes=sum(each.peak_bytes for each in parts),
        baseline_bytes=sum(each.baseline_bytes for each in parts),
        peak_rss_bytes=sum(each.peak_rss_bytes for each in parts),
        longest_gap_ms=max(each.longest_gap_ms for each in parts),
        samples=min(each.samples for each in parts),
        sampler_cpu_s=sum(each.sampler_cpu_s for each in parts),
        per_process=tuple(one for each in parts for one in each.per_process),
    )


def _open(interval_ms: float, roots: list[int], busy: list[int]) -> None:
    while _WATCH:  # of a session that broke off
        _close()
    _WATCH.append(MemoryWatch(interval_ms, busy=busy, roots=roots).__enter__())


def _start() -> None:
    _WATCH[0].start()


def _stop(names: Mapping[int, str]) -> Memory:
    return _WATCH[0].stop(names)


def _close() -> None:
    _WATCH.pop().__exit__(None, None, None)
