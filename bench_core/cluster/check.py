"""Proof of a cluster: every node's host, BLAS, versions, clock, scratch and links."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench_core.cluster.adopted import AdoptedCluster

#: Bytes that are sent and written to find a rate.
PROBE_BYTES = 32 * 2**20
_CLOCK_TRIES = 5


@dataclass(frozen=True)
class NodeCheck:
    """What one node proved.

    Attributes
    ----------
    cores, sockets, memory_domains : of what the node may use; threads_per_core, quota_cores too.
    cpus : on which it was pinned.
    blas, kernels : library and version, and its kernels, of numpy and scipy, joined by " / " where
        they differ.
    clock_offset_s : its clock less this process's; known to ``clock_error_s``.
    sees_scratch : whether it sees the cluster's folder.
    from_here : bytes per second from this process to the node.
    scratch_write, scratch_read : bytes per second of a file on scratch, written to the disk; read
        is that of the node before, from memory where both are of one host. None without scratch.

    Examples
    --------
    >>> NodeCheck.__dataclass_fields__["host"].type
    'str'
    """

    node: int
    host: str
    address: str
    processor: str
    cores: int
    sockets: int
    memory_domains: int
    threads_per_core: int
    quota_cores: float | None
    memory_bytes: int
    cpus: tuple[int, ...]
    blas: str
    kernels: str
    threads: int | None
    versions: dict[str, str]
    clock_offset_s: float
    clock_error_s: float
    sees_scratch: bool
    from_here: float
    scratch_write: float | None
    scratch_read: float | None


@dataclass(frozen=True)
class ClusterCheck:
    """The proof of a whole cluster.

    Attributes
    ----------
    data : "path" or "messages": how arrays will reach the nodes.
    links : bytes per second from node to node, as "0 to 1".
    differences : how nodes differ; empty where they are alike.
    start_s : seconds until all nodes served.

    Examples
    --------
    >>> ClusterCheck("slurm", "slurm site", 0.0, "path", (), {}, ()).data
    'path'
    """

    kind: str
    label: str
    start_s: float
    data: str
    nodes: tuple[NodeCheck, ...]
    links: dict[str, float]
    differences: tuple[str, ...]


def check_nodes(
    cluster: AdoptedCluster, label: str, start_s: float, size: int = PROBE_BYTES
) -> ClusterCheck:
    """Return the proof of a cluster that runs.

    Parameters
    ----------
    label : what records call it. start_s : seconds that it took to start.
    size : bytes of every transfer that is timed.
    """
    clocks = _clocks(cluster)
    sent = [_seconds(partial(_send, cluster, node, size)) for node in range(cluster.nodes)]
    written, read = _scratch_rates(cluster, size)
    nodes = []
    for number, (node, facts) in enumerate(zip(cluster.workers, cluster.facts, strict=True)):
        cores = facts.about["cores"]
        callers = [node.blas[caller] for caller in ("numpy", "scipy")]
        nodes.append(
            NodeCheck(
                node=number,
                host=node.host,
                address=node.address,
                processor=facts.processor,
                cores=int(cores["available"]),
                sockets=int(cores["sockets"]),
                memory_domains=int(cores["memory_domains"]),
                threads_per_core=int(cores["threads_per_core"]),
                quota_cores=facts.topology.quota,
                memory_bytes=int(facts.about["memory"]["available_bytes"]),
                cpus=node.cpus,
                blas=_joined(f"{one['name']} {one['version'] or ''}".strip() for one in callers),
                kernels=_joined(str(one["architecture"] or "unknown") for one in callers),
                threads=callers[0]["threads"],
                versions=facts.versions,
                clock_offset_s=clocks[number][0],
                clock_error_s=clocks[number][1],
                sees_scratch=cluster.seen[number],
                from_here=size / sent[number],
                scratch_write=written[number],
                scratch_read=read[number],
            )
        )
    return ClusterCheck(
        cluster.kind,
        label,
        start_s,
        cluster.data,
        tuple(nodes),
        _links(cluster, size),
        tuple(cluster.differences),
    )


def _joined(words: Any) -> str:
    return " / ".join(dict.fromkeys(words))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return max(time.perf_counter() - started, 1e-9)


def _clocks(cluster: AdoptedCluster) -> list[tuple[float, float]]:
    """Return the offset of every node's clock, and half the round trip that bounds its error."""
    found = []
    for node in cluster.workers:
        tries = []
        for _ in range(_CLOCK_TRIES):
            before = time.time()
            there = cluster.client.run(time.time, workers=[node.address])[node.address]
            after = time.time()
            tries.append(((after - before) / 2, there - (before + after) / 2))
        error, offset = min(tries)
        found.append((offset, error))
    return found


def _send(cluster: AdoptedCluster, node: int, size: int) -> None:
    from bench_core.cluster.messages import put

    cluster.wait([cluster.submit(node, len, put(cluster, node, secrets.token_bytes(size)))])


def _fetch(cluster: AdoptedCluster, node: int, made: Any) -> None:
    cluster.wait([cluster.submit(node, len, made)])


def _links(cluster: AdoptedCluster, size: int) -> dict[str, float]:
    """Return the rate from every node to every other, or to the next one where they are many."""
    count = cluster.nodes
    pairs = [(one, other) for one in range(count) for other in range(count) if one != other]
    if count > 4:
        pairs = [(one, (one + 1) % count) for one in range(count)]
    found = {}
    for one, other in pairs:
        made = cluster.submit(one, secrets.token_bytes, size)
        cluster.wait([made])
        found[f"{one} to {other}"] = size / _seconds(partial(_fetch, cluster, other, made))
    return found


def _scratch_rates(
    cluster: AdoptedCluster, size: int
) -> tuple[list[float | None], list[float | None]]:
    nodes = range(cluster.nodes)
    if not all(cluster.seen):
        return [None] * cluster.nodes, [None] * cluster.nodes
    files = [str(cluster.scratch / f"probe-{node}") for node in nodes]
    try:
        written = [
            cluster.gather([cluster.submit(node, write_probe, files[node], size)])[0]
            for node in nodes
        ]
        read = [
            cluster.gather([cluster.submit(node, read_probe, files[node - 1])])[0] for node in nodes
        ]
    finally:
        for file in files:
            Path(file).unlink(missing_ok=True)
    return [size / each for each in written], [size / each for each in read]


def write_probe(path: str, size: int) -> float:
    """Write ``size`` bytes to the disk and return the seconds that it took."""
    content = secrets.token_bytes(size)
    started = time.perf_counter()
    with Path(path).open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return max(time.perf_counter() - started, 1e-9)


def read_probe(path: str) -> float:
    """Read a file and return the seconds that it took."""
    return _seconds(Path(path).read_bytes)
