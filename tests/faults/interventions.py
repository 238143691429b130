"""Faults from outside, done as soon as a trap holds a node at a known point of its fit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import psutil

from tests.faults.traps import set_trap

MARK = "RIDGEBENCH_TEST_MARK"

TARGETS = 40
"""Of the problem in which traps are set."""

R = TypeVar("R")


@contextmanager
def once_held(
    traps: Path, fault: str, action: Callable[[int], object], first: int = 0
) -> Iterator[list[int]]:
    """Set traps that do ``fault``; call ``action`` with the process that springs the first one.

    Traps are set for all targets from ``first`` on, and the others go when one is sprung. Yields
    the process, once it is known. What ``action`` raises is raised at the end.
    """
    clear(traps)
    for target in range(first, TARGETS):
        set_trap(traps, target, fault)
    held: list[int] = []
    errors: list[Exception] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            if pids := [text for path in traps.glob("*.pid") if (text := path.read_text())]:
                for path in traps.glob("*[0-9]"):
                    path.unlink(missing_ok=True)
                held.append(int(pids[0]))
                try:
                    action(held[0])
                except Exception as error:
                    errors.append(error)
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield held
    finally:
        over.set()
        thread.join()
    if errors:
        raise errors[0]


def clear(traps: Path) -> None:
    """Remove traps and what is left of them; a node that waits for that goes on."""
    for path in traps.iterdir():
        path.unlink()


def wait_until(condition: Callable[[], R], seconds: float = 240) -> R:
    """Return the condition once it holds, or as it is after so many seconds."""
    limit = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < limit:
        time.sleep(0.02)
    return found


def marked(mark: str) -> list[int]:
    """Return the processes whose environment had this mark when they were started."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def assert_none_left(mark: str) -> None:
    """Check that every process with this mark ends."""
    assert wait_until(lambda: not marked(mark), 60), [
        psutil.Process(pid).cmdline() for pid in marked(mark)
    ]
