"""Cores of nodes that somebody else has started: host by host, none of them twice."""

from __future__ import annotations

from collections.abc import Sequence

from bench_core.cluster.cores import place_nodes
from bench_core.cluster.inspection import NodeFacts
from bench_core.errors import ResourceError
from bench_core.machine.topology import Topology


def place_on_hosts(
    facts: Sequence[NodeFacts], threads: int, *, hardware_threads: bool = False
) -> list[list[int]]:
    """Return the CPUs of every node: ``threads`` each, as `place_nodes` chooses them on its host.

    Nodes that may use the same CPUs are placed together. Jobs of one host that have CPUs of their
    own, as Slurm's cgroups give them, keep to those.

    Raises
    ------
    ResourceError : a host does not hold its nodes; the message names it.
    """
    groups: dict[tuple[str, str, tuple[int, ...]], list[int]] = {}
    for node, each in enumerate(facts):
        cpus = tuple(thread.number for thread in each.topology.threads)
        groups.setdefault((each.machine, each.control, cpus), []).append(node)
    taken: dict[str, set[int]] = {}
    placed: dict[int, list[int]] = {}
    # Those with the fewest CPUs to choose from come first.
    for (machine, _, cpus), nodes in sorted(groups.items(), key=lambda item: len(item[0][2])):
        first = facts[nodes[0]]
        used = taken.setdefault(machine, set())
        rest = _without(first.topology, used)
        try:
            found = place_nodes(rest, len(nodes), threads, hardware_threads=hardware_threads)
        except ResourceError as error:
            others = f" (of {len(cpus)} CPUs, other nodes have {len(used)})" if used else ""
            raise ResourceError(f"host {first.host}: {error}{others}") from error
        for node, own in zip(nodes, found, strict=True):
            placed[node] = own
            used.update(own)
    return [placed[node] for node in range(len(facts))]


def _without(topology: Topology, used: set[int]) -> Topology:
    """Return the topology without the cores of which another node has a thread."""
    cores = {thread.core for thread in topology.of(used)}
    free = tuple(each for each in topology.threads if each.core not in cores)
    return Topology(free, topology.quota, topology.known)
