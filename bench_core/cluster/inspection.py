"""What a node says of itself, asked in its own process, and how nodes differ.

Everything that a local cluster reads from this machine (processor, topology, memory, BLAS,
versions) is read on the node here.
"""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_core import machine
from bench_core.blas import detect
from bench_core.blas.environment import threading_variables
from bench_core.cluster.cores import affinity
from bench_core.machine.topology import Topology, read_topology
from bench_core.records.provenance import versions

#: Packages whose versions must be those of the process that plans the fit: code and arrays pass
#: between them.
SHARED_PACKAGES = ("ridgebench", "python", "dask", "distributed", "numpy", "scipy", "scikit-learn")


@dataclass(frozen=True)
class NodeFacts:
    """What one node is and runs.

    Attributes
    ----------
    host : its name. machine : the same for processes that share cores and memory.
    processes : the same for processes that see each other's numbers.
    network : the same for processes that share network interfaces.
    control : its control groups, whose quota it shares.
    topology : what it may use, as it was started.
    about : `bench_core.machine.describe` there.
    blas : `bench_core.blas.detect` there. variables : of numerical libraries.
    clock_s : its clock, seconds since 1970.

    Examples
    --------
    >>> here = look()
    >>> here.pid == os.getpid(), here.machine == look().machine
    (True, True)
    """

    host: str
    machine: str
    processes: str
    network: str
    control: str
    pid: int
    topology: Topology
    about: dict[str, Any]
    blas: dict[str, Any]
    versions: dict[str, str]
    variables: dict[str, str]
    clock_s: float

    @property
    def location(self) -> tuple[str, str, str]:
        """The same for processes that see each other, and are reached together."""
        return self.machine, self.processes, self.network

    @property
    def processor(self) -> str:
        """Model of the processor."""
        return str(self.about["cpu"]["model"])

    @property
    def libraries(self) -> dict[str, str]:
        """The library, version and kernels that numpy and scipy call."""
        return {
            caller: " ".join(
                str(self.blas[caller][key])
                for key in ("name", "version", "architecture")
                if self.blas[caller][key]
            )
            for caller in ("numpy", "scipy")
        }

    def compared(self) -> dict[str, str]:
        """Return what nodes of one cluster must have in common, by name."""
        return {
            "processor": self.processor,
            **{f"BLAS of {caller}": text for caller, text in self.libraries.items()},
            **{f"version of {name}": text for name, text in self.versions.items()},
        }


def place() -> tuple[str, str]:
    """Return what this process's machine, and the numbers of its processes, are told by.

    Each is the same in processes that have it in common.
    """
    machine_id = _read("/proc/sys/kernel/random/boot_id") or socket.gethostname()
    return machine_id, _link("/proc/self/ns/pid")


def look() -> NodeFacts:
    """Return the facts of this process."""
    machine_id, processes = place()
    return NodeFacts(
        host=socket.gethostname(),
        machine=machine_id,
        processes=processes,
        network=_link("/proc/self/ns/net"),
        control=_read("/proc/self/cgroup"),
        pid=os.getpid(),
        topology=read_topology(cpus=affinity()),
        about=machine.describe(),
        blas=detect().to_dict(),
        versions=versions(),
        variables=threading_variables(),
        clock_s=time.time(),
    )


def differences(facts: Sequence[NodeFacts], names: Sequence[str]) -> list[str]:
    """Return how nodes differ from most of them, one line for each node and property.

    names : of the nodes, as messages call them.
    """
    tables = [each.compared() for each in facts]
    found = []
    for key in dict.fromkeys(key for table in tables for key in table):
        values = [table.get(key, "none") for table in tables]
        usual, count = Counter(values).most_common(1)[0]
        if count == len(values):
            continue
        found += [
            f"{name}: {key} is {value}, and {usual} elsewhere"
            for name, value in zip(names, values, strict=True)
            if value != usual
        ]
    return found


def differences_from_here(facts: Sequence[NodeFacts], names: Sequence[str]) -> list[str]:
    """Return where versions of nodes are not those of this process, one line each."""
    here = versions()
    return [
        f"{name}: version of {package} is {each.versions.get(package, 'none')}, and "
        f"{here.get(package, 'none')} where the fit is planned"
        for each, name in zip(facts, names, strict=True)
        for package in SHARED_PACKAGES
        if each.versions.get(package) != here.get(package)
    ]


def _read(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    return ""


def _link(path: str) -> str:
    with suppress(OSError):
        return os.readlink(path)
    return ""
