"""Jobs of a real Slurm that are cancelled, or reach their walltime, in the middle of a fit."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from bench_core import cluster
from bench_core.cluster import ClusterSettings, NodeLostError, Recovery
from bench_core.cluster.adopted import AdoptedCluster
from bench_core.cluster.kinds.slurm import ask_in_job, job_fields, job_name
from bench_core.fitting.run import fit
from bench_core.measure import FitSpec, measure
from tests.cluster.sites import slurm_cluster
from tests.cores import needs_two_cores
from tests.faults.fits import (
    ALPHAS,
    DISTRIBUTED,
    SECOND,
    assert_same,
    assert_same_model,
    fit_on,
    request,
)
from tests.faults.interventions import MARK, assert_none_left, clear, once_held
from tests.faults.traps import FOLDER
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.usefixtures("installed"),
    needs_two_cores,
]

#: The shortest that Slurm has.
MINUTE = "00:01:00"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, installed: None) -> Iterator[ClusterSettings]:
    with slurm_cluster(tmp_path_factory.mktemp("site"), cpus=4) as settings:
        yield settings


@dataclass(frozen=True)
class Short:
    """A cluster of two jobs, the second with a walltime of a minute; it has a folder of traps."""

    running: AdoptedCluster
    traps: Path
    jobs_name: str


@pytest.fixture(scope="module", autouse=True)
def short(site: ClusterSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Short]:
    """Start that cluster before all tests of this module, so that its minute goes by meanwhile."""
    folder = tmp_path_factory.mktemp("short")
    traps = folder / "traps"
    traps.mkdir()
    values = {**site.values, "walltime": MINUTE, "scratch": str(folder)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER, str(traps))
        running = cluster.start(replace(site, values=values), 2, 1, scratch=folder)
    with running:
        assert isinstance(running, AdoptedCluster)
        slurm("scontrol", "update", f"JobId={job_of(running.workers[0].pid)}", "TimeLimit=60")
        yield Short(running, traps, job_name(folder))


@pytest.fixture(autouse=True)
def nothing_left(
    site: ClusterSettings,
    short: Short,
    traps: Path,
    cluster_of: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """Check after every test that no job is queued, no process runs, and scratch is empty."""
    cluster_of(2)  # of undisturbed fits, which goes on beyond this test
    mark = secrets.token_hex(8)
    monkeypatch.setenv(MARK, mark)
    yield
    assert wait_until(lambda: not jobs(short), 60), jobs(short)
    assert_none_left(mark)
    assert site.scratch is not None
    assert [path.name for path in site.scratch.iterdir() if path.name != "problems"] == []


def jobs(short: Short) -> list[str]:
    """Return the numbers of all jobs but that cluster's in the queue, without those just ending."""
    listed = ["squeue", "--noheader", "--format=%i %j", "--states=PENDING,RUNNING,SUSPENDED"]
    done = subprocess.run(listed, check=True, capture_output=True, text=True)
    found = [line.split() for line in done.stdout.splitlines()]
    return [number for number, name in found if name != short.jobs_name]


def job_of(pid: int) -> str:
    return psutil.Process(pid).environ()["SLURM_JOB_ID"]


def slurm(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


class Cancelling(list[str]):
    """Jobs that were cancelled; a call cancels that of a process."""

    def __call__(self, pid: int) -> None:
        self.append(job_of(pid))
        slurm("scancel", self[-1])


def test_a_measurement_whose_job_is_cancelled_is_recorded_as_failed(
    site: ClusterSettings, problem_folder: Path, traps: Path, tmp_path: Path
) -> None:
    spec = FitSpec(str(problem_folder), "trapped-mor", nodes=2, alphas=ALPHAS, null="skip")
    cancelled = Cancelling()
    with once_held(traps, "hold", cancelled) as held:
        record = measure(spec, store=tmp_path / "store", cluster=site)
    assert record.status == "failed"
    assert record.times is None
    for named in (f"pid {held[0]},", f"job {cancelled[0]} is CANCELLED"):
        assert named in str(record.reason)
    assert measure(spec, store=tmp_path / "store", cluster=site).id == record.id


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_a_cancelled_job_ends_a_measurement_and_a_fit_goes_on_without_it(
    name: str,
    site: ClusterSettings,
    arrays: tuple[np.ndarray, np.ndarray],
    traps: Path,
    tmp_path: Path,
    undisturbed: Any,
) -> None:
    cancelled = Cancelling()
    with cluster.start(site, 2, 1, scratch=tmp_path) as running:
        with once_held(traps, "hold", cancelled) as held, pytest.raises(NodeLostError) as error:
            fit_on(name, running, arrays)
        for named in (f"pid {held[0]},", f"job {cancelled[0]} is CANCELLED"):
            assert named in str(error.value)
        running.recovery = Recovery(retries=1)
        assert_same_model(fit_on(name, running, arrays), undisturbed(name))
        (lost,) = running.recovery.lost
        assert f"job {cancelled[0]} is CANCELLED" in lost


def test_fits_whose_jobs_all_reach_their_walltime_go_on_with_new_jobs(
    site: ClusterSettings,
    short: Short,
    problem_folder: Path,
    tmp_path: Path,
    undisturbed_folder: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Slurm looks at times of jobs twice a minute: one of each strategy waits for the same look."""
    expected = {name: undisturbed_folder(name) for name in DISTRIBUTED}
    with ThreadPoolExecutor(len(DISTRIBUTED)) as pool, contextlib.ExitStack() as stack:
        doing = {}
        for name in DISTRIBUTED:
            traps, out = tmp_path / f"traps-{name}", tmp_path / name
            traps.mkdir()
            monkeypatch.setenv(FOLDER, str(traps))
            # mor keeps 32 targets together on two nodes.
            first = 33 if name == "mor" else 1
            held = stack.enter_context(once_held(traps, "hold", lambda _: None, first=first))
            wanted = request(problem_folder, out, f"trapped-{name}", cluster=site)
            doing[name] = pool.submit(fit, wanted)
            kept = out.with_name(f"{name}.unfinished")
            assert wait_until(
                lambda kept=kept, held=held, one=doing[name]: (
                    (held and list(kept.glob("batch-*"))) or one.done()
                )
            )
            assert not doing[name].done(), doing[name].result()
        before = jobs(short)
        assert len(before) == 2 * len(DISTRIBUTED)
        for job in before:
            slurm("scontrol", "update", f"JobId={job}", "EndTime=now")
        for name, one in doing.items():
            done = one.result()
            assert done.record.status == "ok", done.record.reason
            assert done.record.recovery is not None
            assert (done.record.recovery.redone, done.record.recovery.resumed) == (1, 1)
            (lost,) = done.record.recovery.lost
            assert (
                re.search(r"job (\d+) is TIMEOUT: .*walltime of \d\d:\d\d:\d\d", lost)[1] in before
            )
            assert any("walltime" in warning for warning in done.record.warnings)
            assert_same(tmp_path / name, expected[name])
    made = {*DISTRIBUTED, "traps", *(f"traps-{name}" for name in DISTRIBUTED)}
    assert set(os.listdir(tmp_path)) == made


def test_a_node_is_asked_for_within_its_job(short: Short) -> None:
    pid = short.running.workers[0].pid
    job = job_of(pid)
    assert job_fields(job)["JobState"] == "RUNNING"
    assert ask_in_job(job, pid) == "runs"
    assert ask_in_job(job, 2**22 + 1) == "unknown"  # Linux numbers no process so


def test_a_fit_goes_on_without_a_job_that_has_run_out_of_its_minute(
    short: Short, arrays: tuple[np.ndarray, np.ndarray], undisturbed: Any
) -> None:
    """In the middle of the fit, if the tests before took no longer than that."""
    running, second = short.running, short.running.workers[1].pid
    running.recovery = Recovery(retries=1)

    def hold_to_the_end(pid: int) -> None:
        if pid == second:
            assert wait_until(lambda: not psutil.pid_exists(second))
        clear(short.traps)

    with once_held(short.traps, "until", hold_to_the_end, first=SECOND):
        model = fit_on("bmor", running, arrays)
    assert_same_model(model, undisturbed("bmor"))
    (lost,) = running.recovery.lost
    assert f"pid {second}," in lost
    assert f"walltime of {MINUTE}" in lost
