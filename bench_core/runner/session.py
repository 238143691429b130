"""Everything that a worker sets up around its fits: cores, BLAS, data, cluster, warm-up."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from bench_core import cluster as clusters
from bench_core import strategies
from bench_core.blas.threads import ProductThreads, product_threads, torch_threads
from bench_core.blas.torch_watch import TorchProducts, is_loaded, watch_products
from bench_core.data import Problem
from bench_core.progress import Progress
from bench_core.records.record import BlasCalls, BlasRecord, DeviceMemory, PlacementRecord
from bench_core.runner.blas_proof import (
    calls_of,
    locate_calls,
    refuse_bad_build,
    wrong_kernels,
    wrong_threads,
)
from bench_core.runner.device_memory import Counts, read_peaks, start_counting
from bench_core.runner.planning import by_run, with_runs
from bench_core.runner.processor import ProcessTimes, placed, process_times
from bench_core.runner.protocol import FitJob, choose_cores
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
    make : returns a new estimator of the job's strategy and options.
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
    make: Callable[[], Any]
    busy: list[int]
    names: dict[int, str]
    cluster_start_s: float | None
    warm_up_s: float
    declared_torch: str | None = None
    in_warm_up: TorchProducts | None = None

    @property
    def torch_device(self) -> str | None:
        """Where the products ran in torch, "cpu" or "cuda:0" …; None for numpy and scipy."""
        return device_of(self.declared_torch, self.in_warm_up)

    def bytes_moved(self) -> dict[str, int]:
        """Return the bytes that nodes have moved so far; nothing moves within one process."""
        return {"total": 0} if self.cluster is None else self.cluster.bytes_moved()

    def process_times(self) -> list[ProcessTimes]:
        """Return the processor time so far of this process and of every node."""
        if self.cluster is None:
            return [process_times()]
        answers = self.cluster.client.run(process_times)
        return [process_times(), *(answers[node.address] for node in self.cluster.workers)]

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
        answers = self.cluster.client.run(count, spec.threads, spec.dtype)
        return {self.names[node.pid]: answers[node.address] for node in self.cluster.workers}

    def start_device_memory(self) -> list[Counts]:
        """Start counting memory on the GPU, in every process that computes there; [] without one.

        The answer goes to `device_memory`.
        """
        device = self.torch_device
        if device is None or not device.startswith("cuda"):
            return []
        if self.cluster is None:
            return [start_counting(device)]
        answers = self.cluster.client.run(start_counting, device)
        return [answers[node.address] for node in self.cluster.workers]

    def device_memory(self, before: list[Counts]) -> tuple[DeviceMemory, ...]:
        """Return the record's ``device_memory`` since `start_device_memory`."""
        device = self.torch_device
        if not before or device is None:
            return ()
        if self.cluster is None:
            return (read_peaks(device, before[0]).to_record("main", device),)
        found = []
        for node, counts in zip(self.cluster.workers, before, strict=True):
            peaks = self.cluster.client.run(read_peaks, device, counts, workers=[node.address])
            found.append(peaks[node.address].to_record(self.names[node.pid], device))
        return tuple(found)

    def placement(self) -> tuple[PlacementRecord, ...]:
        """Return the processors of every process that computes."""
        if self.cluster is None:
            return (placed("main"),)
        answers = self.cluster.client.run(placed, "node")
        found = [(self.names[node.pid], answers[node.address]) for node in self.cluster.workers]
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
        answers = self.cluster.client.run(calls_of, spec.blas)
        nodes = [answers[node.address] for node in self.cluster.workers]
        if device is not None:
            answers = self.cluster.client.run(torch_record, device, spec.dtype)
            proofs = [answers[node.address] for node in self.cluster.workers]
            nodes = [replace(a, torch=b) for a, b in zip(nodes, proofs, strict=True)]
        return found + nodes

    def _wrong_torch(self, calls: list[BlasCalls]) -> str | None:
        """Return what is wrong with what is known of torch's part in the fit, None if nothing."""
        loaded: dict[str, bool] = {}
        if self.cluster is not None:
            answers = self.cluster.client.run(is_loaded)
            loaded = {self.names[one.pid]: answers[one.address] for one in self.cluster.workers}
        return (
            wrong_device(self.declared_torch, self.in_warm_up)
            or unwatched(loaded, self.torch_device)
            or wrong_torch(in_torch(calls), self.job.spec.threads)
        )

    def prove_blas(self) -> tuple[BlasRecord, str | None]:
        """Return the record's ``blas``, and what is wrong with its threads or kernels, or None."""
        calls = self.blas_calls()
        spec = self.job.spec
        reason = (
            wrong_threads(calls, spec.threads)
            or wrong_kernels(calls, spec.kernels)
            or self._wrong_torch(calls)
        )
        proof = None if reason else locate_calls(calls[0], Path(self.job.scratch))
        main = calls[0]
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
    busy = choose_cores(spec.threads, hardware_threads=spec.hardware_threads)
    if not strategy.distributed:
        clusters.pin(busy)
    calls = calls_of(spec.blas)  # a wrong library ends it here, before any work
    train, test = job.train.open(), job.test.open()
    refuse_bad_build(calls, train.t, train.p, spec.threads, whole_matrices=not job.planned)
    started = perf_counter()
    if strategy.distributed:
        progress("starting the cluster")
    with _cluster(job, strategy) as cluster:
        start_s = None if cluster is None else perf_counter() - started
        if cluster is not None:
            busy = sorted({cpu for node in cluster.workers for cpu in node.cpus})

        def make(options: dict[str, Any]) -> Any:
            kind: Any = strategy
            return kind(
                alphas=spec.penalties,
                fit_intercept=spec.fit_intercept,
                cluster=cluster,
                **options,
            )

        progress("warming up")
        started = perf_counter()
        products = _warm_up(job, make, train, cluster)
        warm_up_s = perf_counter() - started
        options = with_runs(job.options, train.runs)
        # Not where only the record is wanted: reports wake other processes during the timed fit.
        if job.output is not None and "progress" in strategy.supports:
            options["progress"] = progress
        names = {os.getpid(): "main"}
        if cluster is not None:
            names |= {node.pid: f"node {i}" for i, node in enumerate(cluster.workers)}
        yield Session(
            job=job,
            strategy=strategy,
            train=train,
            test=test,
            cluster=cluster,
            make=lambda: make(options),
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
    if not strategy.distributed:
        return nullcontext()
    return clusters.start(
        job.cluster,
        spec.nodes,
        spec.threads,
        blas=spec.blas,
        kernels=spec.kernels,
        scratch=Path(job.scratch),
        hardware_threads=spec.hardware_threads,
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
        cluster.client.run(warm_blas, job.spec.dtype)
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
    return products
