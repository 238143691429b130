"""The process that fits: ``python -m bench_core.fitting.worker JOB.json OUT.json``.

Its environment holds the thread and kernel variables. It maps X and Y, fits once under
observation, and leaves predictions, r, penalties, intercepts and coefficients as ``.npy`` files;
figures of the record go to OUT as JSON. Lines of progress are JSON.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any

from bench_core.measure.serving import Keep, Say, choose_cores, serve

NOT_COMPARED = "RidgeCV is not run for comparison by a fit; `ridgebench measure` does that"


def _fit(job: dict[str, Any], say: Say, keep: Keep) -> dict[str, Any]:
    def progress(what: str, done: int = 0, total: int = 0) -> None:
        say(json.dumps([what, done, total]))

    progress("starting")
    from bench_core import cluster as clusters
    from bench_core import strategies
    from bench_core.measure.case import Case

    case = Case.from_dict(job["case"])
    strategy: Any = strategies.get(case.strategy)
    busy = choose_cores(case.threads)
    if not strategy.distributed:
        clusters.pin(busy)
    import numpy as np

    from bench_core.accuracy import pearson_r, summary
    from bench_core.measure.definition import penalty_counts
    from bench_core.measure.evidence import blas_report, where_calls_go, wrong_threads
    from bench_core.measure.fitting import corner, warm_blas, watched_fits
    from bench_core.measure.memory import MemoryWatch
    from bench_core.records.statistics import time_summary

    blas_report(case.blas)
    folder, scratch = Path(job["folder"]), Path(job["scratch"])
    train, test = (_problem(job[part]) for part in ("train", "test"))
    options = dict(job["options"])
    with ExitStack() as stack:
        cluster, start_s = None, None
        if strategy.distributed:
            progress("starting the cluster")
            started = perf_counter()
            cluster = stack.enter_context(
                clusters.local(
                    case.nodes, case.threads, blas=case.blas, kernels=case.kernels, scratch=scratch
                )
            )
            start_s = perf_counter() - started
            busy = sorted({cpu for node in cluster.workers for cpu in node.cpus})

        def make(**more: Any) -> Any:
            return strategy(
                alphas=tuple(job["alphas"]),
                fit_intercept=case.fit_intercept,
                cluster=cluster,
                **options | more,
            )

        progress("warming up")
        started = perf_counter()
        warm_blas(case.dtype)
        if cluster is not None:
            cluster.client.run(warm_blas, case.dtype)
        small = corner(train, case.nodes)
        without = {name: None for name in ("coef", "memory_limit") if name in options}
        make(**without).fit(small.X, small.Y)
        warm_up_s = perf_counter() - started
        if "progress" in job["accepts"]:
            options["progress"] = progress
        watch = stack.enter_context(MemoryWatch(job["interval_ms"], busy=busy))
        names = {os.getpid(): "main"}
        if cluster is not None:
            names |= {node.pid: f"node {i}" for i, node in enumerate(cluster.workers)}
        progress("fitting")
        model, times, moved, memory = watched_fits(
            make,
            train,
            1,
            watch,
            names=names,
            bytes_moved=None if cluster is None else cluster.bytes_moved,
        )
        reports = [blas_report(case.blas)]
        if cluster is not None:
            answers = cluster.client.run(blas_report, case.blas)
            reports += [answers[node.address] for node in cluster.workers]
        blas = {"declared": case.blas, **reports[0], "workers": reports[1:], "proof": None}
        if reason := wrong_threads(reports, case.threads):
            return {"status": "invalid", "reason": reason, "blas": blas}
        blas["proof"] = where_calls_go(reports[0], scratch)
        progress("predicting")
        started = perf_counter()
        predictions = np.asarray(model.predict(test.X))
        predict_s = perf_counter() - started
        progress("writing")
        penalties = model.chosen_alphas()
        r = pearson_r(test.Y, predictions)
        kept = {
            "prediction": predictions,
            "penalty": penalties,
            "r": r,
            "intercept": np.asarray(model.intercept_),
        }
        if job["coef"] and not (folder / "coef.npy").exists():
            kept["coef"] = model.coef_
        for name, array in kept.items():
            np.save(folder / f"{name}.npy", array)
        del model, kept
        found = {
            "status": "ok",
            "reason": None,
            "times": {
                **time_summary(times, seed=case.seed),
                "predict_s": predict_s,
                "warm_up_s": warm_up_s,
                "cluster_start_s": start_s,
            },
            "memory": memory,
            "bytes_moved": moved,
            "penalty": penalty_counts(penalties, strategy.penalty_scope),
            "accuracy": summary(r),
            "blas": blas,
        }
        progress("checking")
        keep(found, "not compared with scikit-learn's Ridge")
        found["agreement"] = _agreement(case, train, test, predictions, penalties)
        return found


def _agreement(
    case: Any, train: Any, test: Any, predictions: Any, penalties: Any
) -> dict[str, Any] | None:
    """Return the record's ``agreement``, None where memory does not suffice to check it."""
    from bench_core.machine import available_memory
    from bench_core.measure.definition import agreement, definition_bytes

    if definition_bytes(train.t, train.p, test.t, train.s) > available_memory():
        return None
    found = agreement(
        train, test, predictions, penalties, fit_intercept=case.fit_intercept, seed=case.seed
    )
    return found | {"note": NOT_COMPARED}


def _problem(arrays: dict[str, Any]) -> Any:
    """Return a problem of the mapped files that ``arrays`` describe."""
    import numpy as np

    from bench_core.cluster import ArrayRef
    from bench_core.data import Problem

    X, Y = (
        ArrayRef(**arrays[name] | {key: tuple(arrays[name][key]) for key in ("shape", "stamp")})
        for name in ("X", "Y")
    )
    return Problem(X.open(), Y.open(), np.ones(X.shape[0], np.int32))


if __name__ == "__main__":
    serve(_fit, *sys.argv[1:3])
