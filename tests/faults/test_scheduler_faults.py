"""A scheduler of its own that is killed in the middle of a fit."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client

from bench_core import cluster
from bench_core.cluster import ClusterSettings
from bench_core.fitting.run import FitFailedError, fit
from bench_core.measure import FitSpec, measure
from tests.cluster.running_scheduler import running_scheduler, wait_for_workers
from tests.cores import needs_two_cores
from tests.faults.fits import ALPHAS, DISTRIBUTED, assert_same, request
from tests.faults.interventions import MARK, assert_none_left, clear, once_held
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.usefixtures("installed"),
    needs_two_cores,
]


@contextlib.contextmanager
def scheduler(folder: Path) -> Iterator[tuple[ClusterSettings, int]]:
    """Yield a cluster of a scheduler that runs with two workers, and the scheduler's process.

    Its name is the same every time, as that of a user's is who starts it again.
    """
    with running_scheduler(folder) as address:
        wait_for_workers(address, 2)
        with Client(address, set_as_default=False) as client:
            pid = client.run_on_scheduler(os.getpid)
        file = folder / "cluster.toml"
        file.write_text(f'kind = "scheduler"\nname = "ours"\naddress = "{address}"\n')
        yield cluster.read_cluster(file), pid


@pytest.fixture(scope="module")
def next_scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSettings]:
    """Yield the cluster of a scheduler that was started again, which all tests resume on."""
    with scheduler(tmp_path_factory.mktemp("next") / "dask") as (settings, _):
        yield settings


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_a_fit_whose_scheduler_is_killed_is_resumed(
    name: str,
    problem_folder: Path,
    scratch: Path,
    tmp_path: Path,
    traps: Path,
    next_scheduler: ClusterSettings,
    undisturbed_folder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = undisturbed_folder(name)
    out = tmp_path / "out"
    unfinished = out.with_name("out.unfinished")
    mark = secrets.token_hex(8)
    monkeypatch.setenv(MARK, mark)
    with scheduler(tmp_path / "first") as (settings, pid):

        def kill(_: int) -> None:
            assert wait_until(lambda: list(unfinished.glob("batch-*")))
            os.kill(pid, signal.SIGKILL)

        wanted = request(problem_folder, out, f"trapped-{name}", cluster=settings)
        # mor keeps 32 targets together on two nodes
        with (
            once_held(traps, "until", kill, first=33 if name == "mor" else 1),
            pytest.raises(FitFailedError, match="scheduler of the scheduler cluster") as error,
        ):
            fit(wanted, scratch=scratch)
        clear(traps)
    assert "1 finished batch" in error.value.__notes__[0]
    assert_none_left(mark)
    assert sorted(os.listdir(tmp_path)) == ["first", "out.unfinished", "traps"]
    done = fit(dataclasses.replace(wanted, cluster=next_scheduler, resume=True), scratch=scratch)
    assert done.record.recovery is not None
    assert (done.record.recovery.resumed, done.record.recovery.lost) == (1, ())
    assert_same(out, expected)
    assert sorted(os.listdir(tmp_path)) == ["first", "out", "traps"]
    assert_none_left(mark)
    # The problem and the proof of the BLAS stay for the next fit.
    assert {path.name for path in scratch.iterdir()} <= {"problems", "blas"}


def test_a_measurement_whose_scheduler_is_killed_fails(
    problem_folder: Path,
    scratch: Path,
    tmp_path: Path,
    traps: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mark = secrets.token_hex(8)
    monkeypatch.setenv(MARK, mark)
    spec = FitSpec(str(problem_folder), "trapped-bmor", nodes=2, alphas=ALPHAS, null="skip")
    with scheduler(tmp_path / "dask") as (settings, pid):
        with once_held(traps, "until", lambda _: os.kill(pid, signal.SIGKILL)):
            record = measure(spec, store=tmp_path / "store", scratch=scratch, cluster=settings)
        clear(traps)
    assert record.status == "failed"
    assert record.times is None
    assert "scheduler of the scheduler cluster does not answer" in str(record.reason)
    assert_none_left(mark)
