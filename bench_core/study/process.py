"""One cell in a process of its own, so that its peak memory is its own and its end not ours.

Processes are forked from a server that has imported torch once and used it never: they start in
milliseconds, and may use a GPU.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench_core.errors import RidgebenchError
from bench_core.study.cells import Cell
from bench_core.study.settings import StudySettings

Notify = Callable[[str, int, int], None]


class CellFailedError(RidgebenchError, RuntimeError):
    """A cell's process ended without a result; the message is the reason."""

    exit_code = 1


def in_process(settings: StudySettings, cell: Cell, log: Path, notify: Notify) -> dict[str, Any]:
    """Return what `bench_core.study.cell_runner.compute` does, in a new process.

    What the process prints goes to ``log``, which is removed when all went well. Raises
    `CellFailedError`.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench_core.study.cell_runner"])
    log.parent.mkdir(parents=True, exist_ok=True)
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(settings, cell, log, theirs))
    process.start()
    theirs.close()
    result: dict[str, Any] | None = None
    reason: str | None = None
    try:
        while True:
            try:
                kind, content = ours.recv()
            except EOFError:
                break
            if kind == "progress":
                notify(*content)
            elif kind == "result":
                result = content
            else:
                reason = content
        process.join()
    finally:
        if process.is_alive():
            process.terminate()
            process.join()
        ours.close()
    if result is not None:
        log.unlink(missing_ok=True)
        return result
    raise CellFailedError(reason or _ending(process.exitcode or 0, log))


def _ending(code: int, log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.is_file() else []
    last = next((line.strip() for line in reversed(lines) if line.strip()), "nothing printed")
    if code < 0:
        name = signal.Signals(-code).name
        hint = ": perhaps there was too little memory" if -code == signal.SIGKILL else ""
        return f"the process was ended by {name}{hint}; log in {log}"
    return f"{last}; log in {log}"


def _run(settings: StudySettings, cell: Cell, log: Path, out: Connection) -> None:
    """Compute one cell and send what becomes of it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # an interrupt ends the process where it is
    with log.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from bench_core.study.cell_runner import compute

    try:
        result = compute(settings, cell, lambda *what: out.send(("progress", what)))
    except RidgebenchError as error:
        out.send(("failed", str(error)))
    else:
        out.send(("result", result))
