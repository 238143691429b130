"""Everything that a worker sets up around its fits: cores, BLAS, data, cluster, warm-up."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from bench_core import cluster as clusters
from bench_core import strategies
from bench_core.blas.threads import ProductThreads, product_threads, torch_threads
from bench_core.blas.torch_watch import TorchProducts, is_loaded, watch_products
from bench_core.cluster import Ledger, Recovery
from bench_core.cluster.delivery import own_path
from bench_core.cluster.waiting import guarded
from bench_core.data import Problem
from bench_core.disk import give_back
from bench_core.errors import ResourceError, readable_bytes
from bench_core.machine import limits, throttled_seconds
from bench_core.progress import Progress
from bench_core.records.blas import BlasCalls, BlasProof, BlasRecord
from bench_core.records.machine import ClusterRecord, LinkRecord, Load, PlacementRecord
from bench_core.records.record import RecoveryRecord
from bench_core.records.times import DeviceMemory
from bench_core.runner.blas_proof import (
    calls_of,
    locate_calls,
    refuse_bad_build,
    wrong_kernels,
    wrong_threads,
)
from bench_core.runner.device_memory import Counts, read_peaks, start_counting
from bench_core.runner.host_memory import HostsWatch
from bench_core.runner.hosts import cluster_record, host_load, quota, throttled
from bench_core.runner.memory import MemoryWatch
from bench_core.runner.on_node import OnNode
from bench_core.runner.planning import by_run, node_bytes, plan_fit, with_runs
from bench_core.runner.processor import ProcessTimes, placed, process_times
from bench_core.runner.protocol import HELD, FitJob, choose_cores
from bench_core.runner.timing import read_through, warm_blas, warmup_subset
from bench_core.runner.torch_proof import (
    device_of,
    in_torch,
    kernels_note,
    torch_record,
    unwatched,
    wrong_device,
    wrong_torch,
)

if TYPE_CHECKING:
    from bench_core.cluster import Cluster


@dataclass
class Session:
    """A worker that is ready to fit.

    Parameters
    ----------
    make : returns a new estimator of the job's strategy and options; with ``shuffled=True`` one
        whose coefficients never lie where those of the fit do.
    busy : the cores of the measured work.
    names : what to call processes, by their ids, in the record's memory.
    cluster_start_s, warm_up_s : seconds; the first is None without a cluster.
    declared_torch : where the strategy says that it computes in torch, None for numpy.
    in_warm_up : calls of torch in the warm-up; None where it was not watched.
    """

    job: FitJob
    strategy: type[strategies.Strategy]
    train: Problem
    test: Problem
    cluster: Cluster | None
    make: Callable[..., Any]
    busy: list[int]
    names: dict[int, str]
    cluster_start_s: float | None
    warm_up_s: float
    declared_torch: str | None = None
    in_warm_up: TorchProducts | None = None
    _last_times: dict[int, ProcessTimes] = field(default_factory=dict)

    @contextmanager
    def recovering(self) -> Iterator[None]:
        """Let fits go on after the loss of nodes while the context lasts, if the job asks for it.

        Not the warm-up: its batches are none of the fit.
        """
        if self.cluster is not None and self.job.retries is not None:
            folder = None if self.job.ledger is None else Path(self.job.ledger)
            self.cluster.recovery = Recovery(self.job.retries, Ledger(folder, self._give_back))
        yield

    def forget_batches(self) -> None:
        """Neither use nor keep on disk any finished batches: what follows is another fit."""
        if self.cluster is not None and self.cluster.recovery is not None:
            self.cluster.recovery = Recovery(self.job.retries or 0)

    def _give_back(self, size: int) -> None:
        """Give back space held for coefficients that are copied otherwise, and here are linked."""
        job = self.job
        if job.output is not None and job.save_coef and "coef" not in self.strategy.supports:
            give_back(Path(job.output) / HELD, size)

    def recovery(self) -> RecoveryRecord | None:
        """Return the record's ``recovery``; None where nothing was lost or resumed."""
        found = None if self.cluster is None else self.cluster.recovery
        if found is None or not (found.lost or found.redone or found.ledger.resumed):
            return None
        return RecoveryRecord(tuple(found.lost), found.redone, found.ledger.resumed)

    @property
    def torch_device(self) -> str | None:
        """Where the products ran in torch, "cpu" or "cuda:0" …; None for numpy and scipy."""
        return device_of(self.declared_torch, self.in_warm_up)

    @property
    def elsewhere(self) -> bool:
        """True where nodes may be on other machines than this process."""
        return self.cluster is not None and self.cluster.elsewhere

    def watch_memory(self, interval_ms: float) -> MemoryWatch | HostsWatch:
        """Return what samples memory: here, or on the hosts of the nodes too."""
        if self.elsewhere:
            return HostsWatch(interval_ms, self.cluster)
        return MemoryWatch(interval_ms, busy=self.busy)

    def throttled(self) -> float | None:
        """Return the seconds for which quotas have stopped this fit so far, None if unknown."""
        return throttled(self.cluster) if self.elsewhere else throttled_seconds()

    def quota(self) -> float | None:
        """Return the quota of cores where the fit runs, None without one."""
        return quota(self.cluster) if self.elsewhere else limits().cores

    def loads(self) -> list[Load]:
        """Return the load by other work on the host of every node elsewhere."""
        return self.cluster.run(host_load) if self.cluster is not None and self.elsewhere else []

    def cluster_record(
        self,
        before: Sequence[Load],
        watch: MemoryWatch | HostsWatch,
        links: Sequence[LinkRecord],
    ) -> ClusterRecord | None:
        """Return the record's ``cluster``, None where all nodes are processes of this machine.

        before : `loads` before the fits. links : see `bench_core.runner.link_meter`.
        """
        if not self.elsewhere:
            return None
        peaks = watch.peaks if isinstance(watch, HostsWatch) else {}
        return cluster_record(self.cluster, before, self.loads(), peaks, links)

    def bytes_moved(self) -> dict[str, int]:
        """Return the bytes that nodes have moved so far; nothing moves within one process."""
        return {"total": 0} if self.cluster is None else self.cluster.bytes_moved()

    def link_seconds(self) -> dict[str, float]:
        """Return the seconds that links between hosts have taken so far."""
        return {} if self.cluster is None else self.cluster.link_seconds()

    def process_times(self) -> list[ProcessTimes]:
        """Return the processor time so far of this process and of every node."""
        if self.cluster is None:
            return [process_times()]
        answers = self.cluster.run(process_times)
        self._last_times |= zip(self.cluster.living, answers, strict=True)
        # What a node that was lost has used is not known: as much as when it was asked last.
        return [process_times(), *(one for _, one in sorted(self._last_times.items()))]

    def products(self) -> dict[str, list[ProductThreads]]:
        """Return the threads of matrix products in every process that computes, by its name.

        All nodes multiply at once, as they do in a fit. Nothing is made for one thread, nor where
        the fit's products run on a GPU.
        """
        spec, device = self.job.spec, self.torch_device
        if spec.threads == 1 or device not in (None, "cpu"):
            return {}
        count = product_threads if device is None else torch_threads
        if self.cluster is None:
            return {"main": count(spec.threads, spec.dtype)}
        answers = self.cluster.run(count, spec.threads, spec.dtype)
        return dict(zip(self._node_names, answers, strict=True))

    @property
    def _node_names(self) -> list[str]:
        """What the record calls the nodes that live, in order."""
        assert self.cluster is not None
        return [f"node {node}" for node in self.cluster.living]

    def start_device_memory(self) -> list[Counts]:
        """Start counting memory on the GPU, in every process that computes there; [] without one.

        The answer goes to `device_memory`.
        """
        device = self.torch_device
        if device is None or not device.startswith("cuda"):
            return []
        if self.cluster is None:
            return [start_counting(device)]
        return self.cluster.run(start_counting, device)

    def device_memory(self, before: list[Counts]) -> tuple[DeviceMemory, ...]:
        """Return the record's ``device_memory`` since `start_device_memory`."""
        device = self.torch_device
        if not before or device is None:
            return ()
        if self.cluster is None:
            return (read_peaks(device, before[0]).to_record("main", device),)
        found = []
        for number in self.cluster.living:
            node = self.cluster.workers[number]
            read = partial(
                self.cluster.client.run,
                read_peaks,
                device,
                before[number],
                workers=[node.address],
            )
            peaks = guarded(read, self.cluster.check)
            found.append(peaks[node.address].to_record(f"node {number}", device))
        return tuple(found)

    def placement(self) -> tuple[PlacementRecord, ...]:
        """Return the processors of every process that computes."""
        if self.cluster is None:
            return (placed("main"),)
        found = zip(self._node_names, self.cluster.run(placed, "node"), strict=True)
        return tuple(replace(one, process=name) for name, one in found)

    def blas_calls(self) -> list[BlasCalls]:
        """Return the BLAS of this process and of every node; raise `BlasMismatchError`.

        With torch's, in the processes that compute, where the products ran there.
        """
        spec, device = self.job.spec, self.torch_device
        found = [calls_of(spec.blas)]
        if self.cluster is None:
            if device is not None:
                proof = torch_record(device, spec.dtype, self.in_warm_up)
                found[0] = replace(found[0], torch=proof)
            return found
        nodes = self.cluster.run(calls_of, spec.blas)
        if device is not None:
            proofs = self.cluster.run(torch_record, device, spec.dtype)
            nodes = [replace(a, torch=b) for a, b in zip(nodes, proofs, strict=True)]
        return found + nodes

    def _wrong_torch(self, calls: list[BlasCalls]) -> str | None:
        """Return what is wrong with what is known of torch's part in the fit, None if nothing."""
        loaded: dict[str, bool] = {}
        if self.cluster is not None:
            answers = self.cluster.run(is_loaded)
            loaded = dict(zip(self._node_names, answers, strict=True))
        return (
            wrong_device(self.declared_torch, self.in_warm_up)
            or unwatched(loaded, self.torch_device)
            or wrong_torch(in_torch(calls), self.job.spec.threads)
        )

    def _located(self, calls: BlasCalls) -> BlasProof:
        """Return where every call goes, in the environment in which the fit runs."""
        if self.cluster is None or not self.elsewhere:
            return locate_calls(calls, Path(self.job.scratch))
        task = self.cluster.submit(0, _locate_there, self.job.spec.blas, str(self.cluster.scratch))
        found: BlasProof = self.cluster.gather([task])[0]
        return found

    def prove_blas(self) -> tuple[BlasRecord, str | None]:
        """Return the record's ``blas``, and what is wrong with its threads or kernels, or None."""
        calls = self.blas_calls()
        spec = self.job.spec
        # With nodes elsewhere this process has the threads and kernels of its own machine.
        fitting = calls[1:] if self.elsewhere else calls
        reason = (
            wrong_threads(fitting, spec.threads)
            or wrong_kernels(fitting, spec.kernels)
            or self._wrong_torch(calls)
        )
        proof = None if reason else self._located(calls[0])
        # The library that the fit ran on: with nodes elsewhere, that of the first of them.
        main = fitting[0]
        record = BlasRecord(
            self.job.spec.blas,
            main.numpy,
            main.scipy,
            workers=tuple(calls[1:]),
            proof=proof,
            torch=main.torch,
        )
        return record, reason or kernels_note(record, spec.kernels)


@contextmanager
def open_session(job: FitJob, progress: Progress) -> Iterator[Session]:
    """Yield a session whose cluster runs and whose libraries are warm.

    Strategies of one process are pinned to as many cores as they have threads. Nodes of a cluster
    pin themselves.
    """
    spec = job.spec
    progress("starting")
    strategy = strategies.get(spec.strategy)
    elsewhere = job.cluster.elsewhere
    busy = [] if elsewhere else choose_cores(spec.threads, hardware_threads=spec.hardware_threads)
    if not (elsewhere or strategy.distributed):
        clusters.pin(busy)
    calls = calls_of(spec.blas)  # a wrong library ends it here, before any work
    train, test = job.train.open(), job.test.open()
    size = (train.t, train.p, spec.threads)
    if not elsewhere:
        refuse_bad_build(calls, *size, whole_matrices=not job.planned)
    started = perf_counter()
    if elsewhere or strategy.distributed:
        progress("starting the cluster")
    with _cluster(job, strategy) as cluster:
        start_s = None if cluster is None else perf_counter() - started
        if cluster is not None:
            busy = sorted({cpu for node in cluster.workers for cpu in node.cpus})
        if cluster is not None and elsewhere:
            cluster.run(_refuse_bad_build_there, spec.blas, *size, not job.planned)
            _refuse_memory(job, train, cluster)

        def make(options: dict[str, Any]) -> Any:
            kind: Any = strategy
            common = {"alphas": spec.penalties, "fit_intercept": spec.fit_intercept}
            if cluster is not None and not strategy.distributed:
                return OnNode(cluster, spec.strategy, {**common, **options})
            return kind(cluster=cluster, **common, **options)

        progress("warming up")
        started = perf_counter()
        products = _warm_up(job, make, train, cluster)
        warm_up_s = perf_counter() - started
        options = with_runs(job.options, train.runs)
        # Not where only the record is wanted: reports wake other processes during the timed fit.
        if job.output is not None and "progress" in strategy.supports:
            options["progress"] = progress
        names = {os.getpid(): "main"}
        if cluster is not None and not elsewhere:
            names |= {node.pid: f"node {i}" for i, node in enumerate(cluster.workers)}
        yield Session(
            job=job,
            strategy=strategy,
            train=train,
            test=test,
            cluster=cluster,
            make=lambda shuffled=False: make(_without_file(options) if shuffled else options),
            busy=busy,
            names=names,
            cluster_start_s=start_s,
            warm_up_s=warm_up_s,
            declared_torch=make(job.options).torch_device,
            in_warm_up=products,
        )


def _cluster(job: FitJob, strategy: type[strategies.Strategy]) -> Any:
    """Return the context of the cluster that the job names, of None for one process."""
    spec = job.spec
    if not (strategy.distributed or job.cluster.elsewhere):
        return nullcontext()
    return clusters.start(
        job.cluster,
        spec.nodes,
        spec.threads,
        blas=spec.blas,
        kernels=spec.kernels,
        scratch=Path(job.scratch),
        hardware_threads=spec.hardware_threads,
        allow_mixed=job.allow_mixed,
    )


def _without_file(options: dict[str, Any]) -> dict[str, Any]:
    """Return a strategy's options without a file of coefficients."""
    kept = options.get("coef", "memory") in (None, "memory")
    return options if kept else {**options, "coef": None}


def _refuse_bad_build_there(
    blas: str | None, t: int, p: int, threads: int, whole_matrices: bool
) -> None:
    """Raise `KnownBadBuildError` for the BLAS of the node that runs this."""
    refuse_bad_build(calls_of(blas), t, p, threads, whole_matrices=whole_matrices)


def _locate_there(blas: str | None, scratch: str) -> BlasProof:
    return locate_calls(calls_of(blas), own_path(scratch))


def _refuse_memory(job: FitJob, train: Problem, cluster: Any) -> None:
    """Raise `ResourceError` where a host has too little memory for its nodes; it is named."""
    spec = job.spec
    size = (train.t, train.p, train.s, spec.dtype)
    plan = plan_fit(
        spec.strategy,
        *size,
        nodes=spec.nodes,
        alphas=spec.penalties,
        options=job.options,
        runs=train.runs,
    )
    needed = node_bytes(spec.strategy, *size, spec.nodes, plan)
    machines = [facts.machine for facts in cluster.facts]
    for facts in cluster.facts:
        count = machines.count(facts.machine)
        available = int(facts.about["memory"]["available_bytes"])
        if needed * count > available:
            raise ResourceError(
                f"host {facts.host} has {readable_bytes(available)} of memory available for "
                f"{count} nodes that need {readable_bytes(needed)} each: take a smaller scale, "
                "float32, or more hosts"
            )


def _warm_up(
    job: FitJob,
    make: Callable[[dict[str, Any]], Any],
    train: Problem,
    cluster: Cluster | None,
) -> TorchProducts | None:
    """Warm up, and return what torch was seen to compute; None where it was not watched.

    A cluster's nodes are not watched. Elsewhere torch is, if the strategy says that it computes
    there, or if it is loaded at all.
    """
    warm_blas(job.spec.dtype)
    if cluster is not None:
        cluster.run(warm_blas, job.spec.dtype)
    small = warmup_subset(train, job.spec.nodes)
    # Nothing is written, and folds that name the samples of the whole problem do not fit here.
    options: dict[str, Any] = {**job.options}
    if by_run(options) or isinstance(options.get("cv"), list):
        del options["cv"]
    for name in ("spaces", "candidates"):  # of all features, where the warm-up has a few
        options.pop(name, None)
    options |= {name: None for name in ("coef", "memory_limit") if name in options}
    products = None
    declared = make(options).torch_device is not None
    if cluster is None and (declared or is_loaded()):
        with watch_products() as products:
            make(options).fit(small.X, small.Y)
    else:
        make(options).fit(small.X, small.Y)
        if cluster is None and is_loaded():  # by the fit: see what it computes there
            with watch_products() as products:
                make(options).fit(small.X, small.Y)
    if job.read_ahead:
        read_through(job.train.files)
        if cluster is not None and cluster.elsewhere and cluster.data == "path":
            cluster.run(_read_there, job.train.files)
    return products


def _read_there(files: Sequence[Path]) -> None:
    """Read the files on the node that runs this, as far as it sees them."""
    read_through([path for path in files if path.exists()])
