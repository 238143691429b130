"""What watching costs: the fit time with memory sampling and byte counters over that without.

Run as ``python -m bench_core.measure.overhead JOB.json OUT.json`` it takes the pairs; fits with
and without follow each other in alternating order, so that a drift of the machine hits both alike.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench_core.measure.case import Case
from bench_core.measure.memory import INTERVAL_MS, MemoryWatch
from bench_core.measure.problems import cached, scratch_folder
from bench_core.measure.process import run_worker, worker_environment
from bench_core.measure.record import write_json


def measure_overhead(
    case: Case,
    *,
    pairs: int = 25,
    interval_ms: float = INTERVAL_MS,
    store: Path,
    scratch: Path | None = None,
    timeout: float | None = None,
) -> dict[str, Any]:
    """Return the ratio of fit times with and without watching, from a fresh process.

    Read from ``store`` where it is there.

    Returns
    -------
    dict with ``status`` and ``reason``, and for "ok" ``ratio`` (median of the paired ratios),
    ``ci95`` (its percentile bootstrap interval), ``sampler_share`` (processor time of the
    sampler per second of watched fit, which a busy machine does not blur), ``with_s`` and
    ``without_s`` (every fit).
    """
    path = store / f"overhead-{interval_ms:g}-{pairs}-{case.stem}.json"
    if path.is_file():
        stored: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return stored
    from bench_core.data import THESIS_ALPHAS

    with cached(case, scratch=scratch) as entry:
        found = run_worker(
            {
                "case": case.to_dict(),
                "train": str(entry.train),
                "alphas": list(case.alphas or THESIS_ALPHAS),
                "scratch": str(scratch_folder(scratch).resolve()),
                "pairs": pairs,
                "interval_ms": interval_ms,
            },
            environment=worker_environment(case),
            log=path.with_suffix(".log"),
            timeout=timeout,
            progress=None,
            module=__name__,
        )
    write_json(found, path)
    return found


def main(job_path: str, out_path: str) -> None:
    """Take the pairs that the job file asks for."""
    from bench_core import cluster as clusters
    from bench_core import strategies
    from bench_core.data import Problem
    from bench_core.measure.fitting import read_through, timed_fits, warm_blas, watched_fits
    from bench_core.measure.serving import choose_cores
    from bench_core.records.statistics import ratio_interval

    job = json.loads(Path(job_path).read_text("utf-8"))
    case = Case.from_dict(job["case"])
    strategy = strategies.get(case.strategy)
    train = Problem.open(job["train"])
    times: dict[bool, list[float]] = {True: [], False: []}
    sampling = 0.0
    with ExitStack() as stack:
        cluster = None
        if strategy.distributed:
            cluster = stack.enter_context(
                clusters.local(case.nodes, case.threads, scratch=Path(job["scratch"]))
            )
            busy = {cpu for node in cluster.workers for cpu in node.cpus}
        else:
            busy = set(choose_cores(case.threads))
            clusters.pin(busy)
        counter = None if cluster is None else cluster.bytes_moved

        def make() -> Any:
            return strategy(
                alphas=job["alphas"],
                fit_intercept=case.fit_intercept,
                cluster=cluster,
                **case.options,
            )

        warm_blas(case.dtype)
        read_through(Path(job["train"]))
        timed_fits(make, train, 1)
        watch = stack.enter_context(MemoryWatch(job["interval_ms"], busy=busy))
        names = {os.getpid(): "main"}
        for pair in range(job["pairs"]):
            for watched in (True, False) if pair % 2 else (False, True):
                if watched:
                    _, took, _, memory = watched_fits(
                        make, train, 1, watch, names=names, bytes_moved=counter
                    )
                    sampling += memory["sampler_cpu_s"]
                else:
                    _, took, _ = timed_fits(make, train, 1)
                times[watched] += took
    ratio, low, high = ratio_interval(times[True], times[False], seed=case.seed)
    write_json(
        {
            "status": "ok",
            "reason": None,
            "ratio": ratio,
            "ci95": [low, high],
            "sampler_share": sampling / sum(times[True]),
            "with_s": times[True],
            "without_s": times[False],
        },
        Path(out_path),
    )


if __name__ == "__main__":
    main(*sys.argv[1:3])
