"""Hosts by SSH whose network is cut for a while, and nodes on them that stand still."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench_core import cluster
from bench_core.cluster import Cluster, ClusterSettings, NodeLostError, Recovery, presence
from bench_core.cluster import silence as silences
from bench_core.cluster.kinds import ssh
from bench_core.measure import FitSpec, measure
from tests.cluster.sites import ssh_site
from tests.cluster.ssh_hosts import Hosts
from tests.cores import needs_two_cores
from tests.faults.conftest import ROOT
from tests.faults.fits import ALPHAS, DISTRIBUTED, assert_same_model, fit_on
from tests.faults.interventions import MARK, assert_none_left, clear, once_held
from tests.faults.traps import FOLDER
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
    """Wait for a shorter time before a silent node counts as lost."""
    for module, name, seconds in (
        (silences, "SILENT_S", 2.0),
        (ssh, "_ASK_S", 1.5),
        (silences, "STOPPED_S", 0.5),
        (silences, "UNREACHABLE_S", 4.0),
    ):
        monkeypatch.setattr(module, name, seconds)


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


@pytest.mark.usefixtures("hasty")
def test_the_host_of_the_scheduler_is_cut_off(
    site: Site,
    arrays: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with contextlib.ExitStack() as network:
        with cluster.start(site.settings, 2, 1, scratch=tmp_path) as running:
            running.recovery = Recovery(retries=1)
            monkeypatch.setattr(presence, "SCHEDULER_S", 5.0)
            with (
                once_held(site.traps, "until", lambda _: network.enter_context(site.hosts.cut(0))),
                pytest.raises(NodeLostError, match="scheduler of the ssh cluster"),
            ):
                fit_on("bmor", running, arrays)
        network.close()
        clear(site.traps)
        assert_none_left(site.mark)
    assert list((site.settings.scratch or tmp_path).glob("ridgebench-*")) == []


@pytest.mark.usefixtures("installed")
def test_a_measurement_names_the_host_of_a_node_that_stands_still(
    site: Site, problem_folder: Path, tmp_path: Path
) -> None:
    spec = FitSpec(str(problem_folder), "trapped-bmor", nodes=2, alphas=ALPHAS, null="skip")
    with once_held(site.traps, "SIGSTOP", lambda _: None) as held:
        record = measure(spec, store=tmp_path / "store", cluster=site.settings)
    assert record.status == "failed"
    assert record.times is None
    for named in (f"host {site.hosts.spaces[1]}, pid {held[0]}", "SIGSTOP"):
        assert named in str(record.reason)
    assert_none_left(site.mark)
