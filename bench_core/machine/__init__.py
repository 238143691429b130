"""The machine: processor, cores and memory that this process may use, GPUs, load."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench_core.machine.cgroup import Limits, limits, oom_kills, throttled_seconds
from bench_core.machine.gpu import gpus
from bench_core.machine.pinning import usable
from bench_core.machine.processor import Cpu, cpu
from bench_core.machine.quiet import timing_settings
from bench_core.machine.topology import HardwareThread, Topology, read_topology

__all__ = [
    "Cpu",
    "HardwareThread",
    "Limits",
    "Topology",
    "affinity",
    "available_cores",
    "available_memory",
    "cpu",
    "describe",
    "gpus",
    "limits",
    "load",
    "oom_kills",
    "peak_memory",
    "read_topology",
    "throttled_seconds",
]


def affinity() -> list[int]:
    """Return the numbers of the processors that this process may run on."""
    return sorted(usable())


def available_cores(*, hardware_threads: bool = False) -> int:
    """Return the physical cores that this process can keep busy: in its affinity and its quota.

    hardware_threads : count the threads of a core singly; they share its arithmetic units.
    """
    return read_topology().capacity(hardware_threads=hardware_threads)


def available_memory() -> int:
    """Return the bytes that this process may still use: of the machine, and of its quota."""
    import psutil

    free = limits().memory_free_bytes
    available = int(psutil.virtual_memory().available)
    return available if free is None else min(available, free)


def peak_memory() -> int:
    """Return the largest resident memory of this process so far, in bytes.

    The resource usage that the system keeps counts the parent's peak too, for a process that was
    started without a copy of it (``vfork``). Linux's own status of the process does not.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def describe() -> dict[str, Any]:
    """Return the machine as stored in records, under stable keys.

    ``cpu`` (model, vendor, architecture, features); ``cores`` (logical, physical, affinity;
    available, sockets, memory_domains and threads_per_core of what this process may use; topology:
    false where the system says nothing of cores, so that every processor counts as one);
    ``cgroup`` (cores, memory_bytes: null where unlimited); ``memory`` (total_bytes,
    available_bytes); ``gpus`` (name, memory_bytes, driver); ``system``; ``settings`` (see
    `bench_core.machine.quiet.TimingSettings`).
    """
    import psutil

    processor = cpu()
    limit = limits()
    found = read_topology()
    return {
        "cpu": {
            "model": processor.model,
            "vendor": processor.vendor,
            "architecture": platform.machine(),
            "features": list(processor.features),
        },
        "cores": {
            "logical": os.cpu_count(),
            "physical": psutil.cpu_count(logical=False),
            "affinity": affinity(),
            "available": found.capacity(),
            "sockets": len({thread.socket for thread in found.threads}),
            "memory_domains": len({thread.domain for thread in found.threads}),
            "threads_per_core": max(map(len, found.cores()), default=1),
            "topology": found.known,
        },
        "cgroup": {"cores": limit.cores, "memory_bytes": limit.memory_bytes},
        "memory": {
            "total_bytes": int(psutil.virtual_memory().total),
            "available_bytes": available_memory(),
        },
        "gpus": gpus(),
        "system": f"{platform.system()} {platform.release()}",
        "settings": asdict(timing_settings()) | {"governors": list(timing_settings().governors)},
    }


def load(interval: float = 0.2) -> dict[str, Any]:
    """Return the load of the machine over ``interval`` seconds, and the kernel's averages.

    ``busy_cores`` counts the cores kept busy by other processes during the interval (this one
    sleeps); ``average`` holds the 1, 5 and 15 minute load averages.
    """
    import psutil

    psutil.cpu_percent()
    time.sleep(interval)
    share = psutil.cpu_percent() / 100.0
    average = list(os.getloadavg()) if hasattr(os, "getloadavg") else None
    return {"busy_cores": round(share * (os.cpu_count() or 1), 2), "average": average}
