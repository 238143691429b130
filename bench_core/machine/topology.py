"""Sockets, NUMA domains, physical cores and hardware threads that this process may use.

Linux says them below ``/sys/devices/system``: the hardware threads of a core in
``cpu/cpuN/topology/core_cpus_list`` (``thread_siblings_list`` before Linux 5.3), its socket in
``physical_package_id``, and the processors of a NUMA domain in ``node/nodeN/cpulist``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from bench_core.errors import InputError
from bench_core.machine.cgroup import limits
from bench_core.machine.pinning import usable

FIRST_CORE = "RIDGEBENCH_FIRST_CORE"
"""Variable with the place of the core that is taken first, from 0.

Runs that share a machine would else all be kept on its first cores while others are idle.
"""

_CPUS = Path("sys/devices/system/cpu")
_DOMAINS = Path("sys/devices/system/node")


@dataclass(frozen=True, order=True)
class HardwareThread:
    """One logical processor.

    Attributes
    ----------
    socket, domain : of its core. domain : of memory (NUMA); the socket where none is known.
    core : the lowest number of the hardware threads of its core, usable or not.
    number : as in ``os.sched_getaffinity``.

    Examples
    --------
    >>> HardwareThread(socket=0, domain=0, core=1, number=65).core
    1
    """

    socket: int
    domain: int
    core: int
    number: int


@dataclass(frozen=True)
class Topology:
    """What of the machine this process may use.

    Attributes
    ----------
    threads : the hardware threads in its affinity, by socket, domain and core; those before the
        first core that is to be taken (`FIRST_CORE`) come last.
    quota : of its control groups, in cores; None without one.
    known : False where the system does not say which threads share a core. Every logical processor
        then counts as a core of one domain.

    Examples
    --------
    >>> pair = [HardwareThread(0, 0, 0, number) for number in (0, 32)]
    >>> machine = Topology(tuple(pair), quota=None, known=True)
    >>> machine.capacity(), machine.capacity(hardware_threads=True)
    (1, 2)
    """

    threads: tuple[HardwareThread, ...]
    quota: float | None
    known: bool

    def cores(self) -> list[list[HardwareThread]]:
        """Return the usable hardware threads of every physical core, in the order of `threads`."""
        found: dict[int, list[HardwareThread]] = {}
        for thread in self.threads:
            found.setdefault(thread.core, []).append(thread)
        return list(found.values())

    def capacity(self, *, hardware_threads: bool = False) -> int:
        """Return how many BLAS threads can be busy: one per physical core, within the quota.

        hardware_threads : count every hardware thread instead.
        """
        count = len(self.threads) if hardware_threads else len(self.cores())
        return count if self.quota is None else max(1, min(count, int(self.quota)))

    def of(self, numbers: Iterable[int]) -> list[HardwareThread]:
        """Return the hardware threads with these numbers; those that are not usable are left out.

        >>> Topology((HardwareThread(0, 0, 0, 3),), None, True).of([3, 4])[0].number
        3
        """
        wanted = set(numbers)
        return [thread for thread in self.threads if thread.number in wanted]


def read_topology(root: Path = Path("/"), cpus: Iterable[int] | None = None) -> Topology:
    """Return the topology of what this process may use.

    Parameters
    ----------
    root : folder below which ``sys`` and ``proc`` are read.
    cpus : numbers of the logical processors; None for this process's affinity, from the core on
        that `FIRST_CORE` names.

    Raises
    ------
    InputError : that variable is no place.
    """
    numbers = tuple(sorted(usable() if cpus is None else set(cpus)))
    threads, known = _read(root, numbers)
    found = Topology(threads, limits(root).cores, known)
    return found if cpus is not None else _from_first(found, os.environ.get(FIRST_CORE) or "0")


def _from_first(machine: Topology, place: str) -> Topology:
    """Return the topology with the cores before the one at ``place`` behind the others."""
    if not place.isdecimal():
        raise InputError(f"{FIRST_CORE} is {place!r}: give the place of a core, 0 for the first")
    cores = machine.cores()
    first = int(place) % max(len(cores), 1)
    threads = [thread for core in cores[first:] + cores[:first] for thread in core]
    return replace(machine, threads=tuple(threads))


@lru_cache(maxsize=16)
def _read(root: Path, numbers: tuple[int, ...]) -> tuple[tuple[HardwareThread, ...], bool]:
    siblings = {number: _siblings(root, number) for number in numbers}
    if not siblings or None in siblings.values():
        return tuple(HardwareThread(0, 0, number, number) for number in numbers), False
    domains = _domains(root)
    found = []
    for number, core in siblings.items():
        assert core is not None
        # Some virtual machines number their one socket -1.
        socket = max(0, _integer(_folder(root, number) / "physical_package_id") or 0)
        found.append(HardwareThread(socket, domains.get(number, socket), min(core), number))
    return tuple(sorted(found)), True


def _folder(root: Path, number: int) -> Path:
    return root / _CPUS / f"cpu{number}" / "topology"


def _siblings(root: Path, number: int) -> list[int] | None:
    """Return the hardware threads of this one's core, None where the system does not say."""
    for name in ("core_cpus_list", "thread_siblings_list"):
        try:
            found = parse_list((_folder(root, number) / name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
        if number in found:
            return found
    return None


def _domains(root: Path) -> dict[int, int]:
    """Return the NUMA domain of every logical processor that is in one."""
    found: dict[int, int] = {}
    for path in sorted((root / _DOMAINS).glob("node[0-9]*/cpulist")):
        try:
            numbers = parse_list(path.read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
        found |= dict.fromkeys(numbers, int(path.parent.name.removeprefix("node")))
    return found


def parse_list(text: str) -> list[int]:
    """Return the numbers of a list as Linux writes it.

    >>> parse_list("0-2,8-12:2")
    [0, 1, 2, 8, 10, 12]
    """
    numbers: list[int] = []
    for part in filter(None, text.strip().split(",")):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        numbers.extend(range(int(first), int(last or first) + 1, int(step or 1)))
    return numbers


def _integer(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
