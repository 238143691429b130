"""What a worker sets up before its fits: cores, BLAS, data, cluster, warm-up."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from bench_core import cluster as clusters
from bench_core import strategies
from bench_core.blas.torch_watch import TorchProducts, is_loaded, watch_products
from bench_core.data import Problem
from bench_core.errors import ResourceError, readable_bytes
from bench_core.progress import Progress
from bench_core.runner.blas_proof import calls_of, refuse_bad_build
from bench_core.runner.on_node import OnNode
from bench_core.runner.planning import by_run, node_bytes, plan_fit, with_runs
from bench_core.runner.protocol import FitJob, choose_cores
from bench_core.runner.session import Session
from bench_core.runner.timing import read_through, warm_blas, warmup_subset

if TYPE_CHECKING:
    from bench_core.cluster import Cluster


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
