"""CPUs of the nodes: their choice, and the affinity of a process."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from bench_core.machine.pinning import keep, threads, usable_by

_TOPOLOGY = Path("/sys/devices/system/cpu")


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


def whole_cores_first(cpus: Iterable[int]) -> list[int]:
    """Order CPUs so that the first ones share no physical core.

    Two hardware threads of one core share its arithmetic units, so a matrix product gains
    nothing from the second: every core's first thread comes before any core's second, each
    group in numerical order, which keeps the cores of one socket together.
    """
    rank: dict[int, int] = {}
    seen: dict[tuple[int, ...], int] = {}
    for cpu in sorted(cpus):
        siblings = _siblings(cpu)
        rank[cpu] = seen.get(siblings, 0)
        seen[siblings] = rank[cpu] + 1
    return sorted(rank, key=lambda cpu: (rank[cpu], cpu))


def shares(cpus: Sequence[int], nodes: int, threads: int) -> list[list[int]]:
    """Cut ``cpus`` into one share of ``threads`` CPUs per node, without overlap."""
    assert len(cpus) >= nodes * threads
    return [list(cpus[node * threads : (node + 1) * threads]) for node in range(nodes)]


def _siblings(cpu: int) -> tuple[int, ...]:
    """Return the hardware threads of this CPU's core (the CPU alone where unknown)."""
    try:
        text = (_TOPOLOGY / f"cpu{cpu}/topology/thread_siblings_list").read_text(encoding="ascii")
    except OSError:
        return (cpu,)
    siblings: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        siblings.extend(range(int(first), int(last or first) + 1))
    return tuple(siblings)
