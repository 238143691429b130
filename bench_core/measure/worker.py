"""The process in which one case is measured: ``python -m bench_core.measure.worker JOB OUT``.

Its caller, `bench_core.measure.measure`, has set the thread and kernel variables in its
environment, so that they are in force before numpy loads. Strategies that are not distributed are
fitted here, pinned to as many cores as they have threads; distributed ones drive a local cluster
whose nodes pin themselves. What was found goes to OUT as JSON. An exception ends in OUT as a
failure and on stderr as a traceback.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import perf_counter
from types import TracebackType
from typing import Any

from bench_core.measure.case import Case
from bench_core.measure.record import finite, write_json

Say = Callable[[str], None]


def main(job_path: str, out_path: str) -> None:
    """Measure the case that the job file describes and write what was found."""
    out = Path(out_path)
    say = progress_channel()
    threading.Thread(target=leave_with_caller, daemon=True).start()
    sys.excepthook = report_to(out)
    from bench_core.blas import BlasMismatch
    from bench_core.errors import NotEnough

    job = json.loads(Path(job_path).read_text("utf-8"))
    try:
        found = _measure(job, say)
    except BlasMismatch as error:
        found = {"status": "invalid", "reason": str(error)}
    except NotEnough as error:
        found = {"status": "skipped", "reason": str(error)}
    write_json(finite(found), out)


def _measure(job: dict[str, Any], say: Say) -> dict[str, Any]:
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
    from bench_core.measure.statistics import time_summary

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
        chosen = model.definition_alphas()
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
            "agreement": agreement(
                train,
                test,
                predictions,
                chosen,
                fit_intercept=case.fit_intercept,
                seed=case.seed,
            ),
        }
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


def choose_cores(threads: int) -> list[int]:
    """Return the cores for ``threads`` threads, no two hardware threads of one core if possible."""
    from bench_core.cluster import whole_cores_first

    return whole_cores_first(os.sched_getaffinity(0))[:threads]


def progress_channel() -> Say:
    """Return a function that sends words to the caller; stdout itself now goes to stderr."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def say(words: str) -> None:
        print(words, file=channel, flush=True)

    return say


def leave_with_caller() -> None:
    """End this process and its nodes when the caller has gone, however it went."""
    while os.read(0, 1):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


def report_to(
    out: Path,
) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    """Return an exception hook that prints the traceback and leaves a failure at ``out``."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        traceback.print_exception(kind, error, trace)
        write_json({"status": "failed", "reason": f"{kind.__name__}: {error}".strip()}, out)

    return hook


if __name__ == "__main__":
    main(*sys.argv[1:3])
