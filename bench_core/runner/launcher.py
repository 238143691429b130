"""The one way to start a worker process: its environment, progress, and every way it can end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

import psutil

from bench_core.cluster.health import describe_signal
from bench_core.disk import hold
from bench_core.files import write_text
from bench_core.leftovers import owned_folder
from bench_core.machine import oom_kills
from bench_core.progress import Progress, silent
from bench_core.records import codec
from bench_core.runner.protocol import RESERVED

if TYPE_CHECKING:
    from bench_core.blas import ProcessEnvironment

R = TypeVar("R")

_GONE_S = 5.0

LOOK_S = 0.5
"""Seconds between two looks whether a worker is stopped."""


def worker_environment(threads: int, kernels: str, blas: str | None) -> ProcessEnvironment:
    """Return the environment of a worker with these BLAS threads, kernels and declared BLAS.

    Raises
    ------
    InputError : no such kernels in the loaded BLAS, or none that this processor can run.
    """
    from bench_core.blas import build_environment, kernel_environment

    return build_environment(threads, kernel_environment(kernels), blas=blas)


def launch(
    module: str,
    job: Any,
    result_type: type[R],
    *,
    environment: Mapping[str, str],
    log: Path | None = None,
    timeout: float | None = None,
    progress: Progress = silent,
    through: Sequence[str] = (),
) -> R:
    """Run ``module`` on ``job`` in a process of its own and return its result.

    The process and its nodes are a session of their own and are killed with it: after the
    ``timeout`` in seconds, when it is found stopped (SIGSTOP) twice in a row, `LOOK_S` apart, when
    this call is interrupted, and when this process is gone.

    Parameters
    ----------
    job : a dataclass that `bench_core.records.codec` can write.
    result_type : a `bench_core.runner.protocol.Result`, built with status and reason alone where
        the process ended without one. What it had kept before comes back as invalid.
    log : file for what the process printed, written if it failed; None to discard it.
    progress : called from another thread.
    through : words before ``-m module`` that start it, such as those of torchrun.

    Raises
    ------
    ResourceError : the folder for temporary files has no space for the result.
    """
    with owned_folder(Path(tempfile.gettempdir()), "ridgebench") as folder:
        for name in RESERVED:
            hold(folder / name, codec.RESERVED_BYTES)
        write_text(folder / "job.json", codec.to_json(job))
        printed = folder / "printed"
        killed_before = oom_kills()
        files = [str(folder / name) for name in ("job.json", "out.json")]
        with printed.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, *through, "-m", module, *files],
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        assert process.stdout is not None
        relay = threading.Thread(target=_relay, args=(process.stdout, progress), daemon=True)
        relay.start()
        watch = _StopWatch(process.pid)
        stopped = None
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            stopped = f"stopped after {timeout:g} s, the time it was given"
        finally:
            watch.end()
            _kill_all(process.pid)
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
            # Something that left the session may still hold the other end: do not wait for it.
            relay.join(timeout=5)
            if not relay.is_alive():
                process.stdout.close()
        output = printed.read_text("utf-8", errors="replace")
        stopped = watch.found or stopped
        ending = _ending(process, output, killed_before)
        found = _result(process, folder / "out.json", result_type, ending, stopped)
        if log is not None:
            log.unlink(missing_ok=True)
            if found.status == "failed":
                write_text(log, output)
        result: R = found
        return result


class _StopWatch:
    """A thread that kills a worker which somebody has stopped; ``found`` then says so."""

    def __init__(self, pid: int) -> None:
        self.found: str | None = None
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="stopped worker", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End the watch."""
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        before = False
        while not self._over.wait(LOOK_S):
            now = _is_stopped(self._pid)
            if before and now:
                self.found = (
                    f"the worker process (pid {self._pid} on this machine) was stopped (SIGSTOP), "
                    "and killed for it: what it timed would be no measurement"
                )
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(self._pid, signal.SIGKILL)
                return
            before = now


def _is_stopped(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False


def _kill_all(pid: int) -> None:
    """Kill the worker ``pid`` and everything it started, stopped processes too, and wait for that.

    Its nodes are of its group; what has left the group is found as a descendant.
    """
    family: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        family = psutil.Process(pid).children(recursive=True)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
        family += [each for each in psutil.process_iter() if _group(each.pid) == pid]
    for each in family:
        with contextlib.suppress(psutil.Error):
            each.kill()
    # Not for the worker, which is ours to reap, nor for what nobody reaps.
    limit = time.monotonic() + _GONE_S
    while time.monotonic() < limit and any(map(_runs, family)):
        time.sleep(0.01)


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except (ProcessLookupError, PermissionError):
        return None


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _result(
    process: subprocess.Popen[bytes],
    out: Path,
    result_type: type[Any],
    ending: str,
    stopped: str | None,
) -> Any:
    kept = None
    if out.is_file():
        found = codec.read(result_type, out)
        if stopped is None and (process.returncode == 0 or found.status == "failed"):
            return found
        kept = found if found.status == "unfinished" else None
    reason = stopped or ending
    if kept is not None:
        values = vars(kept) | {"status": "invalid", "reason": f"{reason}; {kept.reason}"}
        return result_type(**{name: values[name] for name in kept.__dataclass_fields__})
    return result_type("failed", reason)


def _ending(process: subprocess.Popen[bytes], printed: str, killed_before: int | None) -> str:
    """Return how a process ended that left no result."""
    returncode = process.returncode
    if returncode < 0:
        ending = (
            f"the worker process (pid {process.pid} on this machine) was killed by "
            f"{describe_signal(-returncode, killed_before)}"
        )
        if returncode == -signal.SIGSEGV:
            ending += ", which points to its BLAS: try another one, other kernels or one thread"
        return ending
    last = (printed.strip().splitlines() or ["it printed nothing"])[-1]
    return f"the worker process ended with status {returncode}: {last}"


def _relay(lines: IO[bytes], progress: Progress) -> None:
    for line in lines:
        try:
            what, done, total = json.loads(line)
        except ValueError:
            what, done, total = line.decode("utf-8", "replace").strip(), 0, 0
        progress(str(what), int(done), int(total))
