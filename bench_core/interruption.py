"""SIGTERM and SIGHUP as interruptions: whatever ends a run, it cleans up as after Ctrl-C.

Schedulers, ``timeout`` and a terminal that closes send these. Their default is to end a process at
once, which leaves scratch copies and unfinished folders behind.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class TerminatedError(KeyboardInterrupt):
    """A signal asked this process to end; handled wherever Ctrl-C is."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number


@contextmanager
def ended_by_signals() -> Iterator[list[int]]:
    """Raise `TerminatedError` from the block when SIGTERM or SIGHUP comes.

    For the main thread of a process that belongs to ridgebench. A signal that this process was
    started to ignore (``nohup``) stays ignored. Yields the list of the signals that came.
    """
    before: dict[int, Any] = {}
    came: list[int] = []

    def terminate(number: int, frame: FrameType | None) -> None:
        # Several may come (`timeout` signals its group, a shell its jobs): one is enough, and the
        # others must not interrupt the clean-up, to which the end of the interpreter belongs.
        for each in SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        came.append(number)
        raise TerminatedError(number)

    for each in SIGNALS:
        if signal.getsignal(each) == signal.SIG_DFL:
            before[each] = signal.signal(each, terminate)
    try:
        yield came
    finally:
        if not came:
            for each, handler in before.items():
                signal.signal(each, handler)


@contextmanager
def sigint_kept() -> Iterator[None]:
    """Put back the handler of SIGINT that the block replaces, as an import may.

    >>> before = signal.getsignal(signal.SIGINT)
    >>> with sigint_kept():
    ...     _ = signal.signal(signal.SIGINT, signal.SIG_IGN)
    >>> signal.getsignal(signal.SIGINT) == before
    True
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) != before:
            signal.signal(signal.SIGINT, before)
