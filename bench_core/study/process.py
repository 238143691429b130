"""One cell in a process of its own, so that its peak memory is its own and its end not ours."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_core.errors import RidgebenchError
from bench_core.progress import Progress
from bench_core.runner.launcher import launch
from bench_core.runner.protocol import State
from bench_core.study.cells import Cell
from bench_core.study.settings import StudySettings


class CellFailedError(RidgebenchError, RuntimeError):
    """A cell's process ended without a result; the message is the reason."""

    exit_code = 1


@dataclass(frozen=True)
class CellJob:
    """What the process of a cell is told."""

    settings: StudySettings
    cell: Cell


@dataclass(frozen=True)
class CellResult:
    """Result of that process; ``cell`` is what `bench_core.study.cell_runner.compute` returned."""

    status: State
    reason: str | None = None
    error: str | None = None
    cell: dict[str, Any] | None = None


def in_process(
    settings: StudySettings, cell: Cell, log: Path, progress: Progress
) -> dict[str, Any]:
    """Return what `bench_core.study.cell_runner.compute` does, in a new process.

    Of a cell that failed, what its process printed is in ``log``. ``progress`` is called from
    another thread.

    Raises
    ------
    CellFailedError : the process failed, or ended without a result.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    found = launch(
        "bench_core.study.worker",
        CellJob(settings, cell),
        CellResult,
        environment=os.environ,
        log=log,
        progress=progress,
    )
    if found.status == "ok" and found.cell is not None:
        return found.cell
    printed = log.is_file() and log.stat().st_size > 0
    raise CellFailedError(f"{found.reason}; log in {log}" if printed else str(found.reason))
