"""CPUs of the nodes: their choice, and the affinity of a process."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from bench_core.errors import ResourceError, counted
from bench_core.machine.pinning import keep, threads, usable_by
from bench_core.machine.topology import HardwareThread, Topology, read_topology


def pin(cpus: Iterable[int]) -> None:
    """Keep every thread of this process on these CPUs; nothing where the system cannot.

    Affinity belongs to a thread, not to a process: a BLAS that started its threads when it was
    loaded keeps their old one unless each is moved.

    Parameters
    ----------
    cpus : logical CPU numbers, as in ``os.sched_getaffinity``.

    Raises
    ------
    OSError : none of the CPUs exists, or this process may use none of them.
    """
    wanted = set(cpus)
    keep(wanted)
    for thread in threads():
        with suppress(ProcessLookupError):  # ended since the list was read
            keep(wanted, thread)


def affinity() -> list[int]:
    """Return the CPUs that any thread of this process may run on, sorted."""
    cpus: set[int] = set()
    for thread in threads() or [0]:
        with suppress(ProcessLookupError):
            cpus |= usable_by(thread)
    return sorted(cpus)


def whole_cores_first(cpus: Iterable[int], root: Path = Path("/")) -> list[int]:
    """Order CPUs so that the first ones share no physical core.

    Two hardware threads of one core share its arithmetic units, so a matrix product gains
    nothing from the second: every core's first thread comes before any core's second, each
    group in numerical order. ``root`` : where ``sys`` is.
    """
    rank = {
        thread.number: place
        for core in read_topology(root, cpus).cores()
        for place, thread in enumerate(core)
    }
    return sorted(rank, key=lambda cpu: (rank[cpu], cpu))


def place_nodes(
    machine: Topology, nodes: int, threads: int, *, hardware_threads: bool = False
) -> list[list[int]]:
    """Return the CPUs of every node: ``threads`` each, none of them twice.

    Every thread gets a physical core of its own. Where ``hardware_threads`` are allowed and there
    are not enough cores, a node gets all threads of its cores, so that no two nodes share a core if
    the numbers permit. A node lies within one NUMA domain where it fits, else within one socket;
    nodes are spread over the domains, whose memory they then have for themselves.

    Raises
    ------
    ResourceError : more threads than `Topology.capacity`.
    """
    capacity = machine.capacity(hardware_threads=hardware_threads)
    needed = nodes * threads
    if needed > capacity:
        raise too_few_cores(machine, nodes, threads, hardware_threads=hardware_threads)
    cores = machine.cores()
    first = [core[0] for core in cores]
    if needed <= len(cores):
        return [_numbers(_take(first, threads)) for _ in range(nodes)]
    own = {core[0].core: core for core in cores}
    share = -(-threads // max(map(len, cores)))  # cores of a node
    if nodes * share <= len(cores):
        taken = [_take(first, share) for _ in range(nodes)]
        whole = [[thread for one in node for thread in own[one.core]] for node in taken]
        if all(len(node) >= threads for node in whole):
            return [_numbers(node[:threads]) for node in whole]
    free = list(machine.threads)
    return [_numbers(_take(free, threads)) for _ in range(nodes)]


def _numbers(taken: list[HardwareThread]) -> list[int]:
    return sorted(thread.number for thread in taken)


def too_few_cores(
    machine: Topology, nodes: int, threads: int, *, hardware_threads: bool = False
) -> ResourceError:
    """Return the error of a machine that does not hold the nodes, with what it does hold."""
    has = machine.capacity(hardware_threads=hardware_threads)
    logical = machine.capacity(hardware_threads=True)
    needed = nodes * threads
    more = ""
    if has < needed <= logical:
        more = (
            f", or allow the {logical} hardware threads of these cores (--hardware-threads), which "
            "share their arithmetic units"
        )
    if machine.quota is not None and machine.quota < len(machine.cores()):
        more += f" (the quota of the control group is {machine.quota:g} cores)"
    kind = "hardware threads" if hardware_threads else "cores"
    return ResourceError(
        f"{counted(nodes, 'node')} × {counted(threads, 'thread')} need {needed} {kind}, "
        f"{has} available: ask for fewer{more}"
    )


def _take(free: list[HardwareThread], count: int) -> list[HardwareThread]:
    """Remove ``count`` threads from ``free`` and return them, as near to each other as can be."""
    for level in ("domain", "socket"):
        groups: dict[int, list[HardwareThread]] = {}
        for thread in free:
            groups.setdefault(getattr(thread, level), []).append(thread)
        roomy = [group for group in groups.values() if len(group) >= count]
        if roomy:
            taken = max(roomy, key=len)[:count]  # the first of the emptiest
            break
    else:
        taken = free[:count]
    for thread in taken:
        free.remove(thread)
    return taken
