"""What a fit on several nodes leaves where it is interrupted, and how it goes on.

Finished batches lie in the folder ``NAME.unfinished`` beside the result folder ``NAME``
(`bench_core.cluster.LedgerFolder`). They are used by a fit of the same numbers only: same data,
rows, options, nodes and threads, the same code, packages and BLAS.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core import strategies
from bench_core.blas import detect
from bench_core.checks import row_blocks
from bench_core.cluster import (
    LedgerFolder,
    NodeLostError,
    count_finished,
    forget_pages,
    remove_empty,
)
from bench_core.data import Problem, Split
from bench_core.errors import InputError, RidgebenchError, counted
from bench_core.fitting.request import FitRequest
from bench_core.progress import Progress
from bench_core.records.provenance import versions
from bench_core.records.record import Record, RecoveryRecord
from bench_core.runner.arrays import FitData
from bench_core.runner.protocol import WorkerResult
from bench_core.runner.run import RunSettings, run_fit
from bench_core.runner.spec import FitSpec

_HASHED_BYTES = 64 * 2**20


def unfinished_folder(out: Path) -> Path:
    """Return the folder of finished batches of a fit whose results are to be ``out``."""
    return out.absolute().with_name(f"{out.name}.unfinished")


def check_resume(request: FitRequest) -> None:
    """Raise `InputError`, before anything is read, where a fit cannot begin, or not go on.

    With --resume and nothing to use, a fit begins from the start: a job may always ask for it.
    Batches of an earlier fit are neither used nor removed without being asked.
    """
    folder = unfinished_folder(request.out)
    found = count_finished(folder)
    if not strategies.get(request.strategy).distributed:
        if request.resume:
            raise InputError(
                f"{request.strategy} fits in one process, all at once: there is nothing to resume"
            )
        return
    if found and not request.resume:
        raise InputError(
            f"{folder} holds {counted(found, 'finished batch')} of a "
            "fit that was interrupted: --resume goes on with them; remove the folder to begin anew"
        )


def remove_abandoned(parent: Path) -> None:
    """Remove what killed fits left in ``parent`` before their first batch was finished."""
    for folder in parent.glob("*.unfinished"):
        if folder.is_dir() and not folder.is_symlink():
            with suppress(OSError):  # another user's
                remove_empty(folder)


@contextmanager
def kept_batches(
    request: FitRequest, spec: FitSpec, problem: Problem, split: Split, report: Progress
) -> Iterator[LedgerFolder | None]:
    """Yield the folder of finished batches, None for a strategy of one process.

    An interruption or an error that leaves batches in it says so. Without any, the folder goes.

    Raises
    ------
    InputError : batches of another fit are there, or another process writes there.
    """
    if not strategies.get(request.strategy).distributed:
        yield None
        return
    report("identifying the data")
    folder = unfinished_folder(request.out)
    with LedgerFolder(folder, identity(spec, problem, split), resume=request.resume) as ledger:
        if request.resume:
            report(f"resuming: {counted(ledger.found, 'finished batch')} in {folder}")
        try:
            yield ledger
        except (RidgebenchError, KeyboardInterrupt) as error:
            if ledger.finished:
                batches = counted(ledger.finished, "finished batch")
                error.add_note(
                    f"{folder} keeps {batches}: the same command with --resume goes on with them."
                )
            raise


def identity(spec: FitSpec, problem: Problem, split: Split) -> dict[str, Any]:
    """Return everything that decides the numbers of a fit, as JSON values."""
    loaded = detect()
    return {
        "strategy": spec.strategy,
        "options": {name: value for name, value in spec.options.items() if name != "coef"},
        "alphas": list(spec.penalties),
        "fit_intercept": spec.fit_intercept,
        "cluster": spec.cluster,
        "nodes": spec.nodes,
        "threads": spec.threads,
        "kernels": spec.kernels,
        "blas": [[one.name, one.version, one.architecture] for one in (loaded.numpy, loaded.scipy)],
        "X": digest(problem.X),
        "Y": digest(problem.Y),
        "runs": digest(problem.runs),
        "rows": digest(split.train),
        "versions": versions(),
        "code": _code(spec.strategy),
    }


def digest(array: NDArray[Any]) -> str:
    """Return a digest of an array's values, type and shape; read in blocks.

    >>> digest(np.arange(4.0)) == digest(np.arange(4.0)), digest(np.arange(4)) == "0"
    (True, False)
    """
    found = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    row_bytes = max(1, array.nbytes // max(1, len(array)))
    for rows in row_blocks(len(array), row_bytes, _HASHED_BYTES):
        found.update(np.ascontiguousarray(array[rows]).data)
        forget_pages(array)
    return found.hexdigest()[:32]


def _code(strategy: str) -> str:
    """Return a digest of this package's code, and of the strategy's own where it is not in it."""
    found = hashlib.sha256()
    root = Path(str(files("bench_core")))
    paths = sorted(root.rglob("*.py"))
    with suppress(TypeError, OSError):
        paths.append(Path(inspect.getfile(strategies.get(strategy))))
    for path in paths:
        found.update(path.read_bytes())
    return found.hexdigest()[:32]


def fit_to_the_end(
    record: Record,
    spec: FitSpec,
    data: FitData,
    settings: RunSettings,
    ledger: LedgerFolder | None,
    retries: int,
) -> tuple[Record, WorkerResult]:
    """Return `run_fit`, begun again where the process that leads the nodes, or all nodes, are lost.

    Nodes that are lost one by one are taken care of in that process. On a cluster that is elsewhere
    a fit is begun again only where it has finished batches: one that did not start is not.
    """
    if ledger is None:
        return run_fit(record, spec, data, settings)
    settings = replace(settings, retries=retries, ledger=ledger.folder)
    lost: list[str] = []
    while True:
        done, found = run_fit(record, spec, data, settings)
        if not _is_lost(found) or len(lost) == retries:
            break
        if settings.cluster.elsewhere and not ledger.finished:
            break
        reason = str(found.reason).partition("\n")[0]
        lost.append(reason)
        settings.progress(f"going on from {ledger.finished} finished batches: {reason}")
    if lost:
        one = done.recovery or RecoveryRecord((), 0, 0)
        recovery = replace(one, lost=(*lost, *one.lost), redone=one.redone + len(lost))
        done = replace(done, recovery=recovery)
    if done.recovery is not None and done.status in ("ok", "invalid"):
        done = replace(done, warnings=(*done.warnings, _warning(done.recovery)))
    return done, found


def _is_lost(found: WorkerResult) -> bool:
    """Return whether a worker ended without a result because a process was killed."""
    return found.status == "failed" and found.error in (None, NodeLostError.__name__)


def _warning(recovery: RecoveryRecord) -> str:
    words = [f"lost: {each}" for each in recovery.lost]
    if recovery.resumed:
        batches = counted(recovery.resumed, "batch")
        words.append(f"{batches} of an earlier attempt used")
    return f"{'; '.join(words)}: the times are no measurement"
