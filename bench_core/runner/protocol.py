"""Messages between the process that asks and the process that works, and the frame around the work.

A worker is run as ``python -m MODULE JOB.json OUT.json`` by `bench_core.runner.launcher`. It reads
its job, prints one JSON line per step of progress, and writes its result. An exception ends in OUT
as a failure and on stderr as a traceback.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, TypeVar

import psutil

from bench_core.cluster.settings import LOCAL, ClusterSettings
from bench_core.files import write_reserved, write_text
from bench_core.leftovers import remove_leftovers
from bench_core.processes import answer_channel
from bench_core.progress import Progress
from bench_core.records import codec
from bench_core.records.blas import BlasRecord
from bench_core.records.machine import ClusterRecord, ProcessorRecord
from bench_core.records.phases import PhasesRecord
from bench_core.records.record import PlanRecord, RecoveryRecord
from bench_core.records.results import Accuracy, Agreement, NullAccuracy, PenaltyCounts
from bench_core.records.times import DeviceMemory, Memory, Times
from bench_core.runner.arrays import ProblemRef
from bench_core.runner.spec import FitSpec

State = Literal["ok", "invalid", "disturbed", "skipped", "failed", "unfinished"]
"""A record's status, or "unfinished": what a worker leaves before it does something risky."""


class Result(Protocol):
    """The part that all results of workers have.

    ``error`` is the name of the exception's class where one ended the work.
    """

    @property
    def status(self) -> State: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def error(self) -> str | None: ...


R = TypeVar("R")

_GONE_S = 2.0

HELD = "held"
"""Name of the file that keeps disk space for the arrays of a fit."""


RESERVED = ("reserved-kept", "reserved-result")
"""Files beside a result that keep its disk space, one for each time that it may be written."""


@dataclass(frozen=True)
class FitJob:
    """Everything that the worker is told.

    Parameters
    ----------
    options : of the strategy, as they are passed to it.
    cluster : its configuration. allow_mixed : accept nodes that differ.
    scratch : folder for shared arrays, which goes with the run. kept : folder that stays, for what
        later runs find there. interval_ms : between two samples of memory.
    read_ahead : read X and Y once before the first fit, so that it does not wait for the disk.
    output : folder to save predictions, penalties, r and intercepts to; None for nowhere. A file
        ``HELD`` in it keeps their space, see `bench_core.disk.hold`.
    save_coef : save coefficients there too.
    pairs : number of paired fits with and without observation; 0 for an ordinary measurement.
    retries : times that batches are done again whose node was lost; None ends the fit, as a
        measurement has to. ledger : folder of finished batches; None keeps them in memory.
    run : number of this run of the case. timing_only : time and prove the BLAS, nothing else.
    accept_load : do not measure again where others used the machine.
    planned : whether the strategy has a plan. flops : of the fit by that plan, None if unknown.
    """

    spec: FitSpec
    options: dict[str, Any]
    train: ProblemRef
    test: ProblemRef
    scratch: str
    kept: str
    interval_ms: float
    cluster: ClusterSettings = LOCAL
    allow_mixed: bool = False
    read_ahead: bool = True
    output: str | None = None
    save_coef: bool = False
    pairs: int = 0
    retries: int | None = None
    ledger: str | None = None
    run: int = 0
    timing_only: bool = False
    accept_load: bool = True
    planned: bool = False
    flops: float | None = None


@dataclass(frozen=True)
class FurtherResults:
    """Arrays of a strategy's own that a fit has saved: their names, and those of their rows."""

    arrays: tuple[str, ...]
    rows: tuple[str, ...]


@dataclass(frozen=True)
class WorkerResult:
    """Result of the worker; None for what it did not reach. See `bench_core.records.Record`.

    sampled_penalties : of the targets that `bench_core.runner.agreement.sample_targets` draws.
    further : what was saved besides predictions, penalties, r and coefficients.
    """

    status: State
    reason: str | None = None
    error: str | None = None
    times: Times | None = None
    memory: Memory | None = None
    bytes_moved: dict[str, int] | None = None
    penalty: PenaltyCounts | None = None
    sampled_penalties: tuple[float, ...] | None = None
    accuracy: Accuracy | None = None
    null: NullAccuracy | None = None
    agreement: Agreement | None = None
    blas: BlasRecord | None = None
    plan: PlanRecord | None = None
    warnings: tuple[str, ...] = ()
    processor: ProcessorRecord | None = None
    device_memory: tuple[DeviceMemory, ...] = ()
    recovery: RecoveryRecord | None = None
    phases: PhasesRecord | None = None
    cluster: ClusterRecord | None = None
    further: FurtherResults | None = None


@dataclass(frozen=True)
class PhaseCost:
    """Cost of taking the seconds of phases, and how well they add up.

    Parameters
    ----------
    ratio : median of the paired ratios of fit times with and without phases. ci95 : its percentile
        bootstrap interval.
    fastest_ratio : the quickest fit with phases over the quickest without, which other work on the
        machine disturbs least.
    with_s : every fit with phases, in seconds.
    entered : phases that the main process opened in one fit. each_s : what opening and closing one
        takes, in the quickest of several loops.
    share : their product over the median fit with phases.
    deviation, most_deviation : largest difference of a sum of phases, of any process and of the
        critical path, from the fit, relative to the fit: the median and the largest over the fits.
        A process that is stopped just before or after its fit makes one large.
    other_share : part of the critical path that no phase claims, the median over the fits.
    """

    ratio: float
    ci95: tuple[float, float]
    fastest_ratio: float
    with_s: tuple[float, ...]
    entered: int
    each_s: float
    share: float
    deviation: float
    most_deviation: float
    other_share: float


@dataclass(frozen=True)
class OverheadResult:
    """Cost of observing a fit.

    Parameters
    ----------
    ratio : median of the paired ratios of fit times with and without memory sampling, byte
        counters and phases. ci95 : its percentile bootstrap interval.
    sampler_share : processor time of the sampler per second of observed fit.
    with_s, without_s : every fit, in seconds.
    phases : cost of taking the seconds of phases alone; None for strategies that take none.
    """

    status: State
    reason: str | None = None
    error: str | None = None
    ratio: float | None = None
    ci95: tuple[float, float] | None = None
    sampler_share: float | None = None
    with_s: tuple[float, ...] = ()
    without_s: tuple[float, ...] = ()
    phases: PhaseCost | None = None


Keep = Callable[[Any, str], None]
"""Leave a result in case this process dies, with what is missing in it."""


def serve(
    work: Callable[[Any, Progress, Keep], Any],
    job_type: type[Any],
    result_type: type[Any],
    job_path: str,
    out_path: str,
) -> None:
    """Do ``work`` on the job in the file ``job_path`` and write its result to ``out_path``.

    Another BLAS than the declared one makes the result invalid. Too little memory or disk skips it.
    Any other exception is a failure. This process ends with its caller.
    """
    out = Path(out_path)
    progress = _progress_channel()
    kept = threading.Event()
    sys.excepthook = _exception_hook(out, result_type, kept)
    job = codec.read(job_type, Path(job_path))
    scratch = getattr(job, "scratch", None)
    gone = threading.Event()
    watch = threading.Thread(target=_end_with_caller, args=(scratch, gone), daemon=True)
    watch.start()
    # Without its nodes the work fails: this process must not end before the watch is done.
    atexit.register(lambda: watch.join() if gone.is_set() else None)
    from bench_core.blas import BlasMismatchError
    from bench_core.disk import FULL, explained
    from bench_core.errors import ResourceError

    def keep(result: Any, missing: str) -> None:
        write_result(out, replace(result, status="unfinished", reason=missing))
        kept.set()

    try:
        result = work(job, progress, keep)
    except BlasMismatchError as error:
        result = result_type("invalid", str(error), type(error).__name__)
    except ResourceError as error:
        result = result_type("skipped", str(error), type(error).__name__)
    except OSError as error:
        if error.errno not in FULL:
            raise
        result = result_type("skipped", str(explained(error)), ResourceError.__name__)
    write_result(out, result)


def write_result(path: Path, result: Any) -> None:
    """Write a result, whole or not at all, into space that is reserved for it where there is."""
    text = codec.to_json(result)
    for part in (path.with_name(name) for name in RESERVED):
        if part.exists():
            write_reserved(path, part, text)
            return
    write_text(path, text)


def choose_cores(threads: int, *, hardware_threads: bool = False) -> list[int]:
    """Return the CPUs for ``threads`` threads, as those of one node; all where they are too few."""
    from bench_core.cluster import place_nodes
    from bench_core.machine import read_topology

    machine = read_topology()
    if threads > machine.capacity(hardware_threads=hardware_threads):
        return [thread.number for thread in machine.threads]
    return place_nodes(machine, 1, threads, hardware_threads=hardware_threads)[0]


def _progress_channel() -> Progress:
    """Return a function that reports to the caller; stdout itself now goes to stderr."""
    channel = answer_channel()

    def progress(what: str, done: int = 0, total: int = 0, /) -> None:
        print(json.dumps([what, done, total]), file=channel, flush=True)

    return progress


def _end_with_caller(scratch: str | None, gone: threading.Event) -> None:
    """End this process and its nodes when the caller has gone, in whatever way.

    A caller that was killed could not remove its folders in scratch: that is done here, after the
    nodes, which would write there again.
    """
    while os.read(0, 1):
        pass
    gone.set()
    for node in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            node.kill()  # even if it was stopped
    if scratch is not None:
        limit = time.monotonic() + _GONE_S  # the caller closes its files before it has ended
        while os.path.exists(scratch) and time.monotonic() < limit:
            remove_leftovers(Path(scratch).parent, again=True)
            time.sleep(0.05)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _exception_hook(
    out: Path, result_type: type[Any], kept: threading.Event
) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    """Return an exception hook that prints the traceback.

    It leaves a failure at ``out`` unless a result was kept there.
    """

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        traceback.print_exception(kind, error, trace)
        if not kept.is_set():
            reason = f"{kind.__name__}: {error}".strip()
            write_result(out, result_type("failed", reason, kind.__name__))

    return hook
