"""Nodes that are killed, stopped or out of memory: a measurement ends, a fit goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

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
from bench_core.runner.session import Session
from tests.faults.traps import set_trap, spring, trapped

ALPHAS = (1.0, 100.0, 10_000.0)
DISTRIBUTED = ["mor", "bmor", "bmor-shared"]


def fit(name, cluster, arrays):
    with trapped(name):
        return strategies.get(name)(ALPHAS, cluster=cluster).fit(*arrays)


def assert_same(model, expected):
    for part in ("coef_", "intercept_", "alpha_"):
        np.testing.assert_array_equal(getattr(model, part), getattr(expected, part), part)


@pytest.fixture(scope="module")
def undisturbed(cluster_of, arrays):
    """Return a function from a strategy's name to its model, fitted on two nodes."""
    found = {}

    def fitted(name):
        if name not in found:
            found[name] = strategies.get(name)(ALPHAS, cluster=cluster_of(2)).fit(*arrays)
        return found[name]

    return fitted


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
            fit(name, cluster, arrays)
        stopped = int((traps / f"{target}.pid").read_text())
        assert f"pid {stopped} on this machine" in str(error.value)
        assert "SIGSTOP" in str(error.value)
        os.kill(stopped, signal.SIGCONT)
        cluster.recovery = Recovery(retries=1)
        set_trap(traps, target, "SIGKILL")
        assert_same(fit(name, cluster, arrays), expected)
        assert cluster.recovery.redone == 1
        (lost,) = cluster.recovery.lost
        assert f"pid {(traps / f'{target}.pid').read_text()} " in lost
        assert "SIGKILL" in lost
        cluster.recovery = None
        with pytest.raises(NodeLostError):  # no measurement begins on fewer nodes than asked for
            fit(name, cluster, arrays)
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


def test_nodes_that_keep_rows_to_themselves_end_a_fit_as_without_retries():
    nodes = SimpleNamespace(ends_with_a_node=lambda folder: f"nodes do not see {folder}")
    nodes.recovery = None
    asked = SimpleNamespace(cluster=nodes, job=SimpleNamespace(retries=2, ledger="/kept"))
    with contextlib.ExitStack() as stack:
        stack.enter_context(pytest.raises(RetriesUsedError, match=r"gone\n.*do not see /kept"))
        (note,) = stack.enter_context(Session.recovering(asked))
        assert "nodes do not see /kept" in note
        raise NodeLostError("node 1 is gone")
    assert nodes.recovery is None


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
                assert_same(model.fit(*arrays), expected)
                assert ledger.resumed == 1
                assert made[0].stat().st_mtime_ns == before
                assert len(list(tmp_path.glob("batch-*"))) == 2
    assert cluster.recovery is None


def memory_group(limit):
    """Return a new control group with a limit of memory, None where there can be none."""
    for root, name in ((Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
                       (Path("/sys/fs/cgroup"), "memory.max")):  # fmt: skip
        folder = root / f"ridgebench-test-{os.getpid()}"
        try:
            folder.mkdir()
            (folder / name).write_text(str(limit))
        except OSError:
            if folder.is_dir():
                folder.rmdir()
            continue
        return folder
    return None


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
    folder = memory_group(600 * 2**20)
    if folder is None:
        pytest.skip("no control group with a limit of memory can be made here")
    try:
        arguments = [sys.executable, "-c", OUT_OF_MEMORY, str(folder), str(tmp_path)]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=100)
        assert "SIGKILL: out of memory" in done.stdout, done.stderr
        assert list(tmp_path.iterdir()) == []
    finally:
        folder.rmdir()
