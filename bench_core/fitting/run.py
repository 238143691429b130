"""`fit`: one request in, one result folder out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from bench_core import strategies
from bench_core.checks import check_xy
from bench_core.cluster import forget_pages
from bench_core.data import Problem, Split
from bench_core.disk import check_space, check_writable, give_back, hold
from bench_core.errors import InputError, ResourceError, RidgebenchError
from bench_core.files import make_partial_folder
from bench_core.fitting.output import write_results
from bench_core.fitting.request import FitRequest
from bench_core.fitting.unfinished import (
    check_resume,
    fit_to_the_end,
    kept_batches,
    remove_abandoned,
    unfinished_folder,
)
from bench_core.leftovers import bytes_in, make_owned_folder
from bench_core.npy import HEADER_BYTES
from bench_core.progress import Progress, silent
from bench_core.records.record import Record
from bench_core.runner.arrays import FitData, ProblemRef
from bench_core.runner.memory import INTERVAL_MS
from bench_core.runner.planning import describe_plan
from bench_core.runner.preflight import preflight
from bench_core.runner.problem_cache import make_room, prepare_scratch
from bench_core.runner.protocol import HELD, WorkerResult
from bench_core.runner.run import (
    RunSettings,
    begin_record,
    finish_record,
)
from bench_core.runner.spec import ProblemShape

REMEDY = "free some, choose another disk with --out, or use --no-coef"

REST_BYTES = 8 * 2**20
"""Disk space for figures, maps, the record and the summary."""


class FitFailedError(RidgebenchError, RuntimeError):
    """The process that fitted ended without a result; the message gives the reason."""

    exit_code = 1


@dataclass(frozen=True)
class FitOutcome:
    """A finished fit: its record, its folder and files, and figures not drawn, with the reason."""

    record: Record
    folder: Path
    files: list[str]
    not_drawn: dict[str, str]


def fit(
    request: FitRequest,
    *,
    scratch: Path | None = None,
    progress: Progress | None = None,
    show_plan: Callable[[str], None] | None = None,
    interval_ms: float = INTERVAL_MS,
) -> FitOutcome:
    """Fit as asked and write the result folder, which appears whole or not at all.

    Parameters
    ----------
    scratch : folder for copies that are removed afterwards; see
        `bench_core.runner.problem_cache.scratch_folder`.
    show_plan : called with the plan, before anything is fitted.
    interval_ms : between two samples of memory.

    Raises
    ------
    InputError, UnknownNameError, ResourceError : the request, its data or this machine do not
        allow the fit.
    FitFailedError : the fitting process failed.
    """
    request.check()
    check_resume(request)
    began = perf_counter()
    report = progress or silent
    # A named problem is refused before it is made, which may take much time and disk.
    if (expected := request.expected_shape()) is not None:
        early = preflight(
            request.spec(expected),
            expected,
            request.training_samples(expected),
            check_fits=False,
            cluster=request.cluster,
        )
        if early.error is not None:
            raise early.error
    # What will be written is tried first: nothing is computed for a place that refuses it.
    check_writable(request.out.absolute().parent)
    remove_abandoned(request.out.absolute().parent)
    root = prepare_scratch(scratch or request.cluster.scratch, report)
    # Beside the result folder, so that what is written there only has to be renamed.
    part = make_partial_folder(request.out)
    work = part
    try:
        work = make_owned_folder(root, "fit")
        problem = request.source.open(work, report, split_copied=request.split != "run")
        request = request.with_spaces(problem)
        shape = request.shape(problem)
        split = request.split_rows(problem)
        spec = request.spec(shape, split)
        runs = problem.runs[split.train]
        checked = preflight(
            spec, shape, len(split.train), check_fits=False, runs=runs, cluster=request.cluster
        )
        size = (len(split.train), problem.p, problem.s, spec.dtype, spec.nodes)
        if show_plan is not None and checked.memory is not None:
            show_plan(describe_plan(spec.strategy, *size, checked.plan))
        if checked.error is not None:
            raise checked.error
        make_room(root, problem.nbytes if split.kind == "random" else 0, report)
        _hold_space(request, problem, shape, len(split.test), part)
        report("checking the data")
        check_xy(problem.X, problem.Y)
        with kept_batches(request, spec, problem, split, report) as ledger:
            report("splitting")
            train, test = _split(problem, split, work)
            for array in (problem.X, problem.Y):
                forget_pages(array)
            settings = RunSettings(
                scratch=root,
                cluster=request.cluster,
                allow_mixed=request.allow_mixed,
                options=request.fit_options(str(part / "coef.npy") if request.coef else None),
                log=part / "failed.log",
                progress=report,
                interval_ms=interval_ms,
                read_ahead=False,
                output=part,
                save_coef=request.coef,
                paths={str(part): "<out>"},
            )
            record = begin_record(spec, shape, checked)
            # References of arrays that were no files remove these files when they go: keep them.
            data = FitData(
                ProblemRef.share(train, work),
                ProblemRef.share(test, work),
                len(split.train),
                len(split.test),
                split.kind,
                split.warning,
            )
            record, found = fit_to_the_end(record, spec, data, settings, ledger, request.retries)
            if record.times is None:
                _raise(found, part / "failed.log")
            record = finish_record(record, began, settings)
            report("writing")
            give_back(part / HELD)
            files, not_drawn = write_results(
                request, problem, split, checked.plan, record, part, further=found.further
            )
            if ledger is not None:
                ledger.discard()
            return FitOutcome(record, request.out, files, not_drawn)
    finally:
        shutil.rmtree(work, ignore_errors=True)
        shutil.rmtree(part, ignore_errors=True)


def _hold_space(
    request: FitRequest, problem: Problem, shape: ProblemShape, tests: int, part: Path
) -> None:
    """Keep the disk space of everything that the fit will write, or raise `ResourceError`.

    Predictions and what is small are written by the worker and again into the result folder.
    """
    sizes = request.output_bytes(shape, tests)
    # What an interrupted fit has left of them is claimed already.
    coef = max(0, sizes.pop("coef", 0) - bytes_in(unfinished_folder(request.out)))
    needed = 2 * (sum(sizes.values()) + len(sizes) * HEADER_BYTES) + REST_BYTES + shape.t * 8
    if request.keep_problem:
        needed += problem.nbytes
    check_space(request.out.absolute(), needed + coef, REMEDY)
    # A strategy that writes its coefficients itself claims their space as it begins.
    if "coef" not in strategies.get(request.strategy).supports:
        needed += coef
    hold(part / HELD, needed, REMEDY)


def _split(problem: Problem, split: Split, work: Path) -> tuple[Problem, Problem]:
    """Return training and test problem, mapped: views where rows have no gaps, else copies."""
    slices = _contiguous(split.train), _contiguous(split.test)
    if slices[0] is None or slices[1] is None:
        return split.apply(problem, work)
    train, test = (
        Problem(problem.X[rows], problem.Y[rows], problem.runs[rows], name=problem.name)
        for rows in (slices[0], slices[1])
    )
    return train, test


def _contiguous(rows: NDArray[np.intp]) -> slice | None:
    """Return the slice that ascending ``rows`` are, or None if they have gaps."""
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return None


def _raise(found: WorkerResult, log: Path) -> None:
    """Raise the error that ended the worker; one that the user can correct keeps its type."""
    reason = found.reason or "no reason given"
    if found.error in ("InputError", "UnknownNameError"):
        raise InputError(reason.partition(": ")[2])
    if found.error == "ResourceError":
        raise ResourceError(reason)
    lines = log.read_text("utf-8").strip().splitlines()[-8:] if log.is_file() else []
    traceback = os.linesep.join(["", *lines]) if lines else ""
    raise FitFailedError(f"the fit ended without a result: {reason}{traceback}")
