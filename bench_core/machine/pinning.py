"""Processors that threads may run on: Linux's own calls, and what holds where there are none.

macOS has no affinity and no list of a process's threads. Nothing is pinned there; every processor
is then usable, and a thread may run on any.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

TASKS = Path("/proc/self/task")


def can_pin() -> bool:
    """Return whether threads can be kept on chosen processors here."""
    return hasattr(os, "sched_setaffinity") and hasattr(os, "sched_getaffinity")


def usable() -> set[int]:
    """Return the numbers of the processors that the calling thread may run on."""
    return usable_by(0)


def usable_by(thread: int) -> set[int]:
    """Return those of a thread of this process, given by its number; 0 is the calling one.

    Raises `ProcessLookupError` for a thread that has ended.
    """
    if can_pin():
        return set(os.sched_getaffinity(thread))
    return set(range(os.cpu_count() or 1))


def keep(cpus: Iterable[int], thread: int = 0) -> None:
    """Keep a thread of this process on these processors; nothing where that cannot be done.

    Raises
    ------
    ProcessLookupError : the thread has ended.
    OSError : none of the processors exists, or this process may use none of them.
    """
    if can_pin():
        os.sched_setaffinity(thread, set(cpus))


def threads() -> list[int]:
    """Return the numbers of this process's threads; empty where the system does not list them."""
    with suppress(FileNotFoundError):
        return [int(name) for name in os.listdir(TASKS)]
    return []
