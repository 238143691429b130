"""A leading process that stands still ends, with its reason."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench_core.runner.launcher import launch
from bench_core.runner.protocol import WorkerResult
from tests.lifeline import Lifeline
from tests.measuring import oddities

__all__ = ["oddities"]


@dataclass(frozen=True)
class _Note:
    note: str


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("oddities")
def test_a_stopped_worker_ends_and_all_that_it_started(tmp_path: Path) -> None:
    lifeline = Lifeline(tmp_path / "pids")
    stopped: list[int] = []

    def stop() -> None:
        stopped.extend(lifeline.pids())
        os.kill(stopped[0], signal.SIGSTOP)

    thread = threading.Thread(target=stop)
    thread.start()
    found = launch("hanging_worker", _Note(str(lifeline)), WorkerResult, environment=os.environ)
    thread.join()
    assert (found.status, found.times) == ("failed", None)
    assert f"pid {stopped[0]} " in str(found.reason)
    assert "SIGSTOP" in str(found.reason)
    lifeline.wait()
