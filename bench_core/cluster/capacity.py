"""What a cluster can hold: nodes, threads and memory, before anything is started there."""

from __future__ import annotations

from dataclasses import dataclass

from bench_core.errors import counted


@dataclass(frozen=True)
class HostCapacity:
    """One host, or one job.

    Attributes
    ----------
    nodes : the most nodes that can run there; None: as many as there are cores for.
    cores : physical cores, or those of the job; None where they are not known.
    memory_bytes : None where it is not known.

    Examples
    --------
    >>> HostCapacity(nodes=None, cores=8).holds(threads=4)
    2
    """

    nodes: int | None
    cores: int | None
    memory_bytes: int | None = None

    def holds(self, threads: int) -> int | None:
        """Return how many nodes of so many threads fit; None where nothing limits them."""
        by_cores = None if self.cores is None else self.cores // threads
        limits = [each for each in (self.nodes, by_cores) if each is not None]
        return min(limits, default=None)


@dataclass(frozen=True)
class Capacity:
    """What a cluster can hold, host by host; no hosts: nothing is known before it has started.

    Examples
    --------
    >>> two = Capacity((HostCapacity(1, 32), HostCapacity(1, 32)))
    >>> two.refusal(2, 32) is None, two.refusal(3, 1)
    (True, 'the cluster holds 2 nodes of 1 thread, not 3')
    """

    hosts: tuple[HostCapacity, ...] = ()

    @property
    def cores(self) -> int | None:
        """Cores of the host that has the fewest; None where that is not known."""
        known = [each.cores for each in self.hosts]
        return min((each for each in known if each is not None), default=None)

    @property
    def memory_bytes(self) -> int | None:
        """Memory of the host that has the least; None where that is not known."""
        known = [each.memory_bytes for each in self.hosts]
        return min((each for each in known if each is not None), default=None)

    def refusal(self, nodes: int, threads: int) -> str | None:
        """Return why the nodes do not fit, None if they may."""
        each = [host.holds(threads) for host in self.hosts]
        if not each or None in each:
            return None
        room = sum(one for one in each if one is not None)
        if nodes <= room:
            return None
        return (
            f"the cluster holds {counted(room, 'node')} of {counted(threads, 'thread')}, "
            f"not {nodes}"
        )
