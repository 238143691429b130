"""Nodes that are workers of a Dask scheduler which runs already.

The workers are their user's: they keep their processes and their kernels, and get cores and
threads for as long as the cluster is open.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any

from bench_core.cluster.capacity import Capacity, HostCapacity
from bench_core.cluster.settings import ClusterKind, NodeRequest
from bench_core.cluster.tls import TlsSettings, security
from bench_core.errors import InputError

if TYPE_CHECKING:
    from bench_core.cluster.base import Cluster


@dataclass(frozen=True, kw_only=True)
class SchedulerSettings(TlsSettings):
    """Keys of ``kind = "scheduler"``.

    Examples
    --------
    >>> SchedulerSettings(address="tcp://10.0.0.1:8786").protocol
    'tcp://'
    """

    address: Annotated[str, "address of the scheduler, tcp://… or tls://…"]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.address.startswith(("tcp://", "tls://")):
            raise InputError(
                f"address is {self.address!r}: give tcp://HOST:PORT or tls://HOST:PORT"
            )


def start(settings: SchedulerSettings, request: NodeRequest) -> Cluster:
    """Make nodes of workers of the scheduler; see `bench_core.cluster.start`."""
    from bench_core.cluster.adopted import AdoptedCluster

    if request.kernels != "default":
        raise InputError(
            f"kernels are {request.kernels!r}: workers that run already have chosen theirs; leave "
            "kernels at 'default', and start the workers with the variables that choose them"
        )

    class SchedulerCluster(AdoptedCluster):
        kind = "scheduler"
        own_workers = False

        def connect(self) -> Any:
            return _client(settings, self.settings.start_timeout)

        def choose(self, workers: dict[str, dict[str, Any]]) -> list[str]:
            return _spread(workers, super().choose(workers))

    return SchedulerCluster(settings, request)


def _client(settings: SchedulerSettings, timeout: float) -> Any:
    from distributed import Client

    from bench_core.cluster.base import NodeLostError

    try:
        return Client(
            settings.address,
            set_as_default=False,
            timeout=timeout,
            security=security(settings),
        )
    except (OSError, TimeoutError, TypeError, RuntimeError) as error:
        raise NodeLostError(
            f"no scheduler answers at {settings.address} ({str(error).splitlines()[0]}): start "
            "one, or correct the address"
        ) from error


def _spread(workers: Mapping[str, Mapping[str, Any]], order: list[str]) -> list[str]:
    """Return the addresses so that the first ones are of as many hosts as there are.

    >>> _spread({"a1": {"host": "a"}, "a2": {"host": "a"}, "b1": {"host": "b"}}, ["a1", "a2", "b1"])
    ['a1', 'b1', 'a2']
    """
    hosts: dict[str, list[str]] = defaultdict(list)
    for address in order:
        hosts[str(workers[address]["host"])].append(address)
    rounds = zip_longest(*hosts.values())
    return [address for each in rounds for address in each if address is not None]


def capacity(settings: SchedulerSettings) -> Capacity:
    """Return what the scheduler's workers can hold: their hosts are asked."""
    from bench_core.cluster.adoption import first_look

    client = _client(settings, min(settings.start_timeout, 10.0))
    try:
        found = client.run(first_look)
    finally:
        client.close()
    hosts: dict[str, list[Any]] = defaultdict(list)
    for facts in found.values():
        hosts[facts.machine].append(facts)
    return Capacity(
        tuple(
            HostCapacity(
                nodes=len(own),
                cores=max(each.topology.capacity() for each in own),
                memory_bytes=int(own[0].about["memory"]["available_bytes"]) // len(own),
            )
            for own in hosts.values()
        )
    )


KIND = ClusterKind(SchedulerSettings, start, capacity)
