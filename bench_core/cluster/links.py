"""Names of the ends of links between hosts."""

from __future__ import annotations

from collections.abc import Sequence

from bench_core.cluster.inspection import NodeFacts


def link_ends(
    here: NodeFacts, facts: Sequence[NodeFacts], hosts: Sequence[str], living: Sequence[int]
) -> list[str]:
    """Return what links call the place of this process, and that of every node that lives.

    It is "here" for this process where no node is at the same place. Where nodes of one host have
    network interfaces of their own, "(network 0)", … after the host's name tells them apart.

    Parameters
    ----------
    here : facts of this process. facts, hosts : of every node, and what records call its host.
    """
    networks: dict[str, list[str]] = {}
    for each in facts:
        own = networks.setdefault(each.machine, [])
        if each.network not in own:
            own.append(each.network)
    ends = {}
    for each, host in zip(facts, hosts, strict=True):
        own = networks[each.machine]
        which = f" (network {own.index(each.network)})" if len(own) > 1 else ""
        ends[each.machine, each.network] = f"{host}{which}"
    home = ends.get((here.machine, here.network), "here")
    return [home, *(ends[facts[node].machine, facts[node].network] for node in living)]
