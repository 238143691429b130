"""A Dask scheduler with two workers, started by its own commands, as a user or a site would."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from distributed import Client

#: A fit holds Python's lock for long; a scheduler would take such a worker for dead.
PATIENT = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "null"}


@contextlib.contextmanager
def running_scheduler(
    folder: Path,
    *,
    workers: int = 2,
    options: Sequence[str] = (),
    worker_options: Sequence[str] = ("--nthreads", "1"),
    variables: Sequence[dict[str, str]] = (),
) -> Iterator[str]:
    """Yield the address of a scheduler that has its workers.

    options : of all processes. variables : of every worker's environment.
    """
    folder.mkdir(exist_ok=True)
    file = folder / "scheduler.json"
    os.mkfifo(folder / "ready")
    common = ["--host", "127.0.0.1", "--no-dashboard", *options]
    python = [sys.executable, "-m"]
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((folder / "printed").open("wb"))

        def start(command: list[str], **more: str) -> None:
            process = subprocess.Popen(
                [*python, *command],
                env={**os.environ, **PATIENT, **more},
                stdout=log,
                stderr=log,
                cwd=folder,
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)

        scheduler = ["distributed.cli.dask_scheduler", *common, "--port", "0"]
        start([*scheduler, "--scheduler-file", str(file), "--preload", _announcing(folder)])
        with (folder / "ready").open() as ready:  # waits until the scheduler serves
            address = ready.readline().strip()
        for number in range(workers):
            own = ["--no-nanny", "--memory-limit", "0", "--name", f"w{number}", *worker_options]
            more = variables[number] if number < len(variables) else {}
            start(["distributed.cli.dask_worker", address, *common, *own], **more)
        yield address


def _announcing(folder: Path) -> str:
    """Write a preload that says the scheduler's address in a pipe, and return its path."""
    path = folder / "announce.py"
    path.write_text(
        "def dask_setup(scheduler):\n"
        f"    with open({json.dumps(str(folder / 'ready'))}, 'w') as ready:\n"
        "        print(scheduler.address, file=ready)\n"
    )
    return str(path)


def wait_for_workers(address: str, count: int) -> None:
    """Wait until the scheduler has so many workers."""
    with Client(address, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=120)
