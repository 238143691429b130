"""Health of a node's process: running, stopped or ended, and how it ended."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable

import psutil

from bench_core.machine import oom_kills

STOPPED_S = 5.0
"""Seconds for which a node of a fit may be stopped (SIGSTOP) before it counts as lost.

In a measurement it is lost as soon as it is seen: the time that it stood still would be measured.
"""

ABSENT_S = 5.0
"""Seconds for which the scheduler may miss a node whose process runs, before it counts as lost."""


class Health:
    """What is known of one node's process, looked at again and again.

    Parameters
    ----------
    process : the node's, a child of this process.

    Examples
    --------
    >>> import sys
    >>> ended = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    >>> health = Health(ended)
    >>> status = ended.wait()
    >>> health.lost(patience=0.0, present=True)
    'ended with status 3'
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._killed_before = oom_kills()
        self._since: dict[str, float] = {}

    def lost(self, *, patience: float, present: bool) -> str | None:
        """Return why the node is lost, None while it works.

        Parameters
        ----------
        patience : seconds for which its process may be stopped.
        present : whether the scheduler has it among its workers.
        """
        if self.process.poll() is not None:
            return self.ending()
        if self._lasts("stopped", self._is_stopped(), patience):
            return "is stopped (SIGSTOP)"
        if self._lasts("absent", not present, ABSENT_S):
            return f"has had no connection to the scheduler for {ABSENT_S:g} s"
        return None

    def ending(self) -> str:
        """Return how the process ended, as text."""
        status = self.process.returncode
        if status is None or status >= 0:
            return f"ended with status {status}"
        return f"was killed by {describe_signal(-status, self._killed_before)}"

    def _is_stopped(self) -> bool:
        try:
            return bool(psutil.Process(self.process.pid).status() == psutil.STATUS_STOPPED)
        except psutil.Error:
            return False

    def _lasts(self, what: str, found: bool, longest: float) -> bool:
        """Return whether something has been found for at least ``longest`` seconds."""
        if not found:
            self._since.pop(what, None)
            return False
        now = time.monotonic()
        return now - self._since.setdefault(what, now) >= longest


def describe_signal(
    number: int,
    killed_before: int | None,
    kills: Callable[[], int | None] = oom_kills,
) -> str:
    """Return a signal's name; with SIGKILL, whether memory ran out.

    Parameters
    ----------
    killed_before : what ``kills`` had returned before; None where it is not counted.
    kills : returns how many processes the kernel has killed for want of memory.
    """
    try:
        name = signal.Signals(number).name
    except ValueError:  # a real-time signal
        name = f"signal {number}"
    if number != signal.SIGKILL:
        return name
    remedy = "use fewer nodes, a smaller scale or float32"
    killed = kills()
    if killed is None or killed_before is None:
        return f"{name} (usual when memory runs out: {remedy})"
    if killed > killed_before:
        return f"{name}: out of memory, by the kernel's count: {remedy}"
    return f"{name}, and not for want of memory, by the kernel's count"
