"""The record of one fit: everything needed to trust it and to draw it.

These types are the schema: `bench_core.records.codec` reads and writes them as JSON, and
`bench_core.records.schema` states them as a JSON schema. Names are the JSON keys. ``None`` is
JSON's null: not known, or not reached. ``docs/measurements.md`` explains the record.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from bench_core.records.phases import PhasesRecord

SCHEMA: Final = "ridgebench-measurement/3"
"""Version 3 added ``variables``, ``processor``, ``backend`` of a library and kernels by name.

Version 2 added ``plan`` and ``memory_needed.check_bytes``. Versions 1 and 2 are still read.
"""
SCHEMA_2: Final = "ridgebench-measurement/2"
SCHEMA_1: Final = "ridgebench-measurement/1"

STRICT: Any = {"extra": "forbid", "strict": True}

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(ge=0)]
Bytes = Annotated[int, Field(ge=0)]
Penalty = Annotated[float, Field(gt=0)]
KernelChoice = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
"""Kernels asked for: "default", "best", or a name in lower case, such as "haswell"."""
Status = Literal["ok", "invalid", "disturbed", "skipped", "failed"]
"""A disturbed fit is right and its times are not: others used the machine meanwhile."""
Stopped = Literal["repeats", "precision", "budget", "at most"]
"""Why no further repeat was begun: so many were asked for, or what `Until` names."""


@dataclass(frozen=True, config=STRICT)
class ProblemRecord:
    """The problem: name, sizes of the whole and of its two parts.

    Parameters
    ----------
    scale : fraction of the named problem's size; None for folders and arrays.
    fingerprint : digest of what the data were made from; equal means equal data.
    """

    name: str
    subject: str | None
    scale: Annotated[float, Field(gt=0, le=1)] | None
    seed: Count
    t: Count | None
    p: Count | None
    s: Count | None
    t_train: Count | None
    t_test: Count | None
    dtype: Literal["float64", "float32"]
    fingerprint: str | None


@dataclass(frozen=True, config=STRICT)
class SplitRecord:
    """The split in training and held-out samples.

    kind : "auto" only where the case ended before the kind was known. reason : why this kind was
    chosen; None where it was asked for.
    """

    kind: Literal["auto", "random", "run"]
    seed: Count
    warning: str | None
    reason: str | None = None


@dataclass(frozen=True, config=STRICT)
class Until:
    """When to stop repeating a fit, where the number of repeats is not fixed.

    Fits of the case's own size warm up first, until their times settle.

    Parameters
    ----------
    precision : half-width of the median's 95 % interval, relative to it, that is narrow enough.
    budget_s : seconds of fits, warm-up included, after which none is begun.
    at_most : repeats.

    Examples
    --------
    >>> Until().precision
    0.05
    """

    precision: Annotated[float, Field(gt=0)] = 0.05
    budget_s: Annotated[float, Field(gt=0)] = 20.0
    at_most: Positive = 30


@dataclass(frozen=True, config=STRICT)
class CaseRecord:
    """Specification of the fit. ``alphas`` is None where the case ended before they were known.

    Parameters
    ----------
    repeats : asked for; with ``until`` the fewest before its precision counts.
    until : None where the number of repeats was fixed, and in older records.
    hardware_threads : whether threads were allowed to share physical cores.
    cluster : "local", or what the configuration of another cluster calls it.
    """

    suite: str
    problem: ProblemRecord
    split: SplitRecord
    strategy: str
    options: dict[str, Any]
    nodes: Positive
    threads: Positive
    repeats: Positive
    kernels: KernelChoice
    alphas: tuple[Penalty, ...] | None
    fit_intercept: bool
    blas: str | None
    null: Literal["auto", "fit", "sample", "skip"]
    hardware_threads: bool = False
    until: Until | None = None
    cluster: str = "local"


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
class RunTimes:
    """Fits of one process, one after another: a run of the case.

    Parameters
    ----------
    number : of the run, from 0; a run that was repeated because of others has its number twice.
    started : UTC, ISO 8601.
    warm_up_fits_s : whole fits before the repeats, in no figure. fit_s : the repeats.
    stopped : why no further repeat was begun.
    use : of the machine from the first to the last repeat; None where the system does not say.
    disturbed : what disturbed the run; None if nothing did.
    counted : whether its repeats are in the case's times.

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


@dataclass(frozen=True, config=STRICT)
class PenaltyCounts:
    """Distinct penalties that were chosen, and the number of targets of each.

    Parameters
    ----------
    smallest, largest : number of targets whose penalty is the smallest or the largest candidate: a
        wider grid may be better for them. None in records before version 3.
    tried : candidates that were compared: those asked for, and what extending the grid added. None
        in records before version 3.
    """

    scope: Literal["all", "batch", "target"]
    values: tuple[float, ...]
    counts: tuple[Positive, ...]
    smallest: Count | None = None
    largest: Count | None = None
    tried: tuple[Penalty, ...] | None = None


@dataclass(frozen=True, config=STRICT)
class Accuracy:
    """Pearson r between held-out data and predictions, over targets.

    ``undefined`` counts targets with constant data or predictions; they are in no figure.
    """

    mean: float | None
    median: float | None
    p95: float | None
    max: float | None
    defined: Count
    undefined: Count


@dataclass(frozen=True, config=STRICT)
class NullAccuracy(Accuracy):
    """The same r after training on shuffled rows."""

    method: Literal["fit", "sample"]
    targets: Positive


@dataclass(frozen=True, config=STRICT)
class Agreement:
    """Comparison with scikit-learn's Ridge at the chosen penalties.

    Parameters
    ----------
    worst : largest difference of a prediction, in units of its target's spread; None if infinite.
    targets : number of targets that were compared.
    solver : of scikit-learn's Ridge.
    same_penalty, reference_penalty : comparison with RidgeCV's choice; None if not compared.
    tie : RidgeCV cannot tell the two penalties apart, within the error of either; None if they
        are the same.
    note : why something was not compared, or how near the scores of a tie are.
    """

    tolerance: Annotated[float, Field(ge=0)]
    worst: Annotated[float, Field(ge=0)] | None
    targets: Positive
    solver: Literal["svd", "cholesky"]
    same_penalty: bool | None
    reference_penalty: float | None
    note: str | None
    agrees: bool
    tie: bool | None = None


@dataclass(frozen=True, config=STRICT)
class LibraryRecord:
    """One BLAS library as it ran; ``file`` is relative to the environment.

    ``backend`` is what a wrapper calls; None for other libraries, and in records before version 3.
    """

    name: str
    version: str | None
    architecture: str | None
    threading_layer: str | None
    threads: Positive | None
    file: str | None
    interface: str | None
    backend: str | None = None


@dataclass(frozen=True, config=STRICT)
class GpuRecord:
    """The GPU that torch computed on; see `bench_core.machine.gpu.Gpu`."""

    number: Count
    name: str
    memory_bytes: Bytes
    capability: str
    driver: str | None
    cuda: str | None


@dataclass(frozen=True, config=STRICT)
class TorchRecord:
    """The library behind torch's products in one process; see `bench_core.blas.torch_proof`.

    Parameters
    ----------
    products : calls of torch that were seen in the warm-up fit, by name; empty on nodes.
    device, library, built, precision, allow_tf32, evidence, error, gflops, gpu, reason : as
        `bench_core.blas.torch_proof.TorchProof` has them.
    """

    device: str
    library: LibraryRecord
    built: dict[str, str]
    precision: str
    allow_tf32: bool | None
    evidence: str
    error: Annotated[float, Field(ge=0)]
    gflops: Annotated[float, Field(ge=0)]
    gpu: GpuRecord | None = None
    reason: str | None = None
    products: dict[str, Count] = Field(default_factory=dict)


@dataclass(frozen=True, config=STRICT)
class BlasCalls:
    """The libraries behind numpy, scipy and torch in one process.

    ``torch`` is None where no product ran in torch, and in records before version 3.
    """

    numpy: LibraryRecord
    scipy: LibraryRecord
    torch: TorchRecord | None = None


@dataclass(frozen=True, config=STRICT)
class BlasProof:
    """Library of every BLAS and LAPACK symbol of numpy and scipy; see `bench_core.blas.proof`."""

    calls: dict[str, list[dict[str, Any]]]
    exceptions: dict[str, dict[str, list[str]]]
    relinked: dict[str, Any]


@dataclass(frozen=True, config=STRICT)
class BlasRecord:
    """The BLAS that answered in the main process and on every node, and the proof.

    ``torch`` is the library that multiplied where the fit's products ran in torch; numpy's and
    scipy's, declared or not, then have no part in its time.
    """

    declared: str | None
    numpy: LibraryRecord
    scipy: LibraryRecord
    workers: tuple[BlasCalls, ...]
    proof: BlasProof | None
    torch: TorchRecord | None = None

    @property
    def in_torch(self) -> TorchRecord | None:
        """Proof of torch's library, of the main process or of the first node that has one."""
        found = (self.torch, *(one.torch for one in self.workers))
        return next((one for one in found if one is not None), None)


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
class ClusterRecord:
    """The cluster of a fit whose nodes are not processes of this machine.

    Parameters
    ----------
    kind : name of the kind. hosts : in the order of their first nodes.
    data : "path" (nodes map files that they share with this process) or "messages" (arrays travel
        over Dask, to every node its own targets).
    differences : how nodes differ, where that was allowed.
    variables : of numerical libraries, on the first node.

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


@dataclass(frozen=True, config=STRICT)
class MemoryNeeded:
    """Memory estimated before the start.

    Parameters
    ----------
    needed_bytes : of the fit.
    available_bytes : of the machine at that time.
    check_bytes : of the comparison with scikit-learn's Ridge; None in records of version 1.
    """

    needed_bytes: Bytes
    available_bytes: Bytes
    check_bytes: Bytes | None = None


@dataclass(frozen=True, config=STRICT)
class PlanRecord:
    """The plan that the strategy made before the fit; see `bench_core.records.FitPlan`."""

    form: str | None
    flops: float | None
    useful_flops: float | None
    peak_bytes: Bytes
    node_bytes: tuple[Bytes, ...]
    slowdown: float | None
    settings: dict[str, Any]


@dataclass(frozen=True, config=STRICT)
class RecoveryRecord:
    """What a fit lost on its way and did again, or took from an earlier attempt.

    Its times are no measurement.

    Parameters
    ----------
    lost : every node or process that was lost, and how it ended.
    redone : times that work was begun again.
    resumed : batches that an earlier attempt had finished.

    Examples
    --------
    >>> RecoveryRecord(("node 1 (pid 4711) was killed by SIGKILL",), 1, 0).redone
    1
    """

    lost: tuple[str, ...]
    redone: Count
    resumed: Count


@dataclass(frozen=True, config=STRICT)
class Record:
    """One fit of one problem by one strategy.

    Parameters
    ----------
    id : unique: the key and the start.
    key : digest of the case without its suite; equal for equal cases.
    reason : why the status is not "ok".
    bytes_moved : between processes during one fit, by Dask's counters.
    environment : name that asv gives the environment; None outside asv.
    uncommitted : whether tracked files differed from the commit; None if unknown.
    started : UTC, ISO 8601. ``seconds`` : from start to record, everything included.
    plan : as it was carried out; None for strategies that make none, and in records of version 1.
    session : of the `ridgebench bench` that measured it interleaved with others; None outside one.
    warnings : what a fit was warned of: values left out, or less exact than asked for.
    device_memory : of every process on its GPU; empty where there is none.
    recovery : of a fit that lost a node or was resumed; None for every other.
    variables, processor : None where nothing ran, and in records before version 3.
    phases : seconds by phase; None for strategies that do not take them, and in older records.
    cluster : None where all processes were of the machine that the record names.

    Examples
    --------
    >>> from bench_core.records import parse_record, record_line
    >>> from bench_core.runner.run import start_record
    >>> from bench_core.runner.spec import FitSpec, ProblemShape
    >>> spec = FitSpec("parcels", "bmor", nodes=2)
    >>> record = start_record(spec, ProblemShape("parcels", 1081, 256, 6, "float64"))
    >>> record.status, record.case.nodes
    ('failed', 2)
    >>> parse_record(record_line(record), "the example") == record
    True
    """

    schema: Literal[
        "ridgebench-measurement/3", "ridgebench-measurement/2", "ridgebench-measurement/1"
    ]
    id: str
    key: Annotated[str, Field(pattern="^[0-9a-f]{20}$")]
    status: Status
    reason: str | None
    case: CaseRecord
    times: Times | None
    memory: Memory | None
    bytes_moved: dict[str, Bytes] | None
    penalty: PenaltyCounts | None
    accuracy: Accuracy | None
    null: NullAccuracy | None
    agreement: Agreement | None
    blas: BlasRecord | None
    machine: MachineRecord
    load: LoadRecord
    versions: dict[str, str]
    environment: str | None
    commit: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None
    uncommitted: bool | None
    memory_needed: MemoryNeeded | None
    started: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    seconds: Seconds
    seed: Count
    plan: PlanRecord | None = None
    variables: VariablesRecord | None = None
    processor: ProcessorRecord | None = None
    warnings: tuple[str, ...] = ()
    device_memory: tuple[DeviceMemory, ...] = ()
    recovery: RecoveryRecord | None = None
    phases: PhasesRecord | None = None
    session: str | None = None
    cluster: ClusterRecord | None = None

    def __post_init__(self) -> None:
        """Check what one field demands of another."""
        if self.status != "ok":
            if not self.reason:
                raise ValueError(f"status {self.status!r} needs a reason")
            if self.status in ("skipped", "failed") and self.times is not None:
                raise ValueError(f"status {self.status!r} has no times")
            return
        if self.reason is not None:
            raise ValueError("status 'ok' has no reason")
        needed = ("times", "memory", "bytes_moved", "penalty", "accuracy", "agreement", "blas")
        absent = [name for name in needed if getattr(self, name) is None]
        if absent:
            raise ValueError(f"status 'ok' needs {', '.join(absent)}")
        if self.agreement is not None and not self.agreement.agrees:
            raise ValueError("status 'ok' needs an agreement that agrees")
