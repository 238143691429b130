"""Hosts by SSH whose network is cut for a while, and nodes on them that stand still."""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench_core import cluster
from bench_core.cluster import Cluster, ClusterSettings, NodeLostError, Recovery
from bench_core.fitting.run import FitFailedError, fit
from bench_core.measure import FitSpec, measure
from bench_core.records import Record, read
from bench_core.records.record import RecoveryRecord
from tests.cluster.sites import ssh_site
from tests.cluster.ssh_hosts import Hosts
from tests.cores import needs_two_cores
from tests.faults.conftest import ROOT
from tests.faults.fits import (
    ALPHAS,
    DISTRIBUTED,
    assert_same,
    assert_same_model,
    fit_on,
    request,
)
from tests.faults.interventions import MARK, assert_none_left, clear, once_held
from tests.faults.traps import FOLDER, HASTY, PATIENCE
from tests.waiting import wait_until

pytestmark = needs_two_cores


@dataclass(frozen=True)
class Site:
    """Two hosts, and the folder in which the second one's node looks for traps."""

    settings: ClusterSettings
    hosts: Hosts
    traps: Path
    mark: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    traps, mark = folder / "traps", secrets.token_hex(8)
    traps.mkdir()
    common = {"PYTHONPATH": str(ROOT), MARK: mark}
    variables = (common, {**common, FOLDER: str(traps)})
    with ssh_site(folder, variables=variables) as (settings, hosts):
        yield Site(settings, hosts, traps, mark)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a shorter time before a node counts as lost, here and in processes of fits."""
    monkeypatch.setenv(HASTY, "1")
    for module, name, seconds in PATIENCE:
        monkeypatch.setattr(importlib.import_module(module), name, seconds)


def whole(running: Cluster) -> bool:
    """Return whether no node is lost, or not any more."""
    with contextlib.suppress(NodeLostError):
        running.check()
        return True
    return False


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("name", DISTRIBUTED)
def test_a_node_that_stands_still_or_is_cut_off_is_lost(
    name: str, site: Site, arrays: tuple[np.ndarray, np.ndarray], undisturbed: Any, tmp_path: Path
) -> None:
    expected = undisturbed(name)
    with (
        contextlib.ExitStack() as network,
        cluster.start(site.settings, 2, 1, scratch=tmp_path) as running,
    ):
        node = running.workers[1]
        named = rf"node 1 \(host {node.host}, pid {node.pid}"
        # A measurement ends, and would begin again with both nodes when the fault is over.
        with (
            once_held(site.traps, "SIGSTOP", lambda _: None) as held,
            pytest.raises(NodeLostError, match=rf"{named}.*SIGSTOP"),
        ):
            fit_on(name, running, arrays)
        assert held == [node.pid]
        os.kill(node.pid, signal.SIGCONT)
        assert wait_until(lambda: whole(running))
        with (
            once_held(site.traps, "until", lambda _: network.enter_context(site.hosts.cut(1))),
            pytest.raises(NodeLostError, match=rf"{named}.*cannot be reached"),
        ):
            fit_on(name, running, arrays)
        network.close()
        clear(site.traps)
        assert wait_until(lambda: whole(running))
        # A fit goes on without the node.
        running.recovery = Recovery(retries=1)
        if name == "bmor":
            fault = once_held(site.traps, "SIGSTOP", lambda _: None)
        else:
            fault = once_held(
                site.traps, "until", lambda _: network.enter_context(site.hosts.cut(1))
            )
        with fault:
            assert_same_model(fit_on(name, running, arrays), expected)
        assert running.recovery.redone == 1
        (lost,) = running.recovery.lost
        assert f"host {node.host}, pid {node.pid}" in lost
        network.close()
        clear(site.traps)
    assert_none_left(site.mark)
    assert list((site.settings.scratch or tmp_path).glob("ridgebench-*")) == []


class Fits:
    """Fits as ``ridgebench fit`` does them on the hosts, and what they leave in a folder."""

    def __init__(self, site: Site, problem: Path, folder: Path) -> None:
        self.site, self.problem, self.out = site, problem, folder / "out"
        self.over = threading.Event()
        """Set when a fit is over, or begins again."""

    def batches(self) -> int:
        return len(list(self.out.with_name("out.unfinished").glob("batch-*.npz")))

    def fit(self, name: str, **changes: Any) -> RecoveryRecord:
        def look(what: str, *_: object) -> None:
            if what.startswith("going on from"):
                self.over.set()

        wanted = request(
            self.problem, self.out, f"trapped-{name}", cluster=self.site.settings, **changes
        )
        try:
            record = fit(wanted, progress=look).record
        finally:
            self.over.set()
        assert record.status == "ok", record.reason
        assert record.recovery is not None
        return record.recovery

    def cut(self, host: int, until: Callable[[], object]) -> Callable[[int], None]:
        """Return an action that cuts a host off once a batch is kept, until something is so."""

        def action(_: int) -> None:
            assert wait_until(self.batches)
            with self.site.hosts.cut(host):
                assert wait_until(until)

        return action

    def check_lost(self, recovery: RecoveryRecord, pid: int, how: str) -> None:
        """Check that the process of the second host was lost so, and its batch done again."""
        (lost,) = recovery.lost
        assert f"host {self.site.hosts.spaces[1]}, pid {pid}" in lost
        assert how in lost
        assert recovery.redone == 1


@pytest.fixture
def fits(
    site: Site, problem_folder: Path, tmp_path: Path, installed: None, hasty: None
) -> Iterator[Fits]:
    yield Fits(site, problem_folder, tmp_path)
    clear(site.traps)
    assert_none_left(site.mark)
    assert os.listdir(tmp_path) == ["out"]
    assert site.settings.scratch is not None
    assert [each.name for each in site.settings.scratch.iterdir() if each.name != "problems"] == []


def test_a_fit_goes_on_when_a_worker_is_killed(
    fits: Fits, site: Site, undisturbed_folder: Any
) -> None:
    with once_held(site.traps, "SIGKILL", lambda _: None) as held:
        recovery = fits.fit("mor")
    fits.check_lost(recovery, held[0], "was killed by SIGKILL")
    assert_same(fits.out, undisturbed_folder("mor"))


def test_a_fit_goes_on_when_the_network_to_a_host_is_cut(
    fits: Fits, site: Site, undisturbed_folder: Any
) -> None:
    there = fits.cut(1, lambda: fits.batches() == 2 or fits.over.is_set())
    with once_held(site.traps, "until", there, first=1) as held:
        recovery = fits.fit("bmor")
    fits.check_lost(recovery, held[0], "cannot be reached")
    assert_same(fits.out, undisturbed_folder("bmor"))


def test_a_fit_that_may_not_go_on_without_a_host_is_resumed(
    fits: Fits, site: Site, undisturbed_folder: Any
) -> None:
    with (
        once_held(site.traps, "until", fits.cut(1, fits.over.is_set), first=1),
        pytest.raises(FitFailedError, match="cannot be reached") as error,
    ):
        fits.fit("bmor-shared", retries=0)
    assert site.hosts.spaces[1] in str(error.value)
    assert "1 finished batch" in error.value.__notes__[0]
    clear(site.traps)
    recovery = fits.fit("bmor-shared", resume=True)
    assert (recovery.resumed, recovery.redone, recovery.lost) == (1, 0, ())
    assert_same(fits.out, undisturbed_folder("bmor-shared"))


def test_a_fit_begins_again_when_the_host_of_the_scheduler_was_cut_off(
    fits: Fits, site: Site, undisturbed_folder: Any
) -> None:
    with once_held(site.traps, "until", fits.cut(0, fits.over.is_set), first=1):
        recovery = fits.fit("bmor")
    (lost,) = recovery.lost
    assert "scheduler of the ssh cluster does not answer" in lost
    assert (recovery.redone, recovery.resumed) == (1, 1)
    assert_same(fits.out, undisturbed_folder("bmor"))


@pytest.mark.usefixtures("installed", "hasty")
@pytest.mark.parametrize("fault", ["SIGSTOP", "cut"])
def test_a_measurement_names_the_host_of_a_node_that_stands_still_or_is_cut_off(
    fault: str, site: Site, problem_folder: Path, tmp_path: Path
) -> None:
    spec = FitSpec(str(problem_folder), "trapped-bmor", nodes=2, alphas=ALPHAS, null="skip")
    store = tmp_path / "store"
    with contextlib.ExitStack() as network:

        def act(_: int) -> None:
            if fault == "cut":
                network.enter_context(site.hosts.cut(1))

        trap = "SIGSTOP" if fault == "SIGSTOP" else "until"
        with once_held(site.traps, trap, act) as held:
            record = measure(spec, store=store, cluster=site.settings)
    clear(site.traps)
    assert record.status == "failed"
    assert record.times is None
    how = "SIGSTOP" if fault == "SIGSTOP" else "cannot be reached"
    for named in (f"host {site.hosts.spaces[1]}, pid {held[0]}", how):
        assert named in str(record.reason)
    (path,) = store.glob("*.json")
    assert read(Record, path) == record
    assert_none_left(site.mark)
