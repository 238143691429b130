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
from bench_core.blas.threads import ProductThreads, product_threads
from bench_core.data import Problem
from bench_core.progress import Progress
from bench_core.records.record import BlasCalls, BlasRecord, PlacementRecord
from bench_core.runner.blas_proof import (
    calls_of,
    locate_calls,
    refuse_bad_build,
    wrong_kernels,
    wrong_threads,
)
from bench_core.runner.planning import by_run, with_runs
from bench_core.runner.processor import ProcessTimes, placed, process_times
from bench_core.runner.protocol import FitJob, choose_cores
from bench_core.runner.timing import read_through, warm_blas, warmup_subset

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

        All nodes multiply at once, as they do in a fit. Nothing is made for one thread.
        """
        spec = self.job.spec
        if spec.threads == 1:
            return {}
        if self.cluster is None:
            return {"main": product_threads(spec.threads, spec.dtype)}
        answers = self.cluster.client.run(product_threads, spec.threads, spec.dtype)
        return {self.names[node.pid]: answers[node.address] for node in self.cluster.workers}

    def placement(self) -> tuple[PlacementRecord, ...]:
        """Return the processors of every process that computes."""
        if self.cluster is None:
            return (placed("main"),)
        answers = self.cluster.client.run(placed, "node")
        found = [(self.names[node.pid], answers[node.address]) for node in self.cluster.workers]
        return tuple(replace(one, process=name) for name, one in found)

    def blas_calls(self) -> list[BlasCalls]:
        """Return the BLAS of this process and of every node; raise `BlasMismatchError`."""
        declared = self.job.spec.blas
        found = [calls_of(declared)]
        if self.cluster is not None:
            answers = self.cluster.client.run(calls_of, declared)
            found += [answers[node.address] for node in self.cluster.workers]
        return found

    def prove_blas(self) -> tuple[BlasRecord, str | None]:
        """Return the record's ``blas``, and what is wrong with its threads or kernels, or None."""
        calls = self.blas_calls()
        spec = self.job.spec
        reason = wrong_threads(calls, spec.threads) or wrong_kernels(calls, spec.kernels)
        proof = None if reason else locate_calls(calls[0], Path(self.job.scratch))
        main = calls[0]
        record = BlasRecord(
            self.job.spec.blas, main.numpy, main.scipy, workers=tuple(calls[1:]), proof=proof
        )
        return record, reason


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
        _warm_up(job, make, train, cluster)
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
) -> None:
    warm_blas(job.spec.dtype)
    if cluster is not None:
        cluster.client.run(warm_blas, job.spec.dtype)
    small = warmup_subset(train, job.spec.nodes)
    # Nothing is written, and folds that name the samples of the whole problem do not fit here.
    options: dict[str, Any] = {**job.options}
    if by_run(options) or isinstance(options.get("cv"), list):
        del options["cv"]
    options |= {name: None for name in ("coef", "memory_limit") if name in options}
    make(options).fit(small.X, small.Y)
    if job.read_ahead:
        read_through(job.train.files)
