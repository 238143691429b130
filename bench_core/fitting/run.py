"""One fit from request to result folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from bench_core import machine, strategies
from bench_core.checks import check_memory, check_xy
from bench_core.cluster import forget_pages
from bench_core.cluster.arrays import share_array
from bench_core.data import Problem, Split
from bench_core.errors import InputError, RidgebenchError
from bench_core.fitting.output import write_results
from bench_core.fitting.plans import describe, fit_plan, memory_needed, options_of
from bench_core.fitting.request import Request, contiguous
from bench_core.measure.case import Case
from bench_core.measure.memory import INTERVAL_MS
from bench_core.measure.problems import Size, scratch_folder
from bench_core.measure.process import run_worker, worker_environment
from bench_core.measure.provenance import machine_name, without_paths
from bench_core.measure.record import Record, finite, validate
from bench_core.measure.run import empty_record, judge

Progress = Callable[[str, int, int], None]
"""Called with what is being done, parts done and parts in all (0 where that is not known)."""


class FitFailedError(RidgebenchError, RuntimeError):
    """The process that fitted ended without a result; the message says how."""


@dataclass(frozen=True)
class Done:
    """A finished fit: its record, its files, and figures left out with the reason."""

    record: Record
    folder: Path
    files: list[str]
    left_out: dict[str, str]


def fit(
    request: Request,
    *,
    scratch: Path | None = None,
    progress: Progress | None = None,
    show_plan: Callable[[str], None] | None = None,
    interval_ms: float = INTERVAL_MS,
) -> Done:
    """Fit as asked and write the result folder, which appears whole or not at all.

    Parameters
    ----------
    scratch : folder for copies that are removed afterwards; see `measure.problems.scratch_folder`.
    show_plan : called with the plan, before anything is fitted.

    Raises
    ------
    InputError, UnknownNameError, ResourceError : the request, its data or this machine do not
    allow the fit. FitFailedError : the fitting process failed.
    """
    request.check()
    began = perf_counter()
    say = progress or (lambda what, done, total: None)
    root = scratch_folder(scratch).resolve()
    root.mkdir(parents=True, exist_ok=True)
    request.out.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="fit-", dir=root))
    # Beside the result folder, so that what is written there only has to be renamed.
    part = Path(tempfile.mkdtemp(prefix=f".{request.out.name}.partial-", dir=request.out.parent))
    try:
        problem = request.source.open(work, lambda words: say(words, 0, 0))
        request.check_problem(problem)
        say("checking the data", 0, 0)
        check_xy(problem.X, problem.Y)
        split = request.draw(problem)
        shape = (len(split.train), problem.p, problem.s)
        coef = str(part / "coef.npy") if request.coef else None
        options = request.fit_options(coef)
        plan = fit_plan(
            request.strategy,
            shape,
            str(problem.dtype),
            nodes=request.nodes,
            alphas=request.alphas,
            options=options,
        )
        needed = memory_needed(request.strategy, shape, str(problem.dtype), request.nodes, plan)
        if show_plan is not None:
            show_plan(describe(request.strategy, shape, str(problem.dtype), request.nodes, plan))
        check_memory(needed, f"{request.strategy} on {problem.name}")
        say("splitting", 0, 0)
        parts = _parts(problem, split, work)
        for array in (problem.X, problem.Y):
            forget_pages(array)
        record = _run(request, problem, split, parts, options, part, root, say)
        record["memory_needed"] = {
            "needed_bytes": needed,
            "available_bytes": machine.available_memory(),
        }
        record["seconds"] = perf_counter() - began
        record = finite(without_paths(record, {str(root): "<scratch>", str(part): "<out>"}))
        validate(record)
        say("writing", 0, 0)
        files, left_out = write_results(request, problem, split, plan, record, part)
        return Done(record, request.out, files, left_out)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(part, ignore_errors=True)


def _parts(problem: Problem, split: Split, work: Path) -> tuple[Problem, Problem]:
    """Return training and test problem, mapped: views where rows have no gaps, else copies."""
    slices = contiguous(split.train), contiguous(split.test)
    if slices[0] is None or slices[1] is None:
        return split.apply(problem, work)
    train, test = (
        Problem(problem.X[rows], problem.Y[rows], problem.runs[rows], name=problem.name)
        for rows in (slices[0], slices[1])
    )
    return train, test


def _run(
    request: Request,
    problem: Problem,
    split: Split,
    parts: tuple[Problem, Problem],
    options: dict[str, Any],
    folder: Path,
    scratch: Path,
    say: Progress,
) -> Record:
    import json

    shown = dict(options)
    if shown.get("coef") is not None:
        shown["coef"] = "file"
    source = request.source
    case = Case(
        suite="fit",
        problem=source.problem or problem.name,
        strategy=request.strategy,
        scale=source.scale if source.named else 1.0,
        subject=source.subject,
        options=shown,
        nodes=request.nodes,
        threads=request.threads,
        dtype=str(problem.dtype),
        split=request.split,
        seed=request.seed,
        kernels=request.kernels,  # type: ignore[arg-type]  # Case refuses any other word
        blas=request.blas,
        alphas=request.alphas,
        fit_intercept=request.fit_intercept,
        null="skip",
    )
    size = Size(
        problem.name,
        source.subject if source.named else None,
        source.scale if source.named else None,
        problem.t,
        problem.p,
        problem.s,
        problem.nbytes,
    )
    record = empty_record(case, size)
    record["case"]["alphas"] = list(case.alphas or ())
    record["case"]["problem"] |= {"t_train": len(split.train), "t_test": len(split.test)}
    record["case"]["split"]["warning"] = split.warning
    record["machine"] = {"name": machine_name(), **machine.describe()}
    record["load"] = {"before": machine.load()}
    # A file that had to be written for an array is removed with its reference: keep them.
    refs = [[share_array(array, folder.parent) for array in (one.X, one.Y)] for one in parts]
    job = {
        "case": case.to_dict(),
        "options": options,
        "accepts": sorted(options_of(strategies.get(request.strategy))),
        "train": {"X": asdict(refs[0][0]), "Y": asdict(refs[0][1])},
        "test": {"X": asdict(refs[1][0]), "Y": asdict(refs[1][1])},
        "alphas": list(request.alphas),
        "coef": request.coef,
        "folder": str(folder),
        "scratch": str(scratch),
        "interval_ms": INTERVAL_MS,
    }

    def relay(line: str) -> None:
        what, done, total = json.loads(line)
        say(what, done, total)

    found = run_worker(
        job,
        environment=worker_environment(case),
        log=folder / "failed.log",
        timeout=None,
        progress=relay,
        module="bench_core.fitting.worker",
    )
    record["load"]["after"] = machine.load()
    if "times" not in found:
        _raise(found["reason"], folder / "failed.log")
    record |= found
    if record["status"] == "ok" and record["agreement"] is None:
        record |= {
            "status": "invalid",
            "reason": "too little memory to compare with scikit-learn's Ridge: not checked",
        }
    judge(record)
    return record


def _raise(reason: str, log: Path) -> None:
    """Raise what ended the worker; an error that is the user's to mend as it was."""
    kind, _, message = reason.partition(": ")
    if kind in ("InputError", "UnknownNameError"):
        raise InputError(message)
    lines = log.read_text("utf-8").strip().splitlines()[-8:] if log.is_file() else []
    traceback = os.linesep.join(["", *lines]) if lines else ""
    raise FitFailedError(f"the fit ended without a result: {reason}{traceback}")
