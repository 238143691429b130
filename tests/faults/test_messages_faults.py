"""Nodes that are killed where arrays travel by messages: what they had is sent to others."""

from __future__ import annotations

import dataclasses
import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench_core import cluster
from bench_core.cluster import ClusterSettings, Recovery
from bench_core.fitting.run import FitFailedError, fit
from tests.cluster.sites import ssh_site
from tests.cores import needs_two_cores
from tests.faults.conftest import ROOT
from tests.faults.fits import assert_same, assert_same_model, fit_on, request
from tests.faults.interventions import MARK, assert_none_left, clear, once_held
from tests.faults.traps import ANY, FOLDER, set_trap
from tests.waiting import wait_until

pytestmark = needs_two_cores


@dataclasses.dataclass(frozen=True)
class Site:
    """Two hosts that share no scratch folder, and the folder in which nodes look for traps."""

    settings: ClusterSettings
    traps: Path
    mark: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    traps, mark = folder / "traps", secrets.token_hex(8)
    traps.mkdir()
    variables = {"PYTHONPATH": str(ROOT), MARK: mark, FOLDER: str(traps)}
    with ssh_site(folder, unshared=True, variables=(variables, variables)) as (settings, _):
        yield Site(settings, traps, mark)


@pytest.mark.parametrize(("name", "node"), [("mor", 1), ("bmor", 0), ("bmor-shared", 0)])
def test_what_a_lost_node_had_is_sent_to_the_other(
    name: str, node: int, site: Site, arrays: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    clear(site.traps)
    with cluster.start(site.settings, 2, 1, scratch=tmp_path) as running:
        assert running.data == "messages"
        running.recovery = Recovery()
        expected = fit_on(name, running, arrays)
        assert (running.recovery.redone, running.recovery.lost) == (0, [])
        running.recovery = Recovery(retries=1)
        set_trap(site.traps, first_target(expected, node), "SIGKILL")
        assert_same_model(fit_on(name, running, arrays), expected)
        assert running.recovery.redone == 1
        (lost,) = running.recovery.lost
        (pid,) = (path.read_text() for path in site.traps.glob("*.pid"))
        assert f"pid {pid}, " in lost
        assert "SIGKILL" in lost
    assert_none_left(site.mark)


def first_target(model: Any, node: int) -> int:
    """Return the first target that a node has; for mor, whose targets go anywhere, one of them."""
    if model.name == "bmor":
        return int(model.cv_results_["boundaries"][node])
    return int(model.plan_.solved[node][0]) if model.name == "bmor-shared" else ANY


@pytest.mark.usefixtures("installed")
def test_a_fit_by_messages_is_resumed(site: Site, problem_folder: Path, tmp_path: Path) -> None:
    out, plain = tmp_path / "out", tmp_path / "plain"
    clear(site.traps)
    wanted = request(problem_folder, out, cluster=site.settings, retries=0)
    fit(dataclasses.replace(wanted, out=plain), scratch=tmp_path / "scratch")
    kept = out.with_name("out.unfinished") / "batch-0.npz"

    def kill(pid: int) -> None:
        assert wait_until(kept.exists)
        os.kill(pid, signal.SIGKILL)

    with (
        once_held(site.traps, "until", kill, first=1),
        pytest.raises(FitFailedError, match="SIGKILL") as error,
    ):
        fit(wanted, scratch=tmp_path / "scratch")
    assert "1 finished batch" in error.value.__notes__[0]
    clear(site.traps)
    done = fit(dataclasses.replace(wanted, resume=True), scratch=tmp_path / "scratch")
    assert done.record.recovery is not None
    assert (done.record.recovery.resumed, done.record.recovery.lost) == (1, ())
    assert_same(out, plain)
    assert sorted(os.listdir(tmp_path)) == ["out", "plain", "scratch"]
    assert_none_left(site.mark)
