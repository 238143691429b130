"""`measure`: one case in, one record out, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from bench_core.measure.case import Case
from bench_core.measure.memory import INTERVAL_MS
from bench_core.measure.problems import Entry, Size, cached, problem_size, scratch_folder
from bench_core.measure.process import run_worker, worker_environment
from bench_core.records.provenance import (
    commit,
    environment,
    machine_name,
    versions,
    without_paths,
)
from bench_core.measure.record import SCHEMA, Record, finite, read, write
from bench_core.measure.refusal import check_options, refusal

Progress = Callable[[str], None]


def measure(
    case: Case,
    *,
    store: Path,
    progress: Progress | None = None,
    scratch: Path | None = None,
    timeout: float | None = None,
    again: bool = False,
    interval_ms: float = INTERVAL_MS,
) -> Record:
    """Return the record of ``case``: read from ``store`` if it is there, else measured now.

    The fit runs in a fresh process whose thread and kernel variables are set before numpy loads.
    The record is written to ``store`` whole or, when interrupted, not at all; of a fit that
    failed, what it printed is beside it with the suffix ``.log``.

    Parameters
    ----------
    progress : called with what is being done, from another thread.
    scratch : folder for problems and shared arrays; see `problems.scratch_folder`.
    timeout : seconds that the worker may take; it is then killed and recorded as failed.
    again : measure although there is a record.
    interval_ms : between two samples of memory.

    Raises
    ------
    UnknownNameError : no such problem, strategy, or option of the strategy.
    InputError : a damaged problem folder, or data that no fit can use.
    """
    path = store / f"{case.stem}.json"
    if path.is_file() and not again:
        record = read(path)
        # Suites share records; each sees its own name in them.
        return record | {"case": record["case"] | {"suite": case.suite}}
    from bench_core import machine, strategies
    from bench_core.data import THESIS_ALPHAS
    from bench_core.errors import ResourceError

    began = perf_counter()
    size = problem_size(case)
    strategy = strategies.get(case.strategy)
    check_options(strategy, case)
    record = empty_record(case, size)
    record["case"]["alphas"] = alphas = list(case.alphas or map(float, THESIS_ALPHAS))
    record["machine"] = {"name": machine_name(), **machine.describe()}
    record["load"] = {"before": machine.load()}
    scratch = scratch_folder(scratch).resolve()
    reason, record["memory_needed"] = refusal(case, strategy, size)
    if reason is not None:
        record |= {"status": "skipped", "reason": reason}
    else:
        try:
            with cached(case, scratch=scratch, say=progress) as entry:
                _describe_split(record, entry)
                job = {
                    "case": case.to_dict(),
                    "train": str(entry.train),
                    "test": str(entry.test),
                    "alphas": alphas,
                    "scratch": str(scratch),
                    "interval_ms": interval_ms,
                }
                record |= run_worker(
                    job,
                    environment=worker_environment(case),
                    log=path.with_suffix(".log"),
                    timeout=timeout,
                    progress=progress,
                )
                record["load"]["after"] = machine.load()
                if record["agreement"] and strategy.claims_ridgecv:
                    _compare_penalty(record, entry, size, timeout, progress)
        except ResourceError as error:
            record |= {"status": "skipped", "reason": str(error)}
    judge(record)
    record["seconds"] = perf_counter() - began
    record = finite(without_paths(record, {str(scratch): "<scratch>"}))
    write(record, path)
    return record


def skipped(case: Case, reason: str) -> Record:
    """Return, without storing it, the record of a case that is left out for ``reason``."""
    record = empty_record(case, problem_size(case)) | {"status": "skipped", "reason": reason}
    record["case"]["alphas"] = None if case.alphas is None else list(case.alphas)
    return record


def empty_record(case: Case, size: Size) -> Record:
    """Return a record in which everything that needs a fit is null."""
    started = datetime.now(UTC)
    sha, uncommitted = commit()
    return {
        "schema": SCHEMA,
        "id": f"{case.key()}-{started:%Y%m%dT%H%M%S%fZ}",
        "key": case.key(),
        "status": "failed",
        "reason": "not measured",
        "case": {
            "suite": case.suite,
            "problem": {
                "name": size.name,
                "subject": size.subject,
                "scale": size.scale,
                "seed": case.seed,
                "t": size.t,
                "p": size.p,
                "s": size.s,
                "t_train": None,
                "t_test": None,
                "dtype": case.dtype,
                "fingerprint": None,
            },
            "split": {"kind": case.split, "seed": case.seed, "warning": None},
            "strategy": case.strategy,
            "options": dict(case.options),
            "nodes": case.nodes,
            "threads": case.threads,
            "repeats": case.repeats,
            "kernels": case.kernels,
            "alphas": None,
            "fit_intercept": case.fit_intercept,
            "blas": case.blas,
            "null": case.null,
        },
        "times": None,
        "memory": None,
        "bytes_moved": None,
        "penalty": None,
        "accuracy": None,
        "null": None,
        "agreement": None,
        "blas": None,
        "machine": {"name": machine_name()},
        "load": {},
        "versions": versions(),
        "environment": environment(),
        "commit": sha,
        "uncommitted": uncommitted,
        "memory_needed": None,
        "started": f"{started:%Y-%m-%dT%H:%M:%SZ}",
        "seconds": 0.0,
        "seed": case.seed,
    }


def _describe_split(record: Record, entry: Entry) -> None:
    problem, split = record["case"]["problem"], record["case"]["split"]
    for name in ("t_train", "t_test", "fingerprint"):
        problem[name] = entry.split[name]
    split["warning"] = entry.split["warning"]


def _compare_penalty(
    record: Record, entry: Entry, size: Size, timeout: float | None, progress: Progress | None
) -> None:
    from bench_core.measure.reference import reference_penalty

    if progress is not None:
        progress("comparing with RidgeCV")
    case, found = record["case"], record["agreement"]
    penalty, found["note"] = reference_penalty(
        entry,
        tuple(case["alphas"]),
        case["fit_intercept"],
        case["options"].get("cv"),
        (case["problem"]["t_train"], size.p, size.s),
        case["problem"]["dtype"],
        timeout,
    )
    if penalty is not None:
        found["reference_penalty"] = penalty
        found["same_penalty"] = record["penalty"]["values"] == [penalty]


def judge(record: Record) -> None:
    """Make a record invalid whose answer is not the strategy's, in place."""
    found: dict[str, Any] | None = record["agreement"]
    if record["status"] != "ok" or found is None:
        return
    wrong = []
    if not found["agrees"]:
        worst = "not finite" if found["worst"] is None else f"{found['worst']:.2g}"
        wrong.append(
            f"predictions differ from scikit-learn's Ridge at the same penalties: {worst}, "
            f"tolerance {found['tolerance']:g}"
        )
    if found["same_penalty"] is False:
        found["agrees"] = False
        chosen = ", ".join(f"{value:g}" for value in record["penalty"]["values"])
        wrong.append(f"chose {chosen} where RidgeCV chooses {found['reference_penalty']:g}")
    if wrong:
        record |= {"status": "invalid", "reason": "; ".join(wrong)}
