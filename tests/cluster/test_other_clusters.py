"""Nodes that are not processes of this one: a scheduler that runs, Slurm jobs, hosts by SSH."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from distributed import Client

from bench_core import cluster, strategies
from bench_core.blas import detect
from bench_core.cluster import Cluster, ClusterSettings, NodeLostError, Recovery, local
from bench_core.cluster.adopted import AdoptedCluster, NodesDifferError
from bench_core.cluster.check import check_nodes
from bench_core.cluster.kinds.slurm import job_name
from bench_core.data import Problem
from bench_core.errors import InputError
from bench_core.machine import available_cores, cpu
from bench_core.measure import FitSpec, measure
from tests.cluster.running_scheduler import running_scheduler
from tests.cluster.sites import NODES, scheduler_cluster, slurm_cluster, ssh_cluster
from tests.cores import needs_two_cores

THREADS = 1
ALPHAS = (0.1, 1.0, 10.0, 100.0, 1000.0)

pytestmark = needs_two_cores

SITES = {
    "scheduler": scheduler_cluster,
    "slurm": slurm_cluster,
    "ssh": ssh_cluster,
    "ssh-unshared": functools.partial(ssh_cluster, unshared=True),
}


@dataclass(frozen=True)
class Site:
    """A cluster to start, and how its arrays have to travel."""

    settings: ClusterSettings
    data: str


@pytest.fixture(scope="module", params=SITES)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with SITES[request.param](tmp_path_factory.mktemp(request.param)) as settings:
        yield Site(settings, "messages" if request.param == "ssh-unshared" else "path")


@pytest.fixture(scope="module")
def running(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdoptedCluster]:
    scratch = tmp_path_factory.mktemp("scratch")
    with cluster.start(site.settings, NODES, THREADS, scratch=scratch) as found:
        assert isinstance(found, AdoptedCluster)
        yield found
    if site.settings.kind == "slurm":
        left = subprocess.run(
            ["squeue", "--noheader", "--states=PENDING,RUNNING"], capture_output=True, check=True
        )
        assert left.stdout == b""
    assert list((site.settings.scratch or scratch).glob("ridgebench-*")) == []


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((90, 12))
    Y = X @ rng.standard_normal((12, 7)) + 3.0 * rng.standard_normal((90, 7))
    return X, Y


def fitted(name: str, data: tuple[np.ndarray, np.ndarray], where: Cluster) -> strategies.Strategy:
    return strategies.get(name)(alphas=ALPHAS, cluster=where).fit(*data)


@pytest.fixture(scope="module")
def expected(data: tuple[np.ndarray, np.ndarray]) -> dict[str, strategies.Strategy]:
    with local(NODES, THREADS) as here:
        return {name: fitted(name, data, here) for name in ("mor", "bmor", "bmor-shared")}


@pytest.mark.parametrize("name", ["mor", "bmor", "bmor-shared"])
def test_strategies_give_the_answers_of_local(
    name: str,
    running: AdoptedCluster,
    data: tuple[np.ndarray, np.ndarray],
    expected: dict[str, strategies.Strategy],
) -> None:
    found = fitted(name, data, running)
    np.testing.assert_array_equal(found.chosen_alphas(), expected[name].chosen_alphas())
    np.testing.assert_allclose(found.coef_, expected[name].coef_, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(found.intercept_, expected[name].intercept_, rtol=1e-11, atol=1e-13)


def test_nodes_are_pinned_and_have_their_threads_and_the_verified_blas(
    site: Site, running: AdoptedCluster
) -> None:
    assert len({node.pid for node in running.workers} | {os.getpid()}) == NODES + 1
    assert [len(node.cpus) for node in running.workers] == [THREADS] * NODES
    assert len({cpu for node in running.workers for cpu in node.cpus}) == NODES * THREADS
    pinned = running.run(os.sched_getaffinity, 0)
    assert [tuple(sorted(each)) for each in pinned] == [node.cpus for node in running.workers]
    here = detect()
    for node, facts in zip(running.workers, running.facts, strict=True):
        assert node.blas["numpy"]["name"] == here.numpy.name
        assert node.blas["numpy"]["threads"] == THREADS
        assert facts.processor == cpu().model
    assert (running.data, running.sees_scratch) == (site.data, site.data == "path")
    assert running.differences == []
    assert running.host_names() == ["host 0"] * NODES  # two nodes, one machine
    if site.settings.kind == "ssh":
        addresses = [urlsplit(node.address).hostname for node in running.workers]
        assert addresses == list(site.settings.values["hosts"])
        assert addresses != sorted(addresses, key=str)


def test_tasks_go_to_their_nodes_and_bytes_are_counted(running: AdoptedCluster) -> None:
    assert running.map(os.getpid, [()] * 3) == [running.workers[i].pid for i in (0, 1, 0)]
    before = running.bytes_moved()
    running.map(len, [(os.urandom(2**20),)])
    after = running.bytes_moved()
    assert 2**20 <= after["to_workers"] - before["to_workers"] < 1.1 * 2**20
    ways = [way for way in after if way != "total" and " to " not in way]
    assert after["total"] == sum(after[way] for way in ways)


@pytest.mark.parametrize("name", ["mor", "bmor", "bmor-shared"])
def test_each_array_travels_once_to_each_node_that_needs_it(
    name: str, site: Site, running: AdoptedCluster
) -> None:
    rng = np.random.default_rng(2)
    X, Y = rng.standard_normal((10_000, 40)), rng.standard_normal((10_000, 24))
    before = running.bytes_moved()["total"]
    model = strategies.get(name)(alphas=ALPHAS, cluster=running).fit(X, Y)
    moved = running.bytes_moved()["total"] - before
    coef = np.asarray(model.coef_).nbytes
    if site.data == "path":
        assert moved < X.nbytes / 4  # tasks and results of all targets and rounds
    else:
        needed = NODES * X.nbytes + Y.nbytes + coef
        assert needed <= moved < 1.1 * needed
        planned = model.sent_bytes(*X.shape, Y.shape[1], nodes=NODES)
        assert planned is not None
        assert needed <= planned < 1.1 * needed


def test_every_node_is_proven(site: Site, running: AdoptedCluster) -> None:
    found = check_nodes(running, site.settings.label, 1.0, size=2**16)
    by_path = site.data == "path"
    assert (found.data, set(found.links)) == (site.data, {"0 to 1", "1 to 0"})
    for node, known in zip(found.nodes, running.workers, strict=True):
        assert (node.host, node.address, node.cpus) == (known.host, known.address, known.cpus)
        assert (node.processor, node.threads) == (cpu().model, THREADS)
        assert node.sees_scratch == by_path
        assert (node.scratch_write is not None) == by_path
        assert abs(node.clock_offset_s) <= node.clock_error_s + 1e-3
        assert node.from_here > 0


def test_workers_of_others_are_left_alone(
    running: AdoptedCluster, data: tuple[np.ndarray, np.ndarray]
) -> None:
    fitted("mor", data, running)
    own = {node.address for node in running.workers}
    done = running.client.run(
        lambda dask_worker: (
            dask_worker.state.transition_counter,
            len(os.sched_getaffinity(0)),
        )
    )
    others = [found for address, found in done.items() if address not in own]
    assert len(others) == (1 if running.kind == "scheduler" else 0)
    assert all(found == (0, available_cores()) for found in others)


def test_jobs_of_a_fit_that_was_killed_are_cancelled(site: Site, tmp_path: Path) -> None:
    if site.settings.kind != "slurm":
        pytest.skip("only Slurm has a queue")
    mine, other = (job_name(tmp_path / each) for each in ("run-1", "run-2"))
    for name in (mine, other):
        sleeping = ["sbatch", "--output=/dev/null", f"--job-name={name}", "--wrap=sleep 600"]
        subprocess.run(sleeping, check=True, capture_output=True)

    def queued() -> list[str]:
        listed = ["squeue", "--noheader", "--format=%j", "--states=PENDING,RUNNING"]
        done = subprocess.run(listed, check=True, capture_output=True, text=True)
        return [line for line in done.stdout.split() if line in (mine, other)]

    assert sorted(queued()) == [mine, other]
    site.settings.clean_up(str(tmp_path / "run-1"))
    assert queued() == [other]
    site.settings.clean_up(str(tmp_path / "run-2"))
    assert queued() == []


def test_a_measurement_names_hosts_and_processors(
    site: Site, running: AdoptedCluster, tmp_path: Path
) -> None:
    settings = site.settings
    if (settings.kind, site.data) == ("ssh", "path"):
        pytest.skip("measured by path on Slurm, and by messages on these hosts")
    running.close()  # Slurm has no room for both
    rng = np.random.default_rng(1)
    X = rng.standard_normal((200, 6))
    Y = X @ rng.standard_normal((6, 9)) + rng.standard_normal((200, 9))
    Problem.from_arrays(X, Y, np.repeat(range(4), 50), name="tiny").save(tmp_path / "tiny")
    # One of a single process: it is measured on a node, too.
    strategy = "ridgecv" if settings.kind == "scheduler" else "bmor-shared"
    nodes = 1 if strategy == "ridgecv" else NODES
    spec = FitSpec(str(tmp_path / "tiny"), strategy, nodes=nodes, alphas=ALPHAS, null="skip")
    scratch = None if settings.scratch else tmp_path / "scratch"
    record = measure(spec, store=tmp_path / "store", scratch=scratch, cluster=settings)
    assert (record.status, record.reason) == ("ok", None)
    assert record.case.cluster == settings.label
    assert record.agreement is not None
    assert record.agreement.agrees
    assert record.cluster is not None
    (host,) = record.cluster.hosts
    assert (record.cluster.kind, record.cluster.data) == (settings.kind, site.data)
    assert (host.name, len(host.nodes)) == ("host 0", nodes)
    assert host.cpu["model"] == cpu().model
    assert {"main", *host.nodes} <= {each.process for each in record.memory.per_process}
    assert [each.process for each in record.processor.placement] == list(host.nodes)
    assert record.bytes_moved["total"] > 0


def test_nodes_that_differ_are_an_error_or_noted(tmp_path: Path) -> None:
    if detect().numpy.name != "openblas" or "avx2" not in cpu().features:
        pytest.skip("needs an OpenBLAS with other kernels to choose")
    other = [{"OPENBLAS_CORETYPE": "Sandybridge"}]
    with running_scheduler(tmp_path / "dask", workers=2, variables=other) as address:
        settings = cluster.parse_cluster(address)
        with pytest.raises(NodesDifferError, match=r"node 1 \(host .*Sandybridge elsewhere"):
            cluster.start(settings, 2, 1, scratch=tmp_path)
        with Client(address, set_as_default=False) as client:
            assert {len(each) for each in client.run(os.sched_getaffinity, 0).values()} == {
                len(os.sched_getaffinity(0))
            }
        with cluster.start(settings, 2, 1, scratch=tmp_path, allow_mixed=True) as mixed:
            assert isinstance(mixed, AdoptedCluster)
            assert {text.partition(" (")[0] for text in mixed.differences} == {"node 1"}
            assert len(mixed.differences) == 2  # numpy's and scipy's


def test_a_worker_that_is_killed_is_named_and_work_goes_on_without_it(tmp_path: Path) -> None:
    with running_scheduler(tmp_path / "dask", workers=2) as address:
        settings = cluster.parse_cluster(address)
        with cluster.start(settings, 2, 1, scratch=tmp_path) as running:
            gone, host = running.workers[1].pid, running.workers[1].host
            with pytest.raises(NodeLostError, match=rf"node 1 \(host {host}, pid {gone},"):
                running.map(os.kill, [(os.getpid(), 0), (gone, signal.SIGKILL)])
            running.recovery = Recovery(retries=1)
            assert running.map(divmod, [(7, 3), (8, 3), (9, 3)]) == [(2, 1), (2, 2), (3, 0)]
            assert running.living == [0]
            (lost,) = running.recovery.lost
            assert f"pid {gone}," in lost
            assert len(running.run(os.getpid)) == 1
            X, Y = np.random.default_rng(1).standard_normal((2, 40, 4))
            for name in ("mor", "bmor", "bmor-shared"):
                model = strategies.get(name)(ALPHAS, cluster=running).fit(X, Y)
                assert model.coef_.shape == (4, 4)
            running.recovery = None
            with pytest.raises(NodeLostError, match=f"pid {gone},"):
                running.map(divmod, [(7, 3)])
    assert [path.name for path in tmp_path.iterdir()] == ["dask"]


def test_a_worker_of_several_tasks_is_refused(tmp_path: Path) -> None:
    crowd = ("--nthreads", "2")
    with running_scheduler(tmp_path / "dask", workers=1, worker_options=crowd) as address:
        with pytest.raises(InputError, match="--nthreads 1"):
            cluster.start(cluster.parse_cluster(address), 1, 1, scratch=tmp_path)
        with pytest.raises(InputError, match="kernels"):
            cluster.start(cluster.parse_cluster(address), 1, 1, scratch=tmp_path, kernels="haswell")


def test_no_scheduler_is_said_at_once(tmp_path: Path) -> None:
    file = tmp_path / "none.toml"
    file.write_text('kind = "scheduler"\naddress = "tcp://127.0.0.1:9"\nstart_timeout = 0.5\n')
    with pytest.raises(NodeLostError, match=r"tcp://127\.0\.0\.1:9"):
        cluster.start(cluster.read_cluster(file), 1, 1, scratch=tmp_path)
