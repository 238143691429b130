"""Nodes on hosts that are reached by SSH, started by Dask's SSHCluster."""

from __future__ import annotations

import importlib.util
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from bench_core.cluster.capacity import Capacity, HostCapacity
from bench_core.cluster.settings import ClusterKind, NodeRequest
from bench_core.cluster.tls import TlsSettings, configured, security
from bench_core.errors import InputError, RidgebenchError, install_command

if TYPE_CHECKING:
    from bench_core.cluster.base import Cluster

_ASK_S = 4.0
_ENDED_S = 5.0


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
    from bench_core.cluster.launch import launched_as
    from bench_core.cluster.silence import HostAnswer

    if importlib.util.find_spec("asyncssh") is None:
        raise RidgebenchError(f"SSH needs asyncssh: {install_command('ssh')}")

    class SshCluster(AdoptedCluster):
        kind = "ssh"
        running: Any
        remotes: tuple[_Remote, ...] = ()

        def connect(self) -> Any:
            return _connect(settings, self)

        def choose(self, workers: dict[str, dict[str, Any]]) -> list[str]:
            """Return the workers in the order of ``hosts``: Dask names them by address alone."""
            found = self.client.run(launched_as, workers=list(workers), on_error="return")
            # What has no number cannot run ridgebench, which is said of it next.
            numbers = {at: one for at, one in found.items() if isinstance(one, int)}
            return sorted(workers, key=lambda at: numbers.get(at, len(workers)))

        def _start(self) -> None:
            super()._start()
            self.remotes = tuple(
                _Remote(self.running, self.running.workers[node]) for node in range(self.nodes)
            )
            for each in self.remotes:
                each.oom_kills = each.count_oom_kills()
            self._open.callback(self._kill_silent)

        def _kill_silent(self) -> None:
            """Kill nodes that do not answer: SSH's own signals do not reach what is stopped."""
            for node, remote in enumerate(self.remotes):
                if self._presence.is_silent(node):
                    with suppress(OSError):
                        remote.ask(f"kill -KILL {self.facts[node].pid}")

        def ending(self, node: int) -> str:
            known = self.remotes[node].ending() if self.remotes else None
            return known or super().ending(node)

        def ask_host(self, node: int) -> HostAnswer:
            found = super().ask_host(node)
            if found == "unknown" and self.remotes:
                return self.remotes[node].state(self.facts[node].pid)
            return found

    return SshCluster(settings, request)


@dataclass
class _Remote:
    """A node's process on its host, over the SSH connection that has started it.

    Parameters
    ----------
    running : the SSHCluster. process : its worker.
    oom_kills : processes that were killed there for want of memory before the fit.
    """

    running: Any
    process: Any
    oom_kills: int | None = None

    def ask(self, command: str) -> str:
        """Return what a command prints there; raise `OSError` where the host is out of reach."""
        import asyncssh

        try:
            done = self.running.sync(self.process.connection.run, command, callback_timeout=_ASK_S)
        except asyncssh.Error as error:
            raise OSError(str(error)) from error
        return str(done.stdout)

    def state(self, pid: int) -> Any:
        """Return the state of a process there, a `HostAnswer`."""
        from bench_core.cluster.silence import state_in

        try:
            return state_in(self.ask(f"cat /proc/{pid}/stat 2>/dev/null"))
        except OSError:  # late answers, too
            return "unreachable"

    def count_oom_kills(self) -> int | None:
        """Return how many processes were killed there for want of memory; None if unknown."""
        with suppress(OSError, ValueError, IndexError):
            return int(self.ask("grep -s '^oom_kill ' /proc/vmstat").split()[1])
        return None

    def ending(self) -> str | None:
        """Return how the process has ended by its SSH connection, None where that knows nothing."""
        from bench_core.cluster.health import describe_signal

        limit = time.monotonic() + _ENDED_S  # Dask may know before SSH does
        while self.process.proc.exit_status is None:
            if time.monotonic() > limit:
                return None
            time.sleep(0.05)
        found = self.process.proc.exit_signal
        if found is None:
            return f"ended with status {self.process.proc.exit_status}"
        number = getattr(signal, f"SIG{found[0]}", None)
        if number is None:
            return f"was killed by signal {found[0]}"
        return f"was killed by {describe_signal(number, self.oom_kills, self.count_oom_kills)}"


def _connect(settings: SshSettings, cluster: Any) -> Any:
    import logging

    from distributed import Client, SSHCluster

    from bench_core.cluster.adopted import CLOSE_S, first_line
    from bench_core.cluster.base import NodeLostError
    from bench_core.cluster.launch import launcher
    from bench_core.cluster.waiting import within

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
                    *(launcher(python, *chosen, watch=True, node=i) for i in range(len(used))),
                ],
                silence_logs=logging.CRITICAL,
                security=security(settings),
            )
    except Exception as error:  # asyncssh's, Dask's and the system's
        raise NodeLostError(
            f"no cluster on {', '.join(dict.fromkeys(used))}: {first_line(error)}: check that ssh "
            f"reaches these hosts without a password, and that {python} there has ridgebench"
        ) from error
    cluster.running = running
    cluster._open.callback(within, CLOSE_S, running.close)
    return Client(running, set_as_default=False, security=security(settings))


def capacity(settings: SshSettings) -> Capacity:
    """Return what the hosts can hold, as configured."""
    hosts = dict.fromkeys(settings.hosts)
    return Capacity(tuple(HostCapacity(None, settings.cores) for _ in hosts))


KIND = ClusterKind(SshSettings, start, capacity)
