"""Silence of a node on another host: how long it lasts, and whether its process still runs there.

A worker sends its scheduler a heartbeat twice a second. It sends none while it is stopped, while
its host cannot be reached, and while a call holds Python's lock, as eigendecompositions of scipy
do for minutes. Silence alone therefore decides nothing: after `SILENT_S` the host is asked, past
Dask, for the state of the process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from bench_core.cluster.health import STOPPED_S

HostAnswer = Literal["runs", "stopped", "gone", "unreachable", "unknown"]
"""State of a node's process, by its host; "unknown" where there is no way to ask."""

SILENT_S = 5.0
"""Seconds without a heartbeat after which the host is asked."""

UNREACHABLE_S = 15.0
"""Seconds for which the host of a node of a fit may be out of reach before the node is lost.

In a measurement it is lost as soon as the host did not answer: the time would be measured.
"""

UNKNOWN_S = 300.0
"""Seconds of silence after which a node is lost whose host cannot be asked."""

_LONGEST_STEP_S = 1.0
_LONGEST_PAUSE_S = 60.0


class Silence:
    """Silence of one node, looked at again and again.

    Parameters
    ----------
    ask : returns the host's answer; called in a thread of its own, so that nothing waits for it.

    Attributes
    ----------
    seconds : of silence so far. Times in which nobody looked do not count.

    Examples
    --------
    >>> silence = Silence(lambda: "runs")
    >>> for now in (0.0, 0.5, 1.0):
    ...     silence.look(sign=17.3, now=now)
    >>> silence.seconds, silence.lost(patient=False)
    (1.0, None)
    >>> silence.look(sign=17.8, now=1.5)
    >>> silence.seconds
    0.0
    """

    def __init__(self, ask: Callable[[], HostAnswer]) -> None:
        self.seconds = 0.0
        self._ask = ask
        self._sign: object = None
        self._looked_at: float | None = None
        self._next = SILENT_S
        self._answer: HostAnswer | None = None
        self._failure = ""
        self._asking: threading.Thread | None = None

    def look(self, sign: object, now: float) -> None:
        """Note the last sign of life, such as the time of the last heartbeat.

        Parameters
        ----------
        sign : equal as long as there is no new one.
        now : of a clock that only goes forward, in seconds.
        """
        if self._looked_at is None or sign != self._sign:
            self.seconds, self._sign, self._next = 0.0, sign, SILENT_S
            self._answer, self._failure = None, ""
        else:
            self.seconds += min(now - self._looked_at, _LONGEST_STEP_S)
        self._looked_at = now
        if self.seconds >= self._next and not (self._asking and self._asking.is_alive()):
            self._next = self.seconds + min(self.seconds, _LONGEST_PAUSE_S)
            self._asking = threading.Thread(
                target=self._keep_answer, args=(sign,), name="question to a host", daemon=True
            )
            self._asking.start()

    def _keep_answer(self, sign: object) -> None:
        failure = ""
        try:
            found = self._ask()
        except Exception as error:  # whatever it is, it says nothing of the process
            found, failure = "unknown", f" ({type(error).__name__}: {error})"
        if sign == self._sign:
            self._answer, self._failure = found, failure

    def lost(self, *, patient: bool) -> str | None:
        """Return why the node is lost, None while it may come back.

        patient : as a fit, which can wait; a measurement cannot.
        """
        silent, answer = self.seconds, self._answer
        heard = f"no heartbeat for {silent:.0f} s"
        if silent < SILENT_S:
            return None
        if answer == "gone":
            return f"has ended, by its host: {heard}"
        if answer == "stopped" and silent >= SILENT_S + (STOPPED_S if patient else 0.0):
            return f"is stopped (SIGSTOP), by its host: {heard}"
        if answer == "unreachable" and (not patient or silent >= UNREACHABLE_S):
            return f"cannot be reached, nor can its host: {heard}"
        if answer in (None, "unknown") and silent >= UNKNOWN_S:
            return f"does not answer, and its host cannot be asked{self._failure}: {heard}"
        return None


def process_state(pid: int) -> HostAnswer:
    """Return the state of a process of this machine.

    >>> import os
    >>> process_state(os.getpid())
    'runs'
    """
    try:
        return state_in(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace"))
    except (FileNotFoundError, ProcessLookupError):
        return "gone"
    except OSError:
        return "unknown"


def state_in(stat: str) -> HostAnswer:
    """Return the state that the text of ``/proc/PID/stat`` gives; empty: there is no process.

    >>> state_in("4711 (a (b) c) T 1 4711"), state_in("4711 (python) S 1"), state_in("")
    ('stopped', 'runs', 'gone')
    """
    fields = stat.rpartition(")")[2].split()
    if not fields or fields[0] in ("Z", "X"):
        return "gone"
    return "stopped" if fields[0] in ("T", "t") else "runs"
