"""Cluster of worker processes on this machine, each with its own BLAS threads and cores."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from bench_core.blas import build_environment, declared, kernel_environment
from bench_core.cluster.base import Cluster
from bench_core.cluster.capacity import Capacity, HostCapacity
from bench_core.cluster.cores import place_nodes
from bench_core.cluster.settings import ClusterKind, CommonSettings, NodeRequest
from bench_core.cluster.site_settings import OWN_VARIABLES
from bench_core.errors import InputError
from bench_core.machine import available_cores, available_memory, read_topology
from bench_core.machine.pinning import keep, usable


class LocalCluster(Cluster):
    """Processes of this machine that talk over the loopback interface only."""

    kind = "local"

    def __init__(
        self,
        nodes: int,
        threads: int,
        *,
        blas: str | None,
        kernels: str,
        scratch: str | Path | None,
        shares: list[list[int]],
    ) -> None:
        built = build_environment(threads, kernel_environment(kernels), blas=blas)
        # A node's log is read only after a failure.
        self._environment = {**built.variables, **OWN_VARIABLES}
        self._shares = shares
        super().__init__(nodes, threads, host="127.0.0.1", blas=blas, scratch=scratch)

    def _cpus(self, node: int) -> list[int]:
        return self._shares[node]

    def _launch(self, config: Path, node: int) -> subprocess.Popen[bytes]:
        # A child inherits the affinity of the thread that starts it, so this one takes the node's
        # for a moment: a BLAS counts the cores it may use when it is loaded.
        before = usable()
        try:
            if self._shares[node]:
                keep(self._shares[node])
            with config.with_suffix(".log").open("wb") as log:
                return subprocess.Popen(
                    [sys.executable, "-m", "bench_core.cluster.node", str(config)],
                    env=self._environment,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=_hears_the_terminal(),
                )
        finally:
            keep(before)


def _hears_the_terminal() -> bool:
    """Return whether an interrupt from a terminal reaches this process's group.

    It is this process's to handle, so nodes get a session of their own. A worker of
    `bench_core.runner.launcher` leads a session without a terminal: its nodes stay in its group,
    and are killed with it, even while they are stopped.
    """
    if os.getsid(0) != os.getpid():
        return True
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def local(
    nodes: int,
    threads: int,
    *,
    blas: str | None = None,
    kernels: str = "default",
    scratch: str | Path | None = None,
    oversubscribe: bool = False,
    hardware_threads: bool = False,
) -> Cluster:
    """Start ``nodes`` worker processes on this machine and wait until they serve.

    Every process gets its thread and kernel variables before its BLAS is loaded, its own
    ``threads`` physical cores (`bench_core.cluster.place_nodes`), and proves which BLAS it calls.
    It ends with this process.

    Parameters
    ----------
    nodes, threads : worker processes, and BLAS threads of each.
    blas : library that every node must prove it calls; None: the one that the variable
        ``RIDGEBENCH_BLAS`` declares, if it does.
    kernels : "default", "best" or the name of kernels; see
        `bench_core.blas.kernel_environment`.
    scratch : folder for shared arrays and results; None: the folder for temporary files.
    oversubscribe : allow more threads than cores, unpinned. For tests only: such times are
        meaningless.
    hardware_threads : let threads share physical cores, where there are more of them than cores.

    Raises
    ------
    InputError : ``nodes`` or ``threads`` below 1.
    ResourceError : ``nodes × threads`` exceeds the cores that this process may use.
    BlasMismatchError : a node calls another library than declared.
    NodeLostError : a node did not start.
    """
    for name, value in (("nodes", nodes), ("threads", threads)):
        if value < 1:
            raise InputError(f"{name} = {value}: a cluster needs at least 1")
    machine = read_topology()
    free = oversubscribe and nodes * threads > machine.capacity(hardware_threads=hardware_threads)
    shares = (
        [[] for _ in range(nodes)]
        if free
        else place_nodes(machine, nodes, threads, hardware_threads=hardware_threads)
    )
    return LocalCluster(
        nodes,
        threads,
        blas=blas if blas is not None else declared(),
        kernels=kernels,
        scratch=scratch,
        shares=shares,
    )


@dataclass(frozen=True, kw_only=True)
class LocalSettings(CommonSettings):
    """Keys of ``kind = "local"``: those that every kind has.

    Examples
    --------
    >>> LocalSettings().name is None
    True
    """


def start(settings: LocalSettings, request: NodeRequest) -> Cluster:
    """Start a local cluster with a configuration's scratch; nodes of one machine are alike."""
    return local(
        request.nodes,
        request.threads,
        blas=request.blas,
        kernels=request.kernels,
        scratch=settings.scratch or request.scratch,
        hardware_threads=request.hardware_threads,
    )


def capacity(_settings: LocalSettings) -> Capacity:
    """Return what this machine can hold."""
    return Capacity((HostCapacity(None, available_cores(), available_memory()),))


KIND = ClusterKind(LocalSettings, start, capacity, elsewhere=False)
