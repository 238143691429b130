"""What every worker process does around its work: report progress, and end with a result.

A worker is run as ``python -m MODULE JOB.json OUT.json`` by `bench_core.measure.process`. What it
found goes to OUT as JSON. An exception ends in OUT as a failure and on stderr as a traceback.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from bench_core.measure.process import UNFINISHED
from bench_core.measure.record import finite, write_json

Say = Callable[[str], None]

Keep = Callable[[dict[str, Any], str], None]
"""Leaves what was found so far, in case this process dies, with what then is missing."""

Work = Callable[[dict[str, Any], Say, Keep], dict[str, Any]]
"""Does the job that it is given, tells its caller how far it is, and returns what it found."""


def serve(work: Work, job_path: str, out_path: str) -> None:
    """Do ``work`` on the job in the file ``job_path`` and write what it found to ``out_path``.

    Another BLAS than the declared one makes the result invalid, too little memory skips it; any
    other exception is a failure. This process ends with its caller.
    """
    out = Path(out_path)
    say = _progress_channel()
    threading.Thread(target=_leave_with_caller, daemon=True).start()
    kept = threading.Event()
    sys.excepthook = _report_to(out, kept)
    from bench_core.blas import BlasMismatchError
    from bench_core.errors import ResourceError

    def keep(found: dict[str, Any], missing: str) -> None:
        write_json(finite(found | {"status": UNFINISHED, "reason": missing}), out)
        kept.set()

    try:
        found = work(json.loads(Path(job_path).read_text("utf-8")), say, keep)
    except BlasMismatchError as error:
        found = {"status": "invalid", "reason": str(error)}
    except ResourceError as error:
        found = {"status": "skipped", "reason": str(error)}
    write_json(finite(found), out)


def choose_cores(threads: int) -> list[int]:
    """Return the cores for ``threads`` threads, no two hardware threads of one core if possible."""
    from bench_core.cluster import whole_cores_first

    return whole_cores_first(os.sched_getaffinity(0))[:threads]


def _progress_channel() -> Say:
    """Return a function that sends words to the caller; stdout itself now goes to stderr."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def say(words: str) -> None:
        print(words, file=channel, flush=True)

    return say


def _leave_with_caller() -> None:
    """End this process and its nodes when the caller has gone, however it went."""
    while os.read(0, 1):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _report_to(
    out: Path, kept: threading.Event
) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    """Return an exception hook that prints the traceback.

    It leaves a failure at ``out`` unless something was ``kept`` there.
    """

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        traceback.print_exception(kind, error, trace)
        if not kept.is_set():
            write_json({"status": "failed", "reason": f"{kind.__name__}: {error}".strip()}, out)

    return hook
