"""The local cluster: its processes, their cores and BLAS, and how they end."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import psutil
import pytest
from threadpoolctl import threadpool_info

from bench_core import blas, cluster
from bench_core.cluster import NodeLostError, local
from bench_core.cluster.cores import affinity
from bench_core.errors import InputError, ResourceError, UnknownNameError
from bench_core.machine import available_cores
from tests.lifeline import Lifeline

NODES = 2


@pytest.fixture(scope="module")
def two():
    with local(NODES, 1, oversubscribe=available_cores() < NODES) as running:
        yield running


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def listening(pid: int) -> list:
    return [c for c in psutil.Process(pid).net_connections() if c.status == psutil.CONN_LISTEN]


def blas_threads() -> tuple[int, str | None]:
    np.ones((64, 64)) @ np.ones((64, 64))
    pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    return max(pools), os.environ.get("OPENBLAS_NUM_THREADS")


def test_one_process_per_node(two):
    assert len({node.pid for node in two.workers} | {os.getpid()}) == NODES + 1
    assert two.map(os.getpid, [()] * NODES) == [node.pid for node in two.workers]


def test_tasks_go_round_the_nodes_and_results_keep_their_order(two):
    assert two.map(divmod, [(i, 3) for i in range(7)]) == [divmod(i, 3) for i in range(7)]
    pids = two.map(os.getpid, [()] * 5)
    assert pids[0] == pids[2] == pids[4] != pids[1] == pids[3]


@pytest.mark.skipif(available_cores() < NODES, reason="pinning needs two cores")
def test_every_thread_of_a_node_stays_on_its_own_cores(two):
    found = two.map(affinity, [()] * NODES)
    assert [tuple(cpus) for cpus in found] == [node.cpus for node in two.workers]
    assert all(len(cpus) == 1 for cpus in found)
    assert len({cpu for cpus in found for cpu in cpus}) == NODES


def test_this_process_keeps_its_own_cores(two):
    assert len(os.sched_getaffinity(0)) >= min(available_cores(), NODES)


def test_nodes_prove_their_blas(two):
    here = blas.detect()
    for node in two.workers:
        assert node.blas["numpy"]["name"] == here.numpy.name
        assert node.blas["numpy"]["threads"] == 1


def test_threads_are_set_before_the_blas_is_loaded():
    with local(1, 2, oversubscribe=True) as running:
        assert running.map(blas_threads, [()]) == [(2, "2")]


def test_loopback_only_and_no_dashboard(two):
    for node in two.workers:
        assert len(listening(node.pid)) == 1
    assert two.client.scheduler_info()["services"] == {}
    for pid in (os.getpid(), *(node.pid for node in two.workers)):
        assert {c.laddr.ip for c in listening(pid)} == {"127.0.0.1"}


def test_bytes_moved_counts_what_is_pickled_into_tasks_and_results(two):
    mib = 2**20
    before = two.bytes_moved()
    two.map(len, [(os.urandom(3 * mib),)])
    sent = two.bytes_moved()
    assert 3 * mib <= sent["to_workers"] - before["to_workers"] < 3.1 * mib
    assert sent["from_workers"] - before["from_workers"] < 0.1 * mib
    two.map(os.urandom, [(2 * mib,)])
    back = two.bytes_moved()
    assert 2 * mib <= back["from_workers"] - sent["from_workers"] < 2.1 * mib
    assert back["total"] == sum(back[way] for way in back if way != "total")


def test_bytes_moved_between_nodes(two):
    first, second = (node.address for node in two.workers)
    before = two.bytes_moved()
    made = two.client.submit(os.urandom, 2**20, workers=[first], pure=False)
    assert two.client.submit(len, made, workers=[second], pure=False).result() == 2**20
    moved = two.bytes_moved()
    assert 2**20 <= moved["between_workers"] - before["between_workers"] < 1.1 * 2**20
    assert moved["total"] - before["total"] < 1.2 * 2**20


def test_shared_array_does_not_travel(two):
    values = np.random.default_rng(0).standard_normal((500, 500))
    ref = two.share(values)
    before = two.bytes_moved()["total"]
    sums = two.map(shared_sum, [(ref,)] * 4)
    np.testing.assert_allclose(sums, values.sum())
    assert two.bytes_moved()["total"] - before < values.nbytes / 20


def shared_sum(ref) -> float:
    return float(ref.open().sum())


def test_error_of_a_task_is_raised_as_it_was(two):
    with pytest.raises(ZeroDivisionError, match="modulo by zero"):
        two.map(divmod, [(1, 1), (1, 0)])
    assert two.map(divmod, [(5, 2)]) == [(2, 1)]  # and the cluster goes on


def test_more_threads_than_cores_are_refused():
    cores = available_cores()
    with pytest.raises(ResourceError, match=f"{2 * cores + 2} cores"):
        local(cores + 1, 2)


@pytest.mark.parametrize(("nodes", "threads"), [(0, 1), (1, 0), (-1, 1)])
def test_no_nodes_or_threads_is_refused(nodes, threads):
    with pytest.raises(InputError, match=f"{min(nodes, threads)}"):
        local(nodes, threads)


def test_unknown_kind_of_cluster_offers_near_names():
    assert cluster.KINDS.names() == ["local", "scheduler", "slurm", "ssh"]
    with pytest.raises(UnknownNameError, match="'local'"):
        cluster.start("locale", 1, 1)


def test_start_gives_the_options_to_the_kind(tmp_path):
    with cluster.start("local", 1, 1, scratch=tmp_path) as running:
        assert (running.kind, running.nodes, running.threads) == ("local", 1, 1)
        assert running.scratch.parent == tmp_path


def test_node_on_another_blas_than_declared_is_refused(tmp_path):
    other = "mkl" if blas.detect().numpy.name != "mkl" else "openblas"
    with pytest.raises(blas.BlasMismatchError):
        local(1, 1, blas=other, scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_closing_leaves_neither_processes_nor_files(tmp_path):
    with local(1, 1, scratch=tmp_path) as running:
        running.share(np.ones(10))
        pids = [node.pid for node in running.workers]
        assert running.scratch.parent == tmp_path
    assert all(gone(pid) for pid in pids)
    assert list(tmp_path.iterdir()) == []
    running.close()


@pytest.mark.timeout(120)
def test_nodes_die_with_a_parent_that_was_killed(tmp_path):
    script = textwrap.dedent("""
        import os, signal, sys
        from bench_core.cluster import local

        def hold(path):
            with open(path, "w") as lifeline:
                print(os.getpid(), file=lifeline, flush=True)
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
                signal.sigwait({signal.SIGUSR1})  # which nobody sends

        running = local(1, 1, scratch=sys.argv[1])
        running.map(hold, [(sys.argv[2],)])
    """)
    scratch, lifeline = tmp_path / "scratch", Lifeline(tmp_path / "pids")
    scratch.mkdir()
    parent = subprocess.Popen([sys.executable, "-c", script, str(scratch), str(lifeline)])
    (node,) = lifeline.pids()
    assert not gone(node)
    parent.kill()
    parent.wait()
    lifeline.wait()
    assert list(scratch.iterdir()) == []


def kill_me(_number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.timeout(60)
def test_killed_node_is_named_and_nothing_hangs(tmp_path):
    with local(1, 1, scratch=tmp_path) as running:
        pid = running.workers[0].pid
        with pytest.raises(NodeLostError, match=rf"pid {pid}.*SIGKILL"):
            running.map(kill_me, [(0,)])
        with pytest.raises(NodeLostError, match="node 0"):  # nor is the next fit waited for
            running.map(divmod, [(1, 1)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.timeout(60)
def test_node_that_cannot_start_says_why(tmp_path, monkeypatch):
    broken = tmp_path / "broken"
    (broken / "sklearn").mkdir(parents=True)
    (broken / "sklearn" / "__init__.py").write_text("raise ImportError('no such luck')")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with pytest.raises(NodeLostError, match="no such luck"):
        local(1, 1, scratch=scratch)
    assert list(Path(scratch).iterdir()) == []
