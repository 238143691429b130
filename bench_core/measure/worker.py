"""The process in which one case is measured: ``python -m bench_core.measure.worker JOB OUT``.

Its caller, `bench_core.measure.measure`, has set the thread and kernel variables in its
environment, so that they are in force before numpy loads. Strategies that are not distributed are
fitted here, pinned to as many cores as they have threads; distributed ones drive a local cluster
whose nodes pin themselves.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from bench_core.measure.case import Case
from bench_core.measure.serving import Keep, Say, choose_cores, serve


def _measure(job: dict[str, Any], say: Say, keep: Keep) -> dict[str, Any]:
    case = Case.from_dict(job["case"])
    say("starting")
    from bench_core import cluster as clusters
    from bench_core import strategies

    strategy = strategies.get(case.strategy)
    busy = choose_cores(case.threads)
    if not strategy.distributed:
        clusters.pin(busy)
    import numpy as np

    from bench_core.accuracy import pearson_r, summary
    from bench_core.data import Problem
    from bench_core.measure.definition import agreement, penalty_counts
    from bench_core.measure.evidence import blas_report, where_calls_go, wrong_threads
    from bench_core.measure.fitting import (
        corner,
        null_accuracy,
        read_through,
        warm_blas,
        watched_fits,
    )
    from bench_core.measure.memory import MemoryWatch
    from bench_core.records.statistics import time_summary

    blas_report(case.blas)  # a wrong library ends it here, before any work
    train, test = Problem.open(job["train"]), Problem.open(job["test"])
    alphas = tuple(job["alphas"])
    found: dict[str, Any] = {"status": "ok", "reason": None}
    with ExitStack() as stack:
        cluster, start_s = None, None
        if strategy.distributed:
            say("starting the cluster")
            started = perf_counter()
            cluster = stack.enter_context(
                clusters.local(
                    case.nodes,
                    case.threads,
                    blas=case.blas,
                    kernels=case.kernels,
                    scratch=Path(job["scratch"]),
                )
            )
            start_s = perf_counter() - started
            busy = sorted({cpu for node in cluster.workers for cpu in node.cpus})

        def make() -> Any:
            return strategy(
                alphas=alphas, fit_intercept=case.fit_intercept, cluster=cluster, **case.options
            )

        say("warming up")
        started = perf_counter()
        warm_blas(case.dtype)
        if cluster is not None:
            cluster.client.run(warm_blas, case.dtype)
        small = corner(train, case.nodes)
        make().fit(small.X, small.Y)
        read_through(Path(job["train"]))
        warm_up_s = perf_counter() - started

        watch = stack.enter_context(MemoryWatch(job["interval_ms"], busy=busy))
        names = {os.getpid(): "main"}
        if cluster is not None:
            names |= {node.pid: f"node {i}" for i, node in enumerate(cluster.workers)}
        model, times, moved, memory = watched_fits(
            make,
            train,
            case.repeats,
            watch,
            names=names,
            bytes_moved=None if cluster is None else cluster.bytes_moved,
            say=say,
        )
        say("checking")
        reports = [blas_report(case.blas)]
        if cluster is not None:
            answers = cluster.client.run(blas_report, case.blas)
            reports += [answers[node.address] for node in cluster.workers]
        found["blas"] = {
            "declared": case.blas,
            **reports[0],
            "workers": reports[1:],
            "proof": None,
        }
        if reason := wrong_threads(reports, case.threads):
            return found | {"status": "invalid", "reason": reason}
        found["blas"]["proof"] = where_calls_go(reports[0], Path(job["scratch"]))
        started = perf_counter()
        predictions = np.asarray(model.predict(test.X))
        predict_s = perf_counter() - started
        if predictions.shape != test.Y.shape:
            reason = f"predictions have shape {predictions.shape}, not {test.Y.shape}"
            return found | {"status": "invalid", "reason": reason}
        chosen = model.chosen_alphas()
        found |= {
            "times": {
                **time_summary(times, seed=case.seed),
                "predict_s": predict_s,
                "warm_up_s": warm_up_s,
                "cluster_start_s": start_s,
            },
            "memory": memory,
            "bytes_moved": moved,
            "penalty": penalty_counts(chosen, strategy.penalty_scope),
            "accuracy": summary(pearson_r(test.Y, predictions)),
        }
        keep(found, "not compared with scikit-learn's Ridge")
        found["agreement"] = agreement(
            train,
            test,
            predictions,
            chosen,
            fit_intercept=case.fit_intercept,
            seed=case.seed,
        )
        del model, predictions
        say("fitting to shuffled rows")
        found["null"] = null_accuracy(
            make,
            train,
            test,
            method=case.null,
            fit_seconds=median(times),
            alphas=alphas,
            fit_intercept=case.fit_intercept,
            seed=case.seed,
        )
    return found


if __name__ == "__main__":
    serve(_measure, *sys.argv[1:3])
