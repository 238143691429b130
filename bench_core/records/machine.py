"""The machines of a fit: variables, processors and threads, load, hosts of a cluster."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from bench_core.records.scalars import STRICT, Bytes, Count, Positive, Seconds


@dataclass(frozen=True, config=STRICT)
class VariablesRecord:
    """Environment variables of numerical libraries in the fit's processes.

    Parameters
    ----------
    chosen : as they were set for the fit; there were no others.
    overridden : as they were in the caller's environment, where they were removed or changed.
    passed : inherited ones that can change a time and were left as they are.

    Examples
    --------
    >>> VariablesRecord({"OMP_NUM_THREADS": "2"}, {"OMP_THREAD_LIMIT": "1"}, {}).overridden
    {'OMP_THREAD_LIMIT': '1'}
    """

    chosen: dict[str, str]
    overridden: dict[str, str]
    passed: dict[str, str]


@dataclass(frozen=True, config=STRICT)
class ProductRecord:
    """Threads that a matrix product used in one process, by one package's BLAS.

    Examples
    --------
    >>> ProductRecord("node 0", "scipy", asked=2, used=2, busy=1.98, gflops=61.0).used
    2
    """

    process: str
    package: str
    asked: Positive
    used: Positive
    busy: Annotated[float, Field(ge=0)]
    gflops: Annotated[float, Field(gt=0)]


@dataclass(frozen=True, config=STRICT)
class PlacementRecord:
    """Processors that one computing process was kept on.

    Parameters
    ----------
    cpus : numbers of the logical processors; empty where nothing was pinned.
    cores : physical cores among them; fewer than ``cpus`` where threads share cores.
    sockets, memory_domains : numbers of those that the cores belong to.
    known : False where the system does not say which processors are one core.

    Examples
    --------
    >>> PlacementRecord("node 0", (0, 2), 2, (0,), (0,), True).cores
    2
    """

    process: str
    cpus: tuple[Count, ...]
    cores: Count
    sockets: tuple[Count, ...]
    memory_domains: tuple[Count, ...]
    known: bool


@dataclass(frozen=True, config=STRICT)
class ProcessorRecord:
    """Processor time of the timed fits; see `bench_core.runner.processor`.

    Parameters
    ----------
    busy : processor time over wall time, all processes of the fit; median over the repeats.
    quota_cores : of the control group; None without one.
    throttled_s : seconds of the fits for which the quota stopped them, once for every processor
        that stopped; None where the system does not say.
    products : of every process that computes; empty for one thread.
    placement : of every process that computes; empty in records made before it was kept.
    note : why the times are not to be trusted; None if nothing speaks against them.

    Examples
    --------
    >>> ProcessorRecord(1.0, None, None, (), None).note is None
    True
    """

    busy: Annotated[float, Field(ge=0)]
    quota_cores: Annotated[float, Field(gt=0)] | None
    throttled_s: Seconds | None
    products: tuple[ProductRecord, ...]
    note: str | None
    placement: tuple[PlacementRecord, ...] = ()


@dataclass(frozen=True, config=STRICT)
class MachineRecord:
    """The machine, as `bench_core.machine.describe` reports it; only the name if nothing ran.

    ``settings`` : of the system that make times differ; None in records made before it was kept.
    """

    name: str | None
    cpu: dict[str, Any] | None = None
    cores: dict[str, Any] | None = None
    cgroup: dict[str, Any] | None = None
    memory: dict[str, int] | None = None
    gpus: list[dict[str, Any]] | None = None
    system: str | None = None
    settings: dict[str, Any] | None = None


@dataclass(frozen=True, config=STRICT)
class Load:
    """Load of the machine by other work."""

    busy_cores: float
    average: tuple[float, ...] | None


@dataclass(frozen=True, config=STRICT)
class LoadRecord:
    """Load before and after the fit."""

    before: Load | None = None
    after: Load | None = None


@dataclass(frozen=True, config=STRICT)
class HostRecord:
    """One host of a cluster's nodes, under a name that tells nothing of the site.

    Parameters
    ----------
    name : "host 0", … nodes : "node 0", … that ran there.
    cpu, cores, cgroup, memory, gpus, system : as `bench_core.machine.describe` has them there.
    before, after : load by other work around the fits.
    peak_bytes : memory of the nodes of this host, part of the record's ``memory``; None where it is
        this process's host, whose figure is that of both, or where the node that sampled was lost.

    Examples
    --------
    >>> HostRecord("host 0", ("node 0",), {}, {}, {}, {}, [], "Linux").nodes
    ('node 0',)
    """

    name: str
    nodes: tuple[str, ...]
    cpu: dict[str, Any]
    cores: dict[str, Any]
    cgroup: dict[str, Any]
    memory: dict[str, int]
    gpus: list[dict[str, Any]]
    system: str
    before: Load | None = None
    after: Load | None = None
    peak_bytes: Bytes | None = None


@dataclass(frozen=True, config=STRICT)
class LinkRecord:
    """What one host sent another in a fit; both counts are medians over the repeats.

    Parameters
    ----------
    source, target : "host 0", …; "here" is the host of the process that asked, where no node is.
    bytes : of Dask's messages.
    seconds : in which bytes were on their way: sent, and not all of them received. Those of
        connections at the same time add up. None where the system does not count them.

    Examples
    --------
    >>> LinkRecord("here", "host 0", 10**9, 0.9).bytes
    1000000000
    """

    source: str
    target: str
    bytes: Bytes
    seconds: Seconds | None


@dataclass(frozen=True, config=STRICT)
class ClusterRecord:
    """The cluster of a fit whose nodes are not processes of this machine.

    Parameters
    ----------
    kind : name of the kind. hosts : in the order of their first nodes.
    data : "path" (nodes map files that they share with this process) or "messages" (arrays travel
        over Dask, to every node its own targets).
    differences : how nodes differ, where that was allowed.
    variables : of numerical libraries, on the first node.
    links : between hosts, those that were used; empty in records made before they were kept.

    Examples
    --------
    >>> ClusterRecord("slurm", (), "path", (), {}).data
    'path'
    """

    kind: str
    hosts: tuple[HostRecord, ...]
    data: Literal["path", "messages"]
    differences: tuple[str, ...]
    variables: dict[str, str]
    links: tuple[LinkRecord, ...] = ()
