"""When a silent node is lost, by what its host says; with a clock of the test's own."""

from __future__ import annotations

import os
import signal
import subprocess
import threading

import pytest

from bench_core.cluster.silence import (
    SILENT_S,
    UNKNOWN_S,
    UNREACHABLE_S,
    HostAnswer,
    Silence,
    process_state,
)
from tests.waiting import wait_until


class Host:
    """A host that gives one answer, and counts how often it was asked."""

    def __init__(self, answer: HostAnswer | Exception) -> None:
        self.answer = answer
        self.asked = 0

    def __call__(self) -> HostAnswer:
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def after(silence: Silence, seconds: float, *, patient: bool, sign: float = 1.0) -> str | None:
    """Look twice a second for so long, with no heartbeat, and return why the node is lost."""
    found = None
    for tick in range(round(2 * seconds) + 1):
        silence.look(sign, tick / 2)
        for thread in threading.enumerate():
            if thread.name == "question to a host":
                thread.join()
        found = silence.lost(patient=patient)
    return found


@pytest.mark.parametrize(
    ("answer", "patient", "seconds", "word"),
    [
        ("stopped", False, SILENT_S, "SIGSTOP"),
        ("stopped", True, SILENT_S + 5, "SIGSTOP"),
        ("unreachable", False, SILENT_S, "reached"),
        ("unreachable", True, UNREACHABLE_S, "reached"),
        ("gone", True, SILENT_S, "ended"),
        ("unknown", False, UNKNOWN_S, "cannot be asked"),
        (OSError("no way"), True, UNKNOWN_S, "cannot be asked (OSError: no way)"),
    ],
)
def test_a_silent_node_is_lost_when_its_host_says_so(
    answer: HostAnswer | Exception, patient: bool, seconds: float, word: str
) -> None:
    assert after(Silence(Host(answer)), seconds - 0.5, patient=patient) is None
    assert word in str(after(Silence(Host(answer)), seconds, patient=patient))


def test_a_node_that_computes_is_never_lost_and_seldom_asked_for() -> None:
    host = Host("runs")
    assert after(Silence(host), 1000, patient=False) is None
    assert host.asked == 20  # after 5, 10, 20, 40 and 80 s, and then every minute


def test_a_heartbeat_ends_the_silence_and_what_was_said_of_it() -> None:
    silence = Silence(Host("stopped"))
    assert after(silence, 6, patient=False) is not None
    silence.look(2.0, 6.5)
    assert (silence.seconds, silence.lost(patient=False)) == (0.0, None)


def test_times_in_which_nobody_looked_are_no_silence() -> None:
    host = Host("stopped")
    silence = Silence(host)
    silence.look(1.0, 0.0)
    silence.look(1.0, 500.0)
    assert silence.lost(patient=False) is None
    assert host.asked == 0


def test_the_state_of_processes() -> None:
    process = subprocess.Popen(["sleep", "600"])
    try:
        assert process_state(process.pid) == "runs"
        os.kill(process.pid, signal.SIGSTOP)
        assert wait_until(lambda: process_state(process.pid) == "stopped")
        process.kill()
        assert wait_until(lambda: process_state(process.pid) == "gone")  # and nobody has reaped it
    finally:
        process.kill()
        process.wait()
    assert process_state(process.pid) == "gone"
