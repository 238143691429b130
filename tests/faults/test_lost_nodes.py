"""Nodes that are killed, stopped or out of memory: a measurement ends, a fit goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest

from bench_core import strategies
from bench_core.cluster import (
    Ledger,
    NodeLostError,
    Recovery,
    RetriesUsedError,
    base,
    local,
)
from bench_core.machine import available_cores
from tests.faults.fits import ALPHAS, DISTRIBUTED, assert_same_model, fit_on
from tests.faults.memory_group import memory_group
from tests.faults.traps import set_trap, spring


def second_batch(model):
    """Return the first target that node 1 has; for mor, whose targets go anywhere, one of them."""
    if model.name == "bmor":
        return int(model.cv_results_["boundaries"][1])
    return model.plan_.solved[1][0] if model.name == "bmor-shared" else 13


def start(nodes, scratch):
    return local(nodes, 1, scratch=scratch, oversubscribe=available_cores() < nodes)


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_a_measurement_ends_with_a_lost_node_and_a_fit_goes_on(
    name, arrays, traps, tmp_path, undisturbed
):
    expected = undisturbed(name)
    target = second_batch(expected)
    scratch = tmp_path / "scratch"
    with start(2, scratch) as cluster:
        set_trap(traps, target, "SIGSTOP")
        with pytest.raises(NodeLostError) as error:
            fit_on(name, cluster, arrays)
        stopped = int((traps / f"{target}.pid").read_text())
        assert f"pid {stopped} on this machine" in str(error.value)
        assert "SIGSTOP" in str(error.value)
        os.kill(stopped, signal.SIGCONT)
        cluster.recovery = Recovery(retries=1)
        set_trap(traps, target, "SIGKILL")
        assert_same_model(fit_on(name, cluster, arrays), expected)
        assert cluster.recovery.redone == 1
        (lost,) = cluster.recovery.lost
        assert f"pid {(traps / f'{target}.pid').read_text()} " in lost
        assert "SIGKILL" in lost
        cluster.recovery = None
        with pytest.raises(NodeLostError):  # no measurement begins on fewer nodes than asked for
            fit_on(name, cluster, arrays)
    assert list(scratch.iterdir()) == []


def test_a_node_that_stands_still_is_given_up_and_the_last_one_ends_the_fit(
    traps, tmp_path, monkeypatch
):
    monkeypatch.setattr(base, "STOPPED_S", 0.1)
    with start(2, tmp_path) as cluster:
        cluster.recovery = Recovery(retries=2)
        set_trap(traps, 1, "SIGSTOP")
        assert cluster.map(double, [(0,), (1,), (2,)]) == [0, 2, 4]
        assert not psutil.pid_exists(int((traps / "1.pid").read_text()))
        assert "SIGSTOP" in cluster.recovery.lost[0]
        cluster.recovery = Recovery(retries=0)
        set_trap(traps, 1, "SIGKILL")
        with pytest.raises(NodeLostError, match="SIGKILL"):
            cluster.map(double, [(1,)])
        with pytest.raises(NodeLostError, match="SIGKILL"):
            cluster.map(double, [(1,)])
        assert cluster.living == []


def test_work_that_loses_its_node_again_and_again_ends(traps, tmp_path):
    with start(2, tmp_path) as cluster:
        cluster.recovery = Recovery(retries=0)
        set_trap(traps, 1, "SIGKILL")
        with pytest.raises(RetriesUsedError, match="SIGKILL"):
            cluster.map(double, [(1,)])
        assert cluster.map(double, [(1,)]) == [2]


def double(number):
    spring(number)
    return 2 * number


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_finished_batches_are_used_and_not_made_again(
    name, arrays, tmp_path, cluster_of, undisturbed, monkeypatch
):
    cluster, expected = cluster_of(2), undisturbed(name)

    class Interrupting(Ledger):
        def keep(self, name, result):
            super().keep(name, result)
            raise KeyboardInterrupt

    made = []
    with monkeypatch.context() as patch:
        for kind, interrupted in ((Interrupting, True), (Ledger, False)):
            ledger = kind(tmp_path)
            patch.setattr(cluster, "recovery", Recovery(2, ledger))
            model = strategies.get(name)(ALPHAS, cluster=cluster)
            if interrupted:
                with pytest.raises(KeyboardInterrupt):
                    model.fit(*arrays)
                made = sorted(tmp_path.glob("batch-*"))
                before = made[0].stat().st_mtime_ns
                assert len(made) == 1
            else:
                assert_same_model(model.fit(*arrays), expected)
                assert ledger.resumed == 1
                assert made[0].stat().st_mtime_ns == before
                assert len(list(tmp_path.glob("batch-*"))) == 2
    assert cluster.recovery is None


OUT_OF_MEMORY = """
import os, sys
from pathlib import Path
Path(sys.argv[1], "cgroup.procs").write_text(str(os.getpid()))
from bench_core.cluster import NodeLostError, local
from tests.faults.test_lost_nodes import eat
try:
    with local(1, 1, scratch=sys.argv[2]) as running:
        running.map(eat, [()])
except NodeLostError as error:
    print(error)
"""


def eat():
    eaten = []
    while True:
        eaten.append(np.ones(2**22))


def test_a_node_without_memory_says_so(tmp_path):
    with memory_group(600 * 2**20) as folder:
        arguments = [sys.executable, "-c", OUT_OF_MEMORY, str(folder), str(tmp_path)]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=100)
        assert "SIGKILL: out of memory" in done.stdout, done.stderr
        assert list(tmp_path.iterdir()) == []
