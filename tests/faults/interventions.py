"""Faults from outside, done as soon as a trap holds a node at a known point of its fit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.faults.traps import set_traps
from tests.waiting import wait_until

MARK = "RIDGEBENCH_TEST_MARK"

TARGETS = 40
"""Of the problem in which traps are set."""


@contextmanager
def once_held(
    traps: Path, fault: str, action: Callable[[int], object], first: int = 0
) -> Iterator[list[int]]:
    """Set traps that do ``fault``; call ``action`` with the process that springs the first one.

    Traps are set for all targets from ``first`` on; one is sprung, and the others go. Yields the
    process, once it is known. What ``action`` raises is raised at the end.
    """
    clear(traps)
    set_traps(traps, first, TARGETS, fault)
    held: list[int] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            if pids := [text for path in traps.glob("*.pid") if (text := path.read_text())]:
                for path in traps.glob("*[0-9]"):
                    path.unlink(missing_ok=True)
                held.append(int(pids[0]))
                action(held[0])
                return

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        try:
            yield held
        finally:
            over.set()
            watching.result()


def clear(traps: Path) -> None:
    """Remove traps and what is left of them; a node that waits for that goes on."""
    for path in traps.iterdir():
        path.unlink(missing_ok=True)


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
