"""Processes that answer on standard output, and how processes end.

A library may print to standard output whatever its caller wants there: oneMKL does with
``MKL_VERBOSE=1``. An answer that a program reads therefore goes to a copy of standard output, and
everything else that is printed goes to standard error.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO


def answer_channel() -> TextIO:
    """Return a file that writes to standard output; all else that is printed goes to stderr."""
    sys.stdout.flush()
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    return channel


def keep_stdout_clean() -> None:
    """Let only Python's own output reach standard output from now on, and no library's.

    Nothing is done where ``sys.stdout`` is not this process's standard output.
    """
    try:
        own = sys.stdout.fileno() == 1
    except (OSError, ValueError):  # replaced, as by a test
        return
    if own:
        sys.stdout = answer_channel()


@contextmanager
def printed_by_libraries() -> Iterator[list[str]]:
    r"""Collect what compiled code prints to standard output: one text, there when the block ends.

    What other threads print there meanwhile is in it, too.

    >>> with printed_by_libraries() as texts:
    ...     _ = ctypes.CDLL(None).puts(b"verbose")
    >>> texts
    ['verbose\n']
    """
    library = ctypes.CDLL(None)
    sys.stdout.flush()
    library.fflush(None)
    texts: list[str] = []
    former = os.dup(1)
    try:
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 1)
            try:
                yield texts
            finally:
                library.fflush(None)
                os.dup2(former, 1)
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    finally:
        os.close(former)


def end_tree(pid: int) -> None:
    """Kill a process and all that it has started, in sessions of their own too, and wait for that.

    Nothing is done where it has ended.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        family = [*process.children(recursive=True), process]
    except psutil.Error:
        return
    for each in family:
        with suppress(psutil.Error):
            each.kill()
    psutil.wait_procs(family, timeout=5)


def run_step(
    command: Sequence[str],
    limit_s: float,
    *,
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> str | None:
    """Run a command that has ``limit_s`` seconds, and return why it failed; None if it did not.

    variables : beside those of this process. folder : to run in; None for the working directory.

    >>> run_step([sys.executable, "-c", ""], 60.0)
    >>> run_step([sys.executable, "-c", "raise SystemExit('no numpy')"], 60.0)
    'it ended with status 1: no numpy'
    """
    import subprocess  # which the commands that run none are quicker without

    try:
        done = subprocess.run(
            list(command),
            cwd=folder,
            env={**os.environ, **(variables or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not done after {limit_s:.0f} s"
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return None
    return describe_end(done.returncode, done.stderr or done.stdout)


def describe_end(returncode: int, stderr: str) -> str:
    """Return how a process ended that left no answer.

    >>> describe_end(-11, "")
    'it was killed by SIGSEGV'
    >>> describe_end(1, "ImportError: no numpy")
    'it ended with status 1: ImportError: no numpy'
    """
    last = next((line.strip() for line in reversed(stderr.splitlines()) if line.strip()), "")
    if returncode >= 0:
        return f"it ended with status {returncode}: {last or 'it printed nothing'}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return f"it was killed by {name}" + (f": {last}" if last else "")
