"""Nodes on hosts that are reached by SSH, started by Dask's SSHCluster."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from bench_core.cluster.capacity import Capacity, HostCapacity
from bench_core.cluster.settings import ClusterKind, NodeRequest
from bench_core.cluster.tls import TlsSettings, configured, security
from bench_core.errors import InputError, RidgebenchError, install_command

if TYPE_CHECKING:
    from bench_core.cluster.base import Cluster


@dataclass(frozen=True, kw_only=True)
class SshSettings(TlsSettings):
    """Keys of ``kind = "ssh"``.

    Examples
    --------
    >>> SshSettings(hosts=("a", "b"), interface="eth0").start_timeout
    120.0
    """

    hosts: Annotated[tuple[str, ...], "hosts of the nodes, in order; the first has the scheduler"]
    interface: Annotated[str, "network interface that scheduler and nodes listen on, such as eth0"]
    username: Annotated[str | None, "user on the hosts"] = None
    port: Annotated[int | None, "port of the SSH servers"] = None
    client_keys: Annotated[tuple[Path, ...], "private keys; SSH's own by default"] = ()
    known_hosts: Annotated[Path | None, "file of host keys; SSH's own by default"] = None
    python: Annotated[str | None, "Python on the hosts; this one's path by default"] = None
    local_scratch: Annotated[str | None, "folder for what a node keeps for itself"] = None
    cores: Annotated[int | None, "physical cores of each host, for plans and skips"] = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.hosts:
            raise InputError("hosts is empty: name one host or more")

    def connection(self) -> dict[str, Any]:
        """Return the keywords of asyncssh's ``connect`` that are set."""
        given = {
            "username": self.username,
            "port": self.port,
            "client_keys": [str(each) for each in self.client_keys],
            "connect_timeout": self.start_timeout,
            "known_hosts": None if self.known_hosts is None else str(self.known_hosts),
        }
        return {name: value for name, value in given.items() if value}


def start(settings: SshSettings, request: NodeRequest) -> Cluster:
    """Start a node on one host after the other; see `bench_core.cluster.start`."""
    from bench_core.cluster.adopted import AdoptedCluster

    if importlib.util.find_spec("asyncssh") is None:
        raise RidgebenchError(f"SSH needs asyncssh: {install_command('ssh')}")

    class SshCluster(AdoptedCluster):
        kind = "ssh"

        def connect(self) -> Any:
            return _connect(settings, self)

    return SshCluster(settings, request)


def _connect(settings: SshSettings, cluster: Any) -> Any:
    import logging

    from distributed import Client, SSHCluster

    from bench_core.cluster.adopted import first_line
    from bench_core.cluster.base import NodeLostError
    from bench_core.cluster.launch import launcher

    used = [settings.hosts[node % len(settings.hosts)] for node in range(cluster.nodes)]
    python = settings.python or sys.executable
    common = {"interface": settings.interface, "protocol": settings.protocol, "dashboard": False}
    node = {"nthreads": 1, "memory_limit": None, "local_directory": settings.local_scratch}
    chosen = (cluster.threads, cluster.kernels, cluster.blas)
    try:
        with configured(settings):
            running = SSHCluster(
                [used[0], *used],
                connect_options=settings.connection(),
                worker_options={**common, **node},
                scheduler_options={**common, "port": 0},
                worker_class="distributed.Worker",  # a nanny would start a lost node again
                remote_python=[
                    launcher(python, 1, "default", None, watch=True),
                    *[launcher(python, *chosen, watch=True)] * len(used),
                ],
                silence_logs=logging.CRITICAL,
                security=security(settings),
            )
    except Exception as error:  # asyncssh's, Dask's and the system's
        raise NodeLostError(
            f"no cluster on {', '.join(dict.fromkeys(used))}: {first_line(error)}: check that ssh "
            f"reaches these hosts without a password, and that {python} there has ridgebench"
        ) from error
    cluster._open.callback(running.close)
    return Client(running, set_as_default=False, security=security(settings))


def capacity(settings: SshSettings) -> Capacity:
    """Return what the hosts can hold, as configured."""
    hosts = dict.fromkeys(settings.hosts)
    return Capacity(tuple(HostCapacity(None, settings.cores) for _ in hosts))


KIND = ClusterKind(SshSettings, start, capacity)
