"""Blocking calls during which the nodes are checked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

R = TypeVar("R")

INTERVAL_S = 0.5
"""Seconds between two checks of the nodes."""


def guarded(call: Callable[[], R], check: Callable[[], None]) -> R:
    """Return ``call()``, made in a thread of its own; raise what ``check`` raises meanwhile.

    A call that waits for a node which is gone is left behind, and ends with this process.

    >>> guarded(lambda: 6 * 7, lambda: None)
    42
    """
    done = threading.Event()
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.extend((True, call()))
        except BaseException as error:
            outcome.extend((False, error))
        finally:
            done.set()

    threading.Thread(target=run, name="waiting for nodes", daemon=True).start()
    while not done.wait(INTERVAL_S):
        check()
    succeeded, value = outcome
    if not succeeded:
        raise value
    result: R = value
    return result


class _LateError(Exception):
    """The time of a call is over."""


def within(seconds: float, call: Callable[[], R]) -> R | None:
    """Return ``call()``; None where it takes longer than ``seconds``, and is left behind.

    >>> within(10.0, lambda: 6 * 7)
    42
    """
    limit = time.monotonic() + seconds

    def check() -> None:
        if time.monotonic() > limit:
            raise _LateError

    try:
        return guarded(call, check)
    except _LateError:
        return None


class Watchman:
    """A thread that checks the nodes while something else waits, and reports the first loss.

    Parameters
    ----------
    check : raises where a node is lost.
    report : called with that exception, once.
    """

    def __init__(self, check: Callable[[], None], report: Callable[[Exception], None]) -> None:
        self._check, self._report = check, report
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch of nodes", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the watch and wait for it."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(INTERVAL_S):
            try:
                self._check()
            except Exception as error:
                self._report(error)
                return
