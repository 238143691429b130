"""Nodes that are killed, stopped or out of memory: a measurement ends, a fit goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

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
from bench_core.errors import ResourceError
from bench_core.machine import available_cores
from tests.faults.fits import ALPHAS, DISTRIBUTED, assert_same_model, fit_on
from tests.faults.interventions import clear, once_held
from tests.faults.memory_group import memory_group
from tests.faults.traps import look_in, set_trap, spring
from tests.small_disk import small_disk
from tests.waiting import wait_until


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


@pytest.fixture
def shared_nodes(cluster_of, traps):
    """Return the two nodes that all tests share, which look for this test's traps meanwhile."""
    cluster = cluster_of(2)
    cluster.client.run(look_in, str(traps))
    yield cluster
    cluster.recovery = None
    clear(traps)  # a node that is held goes on
    cluster.client.run(look_in, None)


def late(name):
    """Return a target that a second batch has; mor keeps 32 together on two nodes."""
    return 33 if name == "mor" else 20


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_an_interrupted_fit_keeps_finished_batches_which_are_not_made_again(
    name, arrays, tmp_path, shared_nodes, traps, undisturbed
):
    """Ctrl-C in the process that fits."""
    expected = undisturbed(name)
    folder = tmp_path / "ledger"
    folder.mkdir()

    def interrupt(_):
        assert wait_until(lambda: list(folder.glob("batch-*")))
        os.kill(os.getpid(), signal.SIGINT)

    shared_nodes.recovery = Recovery(2, Ledger(folder))
    with (
        once_held(traps, "until", interrupt, first=late(name)),
        pytest.raises(KeyboardInterrupt),
    ):
        fit_on(name, shared_nodes, arrays)
    clear(traps)
    (made,) = folder.glob("batch-*")
    before = made.stat().st_mtime_ns
    ledger = Ledger(folder)
    shared_nodes.recovery = Recovery(2, ledger)
    model = strategies.get(name)(ALPHAS, cluster=shared_nodes)
    assert_same_model(model.fit(*arrays), expected)
    assert ledger.resumed == 1
    assert made.stat().st_mtime_ns == before
    assert len(list(folder.glob("batch-*"))) == 2


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_a_full_disk_is_an_error_and_finished_batches_are_kept(
    name, tmp_path, shared_nodes, traps, monkeypatch
):
    """On a file system that promises space and does not have it."""
    rng = np.random.default_rng(5)
    wide = rng.standard_normal((150, 400)), rng.standard_normal((150, 40))  # pages of coefficients
    expected = strategies.get(name)(ALPHAS, cluster=shared_nodes).fit(*wide)
    monkeypatch.setattr(os, "posix_fallocate", lambda *_: None)
    set_trap(traps, late(name), "fill")
    with small_disk(tmp_path / "disk", 1) as disk:
        (traps / f"{late(name)}.disk").write_text(str(disk))
        folder = disk / "out.unfinished"
        folder.mkdir()
        shared_nodes.recovery = Recovery(2, Ledger(folder))
        with pytest.raises(ResourceError, match=r"\d+ bytes.*free") as error:
            fit_on(name, shared_nodes, wide)
        assert len(list(folder.glob("batch-*"))) == 1
        # Nodes write to the file of coefficients; those of mor return them, to be kept by batches.
        named = "batch-32-40.npz" if name == "mor" else "coef.npy"
        assert str(folder / named) in str(error.value)
        (disk / "filler").unlink()
        ledger = Ledger(folder)
        shared_nodes.recovery = Recovery(2, ledger)
        assert_same_model(strategies.get(name)(ALPHAS, cluster=shared_nodes).fit(*wide), expected)
        assert ledger.resumed == 1


OUT_OF_MEMORY = """
import os, sys
from pathlib import Path
Path(sys.argv.pop(1), "cgroup.procs").write_text(str(os.getpid()))
from tests.faults.test_lost_nodes import run_out_of_memory
run_out_of_memory(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def run_out_of_memory(scratch: Path, traps: Path) -> None:
    """Lose a node of four to the limit in a measurement, and in a fit of each of two strategies."""
    with start(4, scratch) as cluster:
        arrays = np.load(traps / "X.npy"), np.load(traps / "Y.npy")
        expected = {
            name: strategies.get(name)(ALPHAS, cluster=cluster).fit(*arrays)
            for name in ("mor", "bmor-shared")
        }
        try:
            cluster.map(eat, [()])
        except NodeLostError as error:
            print(error)
        for name, model in expected.items():
            cluster.recovery = Recovery(retries=1)
            set_trap(traps, second_batch(model), "memory")
            assert_same_model(fit_on(name, cluster, arrays), model)
            assert cluster.recovery.redone == 1
            print(cluster.recovery.lost[-1])  # after those lost before


def eat():
    eaten = []
    while True:
        eaten.append(np.ones(2**20))


def test_a_node_without_memory_says_so_and_a_fit_goes_on(arrays, traps, tmp_path):
    """`mor` and `bmor-shared`; `bmor` as ``ridgebench fit`` in `test_ended_fits`."""
    scratch = tmp_path / "scratch"
    for array, name in zip(arrays, "XY", strict=True):
        np.save(traps / name, array)
    with memory_group(1600 * 2**20) as folder:
        arguments = [sys.executable, "-c", OUT_OF_MEMORY, str(folder), str(scratch), str(traps)]
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == 3, said
    assert all("SIGKILL: out of memory" in line for line in said)
    sprung = {path.read_text() for path in traps.glob("*.pid")}
    assert [sum(f"pid {pid} " in line for line in said[1:]) for pid in sprung] == [1, 1]
    assert list(scratch.iterdir()) == []
