"""A node that was stopped (SIGSTOP) does not outlive the time that its fit was given."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from bench_core.measure import FitSpec, measure
from bench_core.runner import launcher
from tests.lifeline import Lifeline

GIVEN_S = 1234.0  # which nothing else is given

pytestmark = pytest.mark.usefixtures("oddities")


@pytest.mark.timeout(120)
def test_a_stopped_node_ends_with_the_time_of_its_fit(
    tmp_path: Path, problem_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lifeline, scratch = Lifeline(tmp_path / "pids"), tmp_path / "scratch"
    stopped: list[psutil.Process] = []

    class StopsItsNode(subprocess.Popen[bytes]):
        """A worker whose node is stopped at work; its time, which is over, begins only then."""

        def wait(self, timeout: float | None = None) -> int:
            if timeout == GIVEN_S:
                (pid,) = lifeline.pids()
                os.kill(pid, signal.SIGSTOP)
                stopped.append(psutil.Process(pid))
                assert pid in [each.pid for each in psutil.Process(self.pid).children()]
                timeout = 0.1
            return super().wait(timeout)

    monkeypatch.setattr(launcher.subprocess, "Popen", StopsItsNode)
    spec = FitSpec(str(problem_folder), "held", null="skip", options={"note": str(lifeline)})
    record = measure(spec, store=tmp_path / "store", scratch=scratch, timeout=GIVEN_S)
    assert record.status == "failed"
    assert f"{GIVEN_S:g} s" in str(record.reason)
    assert record.times is None
    (node,) = stopped
    lifeline.wait()  # which the node held open for as long as it was there, stopped or not
    assert not node.is_running() or node.status() == psutil.STATUS_ZOMBIE
    assert [path.name for path in scratch.iterdir() if path.name.startswith("run-")] == []
