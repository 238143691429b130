"""Running the worker: its environment, its progress, and every way in which it can end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from bench_core.measure.case import Case
from bench_core.measure.record import write_json

WORKER = "bench_core.measure.worker"

UNFINISHED = "unfinished"
"""The status of what a worker leaves before it does something that may end it."""


def worker_environment(case: Case) -> dict[str, str]:
    """Return this process's environment with the case's threads, kernels and BLAS.

    For the default kernels, variables that would choose others are taken out.
    """
    from bench_core.blas import kernel_environment, thread_environment
    from bench_core.blas.libraries import everyone

    values = {**os.environ, **thread_environment(case.threads)}
    if case.kernels == "best":
        values |= kernel_environment("best")
    else:
        for library in everyone():
            values.pop(library.kernel_variable or "", None)
    if case.blas:
        values["RIDGEBENCH_BLAS"] = case.blas
    return values


def run_worker(
    job: dict[str, Any],
    *,
    environment: dict[str, str],
    log: Path,
    timeout: float | None,
    progress: Callable[[str], None] | None,
    module: str = WORKER,
) -> dict[str, Any]:
    """Run the worker on ``job`` and return what it found, or a failure that says how it ended.

    The worker and its nodes are a session of their own and are killed with it: after the
    ``timeout`` in seconds, when this call is interrupted, and when this process is gone.
    What it printed is kept in ``log`` when it failed. What it had kept before (`serving.Keep`)
    comes back as invalid, with how it ended.
    """
    with tempfile.TemporaryDirectory(prefix="ridgebench-") as name:
        folder = Path(name)
        write_json(job, folder / "job.json")
        printed = folder / "printed"
        with printed.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", module, str(folder / "job.json"), str(folder / "out.json")],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        assert process.stdout is not None
        relay = threading.Thread(target=_relay, args=(process.stdout, progress), daemon=True)
        relay.start()
        try:
            process.wait(timeout)
            ended = None
        except subprocess.TimeoutExpired:
            ended = f"stopped after {timeout:g} s, the time it was given"
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
            # Something that left the session may still hold the other end: do not wait for it.
            relay.join(timeout=5)
            if not relay.is_alive():
                process.stdout.close()
        words = printed.read_text("utf-8", errors="replace")
        found = _outcome(process.returncode, folder / "out.json", words, ended)
        log.unlink(missing_ok=True)
        if found["status"] == "failed":
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(words, encoding="utf-8")
        return found


def _outcome(returncode: int, out: Path, printed: str, ended: str | None) -> dict[str, Any]:
    kept: dict[str, Any] | None = None
    if out.is_file():
        found: dict[str, Any] = json.loads(out.read_text("utf-8"))
        if ended is None and (returncode == 0 or found["status"] == "failed"):
            return found
        kept = found if found["status"] == UNFINISHED else None
    if ended is None and returncode < 0:
        ended = f"the worker process was killed by {signal.Signals(-returncode).name}"
        if returncode == -signal.SIGKILL:
            ended += ", as the system does when memory runs out: try a smaller scale or float32"
        if returncode == -signal.SIGSEGV:
            ended += ", which points to its BLAS: try another one, other kernels or one thread"
    if ended is None:
        last = (printed.strip().splitlines() or ["it printed nothing"])[-1]
        ended = f"the worker process ended with status {returncode}: {last}"
    if kept is not None:
        return kept | {"status": "invalid", "reason": f"{ended}; {kept['reason']}"}
    return {"status": "failed", "reason": ended}


def _relay(lines: IO[bytes], progress: Callable[[str], None] | None) -> None:
    for line in lines:
        if progress is not None:
            progress(line.decode("utf-8", "replace").strip())
