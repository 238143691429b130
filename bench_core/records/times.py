"""Times and memory of fits, and what else the machine did meanwhile."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from bench_core.records.scalars import STRICT, Bytes, Count, Positive, Seconds, Stopped


@dataclass(frozen=True, config=STRICT)
class MachineUse:
    """Use of the machine over a span of time, this measurement's own processes apart.

    None where the system does not say.

    Parameters
    ----------
    seconds : wall time of the span.
    cores : logical processors of the machine.
    own_cores, others_cores : processor time over wall time, of this measurement and of all else.
    steal_cores : the same, of what the hypervisor took for other machines.
    waiting : part of the time in which some task of the system or control group waited for a
        processor (pressure stall information), this measurement's own included.
    throttled_s : seconds for which a quota stopped this control group.
    thermal_events : how often processors slowed down to cool.
    megahertz, base_megahertz : clock of the processors at the end, mean, and the one they are
        sold with.

    Examples
    --------
    >>> MachineUse(2.0, 4, 1.98, 0.02).others_cores
    0.02
    """

    seconds: Seconds
    cores: Positive
    own_cores: Annotated[float, Field(ge=0)] | None = None
    others_cores: Annotated[float, Field(ge=0)] | None = None
    steal_cores: Annotated[float, Field(ge=0)] | None = None
    waiting: Annotated[float, Field(ge=0)] | None = None
    throttled_s: Seconds | None = None
    thermal_events: Count | None = None
    megahertz: Annotated[float, Field(gt=0)] | None = None
    base_megahertz: Annotated[float, Field(gt=0)] | None = None


@dataclass(frozen=True, config=STRICT)
class HostUse:
    """Use of one host of a cluster elsewhere; ``host`` is its name in the record's ``cluster``.

    Examples
    --------
    >>> HostUse("host 1", MachineUse(2.0, 4, 1.98, 0.02)).use.cores
    4
    """

    host: str
    use: MachineUse


@dataclass(frozen=True, config=STRICT)
class RunTimes:
    """Fits of one process, one after another: a run of the case.

    Parameters
    ----------
    number : of the run, from 0; a run that was repeated because of others has its number twice.
    started : UTC, ISO 8601.
    warm_up_fits_s : whole fits before the repeats, in no figure. fit_s : the repeats.
    stopped : why no further repeat was begun.
    use : of the machine from the first to the last repeat; None where the system does not say. With
        nodes elsewhere, of that of their hosts where others took the most cores.
    disturbed : what disturbed the run; None if nothing did.
    counted : whether its repeats are in the case's times.
    hosts : use of every host of the nodes where these are elsewhere; empty otherwise.

    Examples
    --------
    >>> RunTimes(0, "2026-01-01T00:00:00Z", (1.3,), (1.0, 1.1), "repeats").counted
    True
    """

    number: Count
    started: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    warm_up_fits_s: tuple[Seconds, ...]
    fit_s: Annotated[tuple[Seconds, ...], Field(min_length=1)]
    stopped: Stopped
    use: MachineUse | None = None
    disturbed: str | None = None
    counted: bool = True
    hosts: tuple[HostUse, ...] = ()


@dataclass(frozen=True, config=STRICT)
class Times:
    """Wall times in seconds.

    Parameters
    ----------
    fit_s : every repeat that counts. ``median_s`` : their median.
    ci95_s : percentile bootstrap interval of the median; None for one repeat.
    cluster_start_s : None for strategies that run in one process.
    runs : the repeats by process, with warm-up, reason to stop, and what else used the machine;
        empty in records before version 3.
    """

    fit_s: Annotated[tuple[Seconds, ...], Field(min_length=1)]
    median_s: Seconds
    ci95_s: tuple[Seconds, Seconds] | None
    predict_s: Seconds
    warm_up_s: Seconds
    cluster_start_s: Seconds | None
    runs: tuple[RunTimes, ...] = ()


@dataclass(frozen=True, config=STRICT)
class ProcessMemory:
    """Memory of one process at the peak of all."""

    process: str
    private_bytes: Bytes
    shared_bytes: Bytes


@dataclass(frozen=True, config=STRICT)
class Memory:
    """Memory summed over the tree of processes, shared pages counted once.

    See `bench_core.runner.memory` for how it is sampled.
    """

    peak_bytes: Bytes
    baseline_bytes: Bytes
    peak_rss_bytes: Bytes
    interval_ms: Annotated[float, Field(ge=0)]
    longest_gap_ms: Annotated[float, Field(ge=0)]
    samples: Positive
    sampler_cpu_s: Seconds
    per_process: tuple[ProcessMemory, ...]


@dataclass(frozen=True, config=STRICT)
class DeviceMemory:
    """Memory of one process on its GPU, by torch's allocator, over all timed fits.

    Parameters
    ----------
    process : "main", "node 0", … device : "cuda:0", …
    peak_bytes : the most that arrays took at once (``torch.cuda.max_memory_allocated``).
    reserved_bytes : the most that the allocator held, what it keeps for later arrays included.
    free_bytes, total_bytes : of the GPU, before the first fit.

    Examples
    --------
    >>> DeviceMemory("main", "cuda:0", 2**30, 2**31, 70 * 2**30, 80 * 2**30).peak_bytes
    1073741824
    """

    process: str
    device: str
    peak_bytes: Bytes
    reserved_bytes: Bytes
    free_bytes: Bytes
    total_bytes: Bytes
