"""The record's ``cluster``: hosts of the nodes, their processors, memory and load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench_core import machine
from bench_core.records.machine import ClusterRecord, HostRecord, LinkRecord, Load


def host_load() -> Load:
    """Return the load of this host by other work."""
    found = machine.load()
    average = found["average"]
    return Load(found["busy_cores"], None if average is None else tuple(average))


def host_limits() -> tuple[float | None, float | None]:
    """Return this process's quota in cores, and the seconds for which it has been stopped."""
    return machine.limits().cores, machine.throttled_seconds()


def throttled(cluster: Any) -> float | None:
    """Return the seconds for which quotas have stopped nodes so far, each control group once."""
    stopped: dict[tuple[str, str], float] = {}
    facts_alive = [cluster.facts[node] for node in cluster.living]
    for facts, (_, seconds) in zip(facts_alive, cluster.run(host_limits), strict=True):
        if seconds is not None:
            key = (facts.machine, facts.control)
            stopped[key] = max(seconds, stopped.get(key, 0.0))
    return sum(stopped.values()) if stopped else None


def quota(cluster: Any) -> float | None:
    """Return the smallest quota of a node, in cores; None without one."""
    return min((cores for cores, _ in cluster.run(host_limits) if cores is not None), default=None)


def cluster_record(
    cluster: Any,
    before: Sequence[Load],
    after: Sequence[Load],
    peaks: Mapping[str, int],
    links: Sequence[LinkRecord],
) -> ClusterRecord:
    """Return the record of the cluster's hosts.

    Parameters
    ----------
    before, after : load around the fits on the host of every node; after them, of those that live.
    peaks : bytes of hosts by their names; see `bench_core.runner.host_memory.HostsWatch`.
    links : see `bench_core.runner.link_meter`.
    """
    names = cluster.host_names()
    loads = dict(zip(cluster.living, after, strict=True))
    hosts = []
    for name in dict.fromkeys(names):
        nodes = [node for node, other in enumerate(names) if other == name]
        about = cluster.facts[nodes[0]].about
        hosts.append(
            HostRecord(
                name=name,
                nodes=tuple(f"node {node}" for node in nodes),
                **{key: about[key] for key in ("cpu", "cores", "cgroup", "memory", "gpus")},
                system=about["system"],
                before=before[nodes[0]],
                after=next((loads[node] for node in nodes if node in loads), None),
                peak_bytes=peaks.get(name),
            )
        )
    differences = []
    for text in cluster.differences:
        for node in range(cluster.nodes):  # without the names of hosts, which are the site's
            text = text.replace(cluster.describe_node(node), f"node {node}")
        differences.append(text)
    return ClusterRecord(
        kind=cluster.kind,
        hosts=tuple(hosts),
        data=cluster.data,
        differences=tuple(differences),
        variables=dict(cluster.facts[0].variables),
        links=tuple(links),
    )
