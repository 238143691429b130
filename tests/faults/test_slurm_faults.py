"""Jobs of a real Slurm that are cancelled, or reach their time limit, in the middle of a fit."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench_core import cluster
from bench_core.cluster import ClusterSettings
from bench_core.cluster.adopted import AdoptedCluster
from bench_core.cluster.kinds.slurm import ask_in_job, job_fields
from bench_core.fitting.run import fit
from bench_core.measure import FitSpec, measure
from tests.cluster.sites import slurm_cluster
from tests.cores import needs_two_cores
from tests.faults.fits import ALPHAS, assert_same, request
from tests.faults.interventions import MARK, assert_none_left, once_held
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.usefixtures("installed"),
    needs_two_cores,
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, installed: None) -> Iterator[ClusterSettings]:
    with slurm_cluster(tmp_path_factory.mktemp("site")) as settings:
        yield settings


@pytest.fixture(autouse=True)
def nothing_left(
    site: ClusterSettings, traps: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Check after every test that no job is queued, no process runs, and scratch is empty."""
    mark = secrets.token_hex(8)
    monkeypatch.setenv(MARK, mark)
    yield
    assert jobs() == []
    assert_none_left(mark)
    assert site.scratch is not None
    assert [path.name for path in site.scratch.iterdir() if path.name != "problems"] == []


def jobs() -> list[str]:
    """Return the numbers of the jobs in the queue, those that are just ending left out."""
    listed = ["squeue", "--noheader", "--format=%i", "--states=PENDING,RUNNING,SUSPENDED"]
    return subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split()


def job_of(pid: int) -> str:
    return psutil.Process(pid).environ()["SLURM_JOB_ID"]


def slurm(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def test_a_measurement_whose_job_is_cancelled_fails(
    site: ClusterSettings, problem_folder: Path, traps: Path, tmp_path: Path
) -> None:
    spec = FitSpec(str(problem_folder), "trapped-mor", nodes=2, alphas=ALPHAS, null="skip")
    found = []

    def cancel(pid: int) -> None:
        found.append(job_of(pid))
        slurm("scancel", found[0])

    with once_held(traps, "hold", cancel) as held:
        record = measure(spec, store=tmp_path / "store", cluster=site)
    assert record.status == "failed"
    assert record.times is None
    for named in (f"pid {held[0]},", f"job {found[0]} is CANCELLED"):
        assert named in str(record.reason)
    assert measure(spec, store=tmp_path / "store", cluster=site).id == record.id


def test_a_fit_goes_on_without_a_job_that_has_reached_its_walltime(
    site: ClusterSettings, problem_folder: Path, traps: Path, tmp_path: Path, undisturbed_folder
) -> None:
    def end(pid: int) -> None:  # Slurm looks at times of jobs twice a minute
        slurm("scontrol", "update", f"JobId={job_of(pid)}", "EndTime=now")

    with once_held(traps, "hold", end, first=1) as held:
        done = fit(request(problem_folder, tmp_path / "out", cluster=site))
    assert done.record.status == "ok", done.record.reason
    assert done.record.recovery is not None
    assert done.record.recovery.redone == 1
    (lost,) = done.record.recovery.lost
    assert f"pid {held[0]}," in lost
    assert "is TIMEOUT" in lost
    assert_same(tmp_path / "out", undisturbed_folder("bmor"))
    assert sorted(os.listdir(tmp_path)) == ["out", "traps"]


def test_a_fit_that_has_lost_all_jobs_goes_on_with_new_ones(
    site: ClusterSettings, problem_folder: Path, traps: Path, tmp_path: Path, undisturbed_folder
) -> None:
    out = tmp_path / "out"
    kept = out.with_name("out.unfinished") / "batch-0.npz"

    def cancel(_: int) -> None:
        assert wait_until(kept.exists)
        slurm("scancel", "--me")

    with once_held(traps, "hold", cancel, first=1):
        done = fit(request(problem_folder, out, "trapped-bmor-shared", cluster=site))
    assert done.record.status == "ok", done.record.reason
    assert done.record.recovery is not None
    assert (done.record.recovery.redone, done.record.recovery.resumed) == (1, 1)
    (lost,) = done.record.recovery.lost
    assert "is CANCELLED" in lost
    assert_same(out, undisturbed_folder("bmor-shared"))
    assert sorted(os.listdir(tmp_path)) == ["out", "traps"]


def test_a_node_is_asked_for_within_its_job(site: ClusterSettings) -> None:
    with cluster.start(site, 1, 1) as running:
        assert isinstance(running, AdoptedCluster)
        pid = running.workers[0].pid
        job = job_of(pid)
        assert job_fields(job)["JobState"] == "RUNNING"
        assert ask_in_job(job, pid) == "runs"
        assert ask_in_job(job, 2**22 + 1) == "unknown"  # Linux numbers no process so
