"""What else used the machine: judged on made counters, and seen with a real busy process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import pytest

from bench_core.machine.activity import Activity
from bench_core.measure import FitSpec, measure
from bench_core.measure.again import add_run
from bench_core.records import Record
from bench_core.records.machine import ProcessorRecord
from bench_core.records.pooling import choose_runs, pool_runs
from bench_core.records.times import MachineUse, RunTimes, Times
from bench_core.runner import one_run
from bench_core.runner.disturbance import UseMeter, disturbance
from bench_core.runner.protocol import WorkerResult
from bench_core.runner.run import disturbed_reason
from bench_core.runner.spec import ProblemShape
from tests.valid_record import valid_record

START = Activity(0.0, 100.0, 5.0, 1.0, 0.0, 3, 2600.0)


def used(own: tuple[float, float] = (1.0, 3.0), cores: int = 2, **later: float) -> MachineUse:
    """Return the use over 2 seconds in which our processes worked ``own`` and counters grew."""
    readings = iter([START, replace(START, at=2.0, **later)])
    meter = UseMeter(readings.__next__, iter([{1: own[0]}, {1: own[1]}]).__next__)
    meter.begin()
    meter.end()
    return meter.use(cores=cores)


def test_our_own_processes_are_not_counted() -> None:
    found = used(own=(1.0, 4.8), busy_s=103.8)
    assert (found.own_cores, found.others_cores) == (1.9, 0.0)
    assert disturbance(found, 2) is None


def test_new_processes_are_ours_and_ended_ones_take_nothing_back() -> None:
    readings = iter([START, replace(START, at=2.0, busy_s=103.0)])
    meter = UseMeter(readings.__next__, iter([{1: 1.0, 2: 9.0}, {1: 2.0, 3: 2.0}]).__next__)
    meter.begin()
    meter.end()
    found = meter.use(cores=2)
    assert (found.own_cores, found.others_cores) == (1.5, 0.0)


@pytest.mark.parametrize(
    ("later", "cores", "asked", "word"),
    [
        ({"busy_s": 102.2}, 2, 2, None),  # 0.1 core of others
        ({"busy_s": 103.0}, 2, 1, "0.50 of 2 cores"),
        ({"busy_s": 104.0}, 64, 2, None),  # one core of others on a large machine
        ({"busy_s": 104.0}, 64, 64, "1.00 of 64 cores"),
        ({"busy_s": 102.0, "steal_s": 5.5}, 2, 2, "0.25 cores for other machines"),
        ({"busy_s": 102.0, "throttled_s": 0.5}, 2, 2, "0.5 s of 2 s"),
        ({"busy_s": 102.0, "thermal_events": 5}, 2, 2, "2 times to cool"),
    ],
)
def test_what_disturbs(later: dict[str, float], cores: int, asked: int, word: str | None) -> None:
    found = disturbance(used(cores=cores, **later), asked)
    assert (found is None) == (word is None)
    assert word is None or word in (found or "")


def test_a_slow_clock_disturbs_where_the_base_clock_is_known() -> None:
    slow = replace(used(busy_s=102.0), megahertz=1200.0, base_megahertz=2600.0)
    assert "1200 of 2600" in (disturbance(slow, 2) or "")
    assert disturbance(replace(slow, base_megahertz=None), 2) is None


def test_a_system_that_says_nothing_disturbs_nothing() -> None:
    nothing = Activity(0.0, None, None, None, None, None, None)
    readings = iter([nothing, replace(nothing, at=1.0)])
    meter = UseMeter(readings.__next__, iter([{}, {}]).__next__)
    meter.begin()
    meter.end()
    found = meter.use(cores=2)
    assert (found.others_cores, found.steal_cores) == (None, None)
    assert disturbance(found, 2) is None


def test_the_span_begins_with_the_first_fit_that_counts() -> None:
    readings = iter(replace(START, at=float(n), busy_s=100.0 + 9 * (n > 0)) for n in range(4))
    meter = UseMeter(readings.__next__, lambda: {})
    for _ in range(2):
        meter.begin()
        meter.end()
    meter.forget(1)
    found = meter.use(cores=2)
    assert (found.seconds, found.others_cores) == (1.0, 0.0)


def run(number: int, *times: float, disturbed: str | None = None, counted: bool = True) -> RunTimes:
    return RunTimes(number, "2026-01-01T00:00:00Z", (), times, "repeats", None, disturbed, counted)


def test_disturbed_runs_count_only_where_all_were() -> None:
    first, second = run(0, 2.0, 2.0, disturbed="load"), run(1, 1.0, 1.1)
    assert [one.counted for one in choose_runs((first, second))] == [False, True]
    assert [one.counted for one in choose_runs((first, replace(second, disturbed="load")))] == [
        True,
        True,
    ]
    assert disturbed_reason((first,)) is not None
    assert disturbed_reason((first, second)) is None
    pooled = pool_runs(Times((2.0, 2.0), 2.0, None, 0.1, 0.1, None, (first,)), [second])
    assert pooled.fit_s == (1.0, 1.1)
    assert pooled.median_s == pytest.approx(1.05)


def test_the_interval_of_two_runs_reaches_both() -> None:
    runs = run(0, 1.0, 1.01, 0.99), run(1, 1.2, 1.21, 1.19)
    pooled = pool_runs(Times((1.0,), 1.0, None, 0.1, 0.1, None, runs[:1]), runs[1:])
    assert pooled.ci95_s is not None
    assert pooled.ci95_s[0] <= 1.0 < 1.2 <= pooled.ci95_s[1]
    assert pooled.fit_s == (1.0, 1.01, 0.99, 1.2, 1.21, 1.19)


def first_record() -> Record:
    spec = FitSpec("parcels", "ridgecv", scale=1 / 24)
    record = valid_record(spec, ProblemShape("parcels", 60, 8, 5, "float64", "sub-01", 1 / 24))
    assert record.times is not None
    return replace(record, times=replace(record.times, runs=(run(0, 8.0, disturbed="load"),)))


def test_a_quiet_run_mends_a_disturbed_record() -> None:
    record = replace(first_record(), status="disturbed", reason="load")
    quiet = WorkerResult("ok", times=Times((7.0,), 7.0, None, 0, 0, None, (run(1, 7.0),)))
    found = add_run(record, quiet, 1, accept_load=False)
    assert (found.status, found.reason) == ("ok", None)
    assert found.times is not None
    assert found.times.fit_s == (7.0,)
    noisy = replace(quiet.times, runs=(run(1, 7.0, disturbed="more load"),))  # type: ignore[type-var]
    found = add_run(record, replace(quiet, times=noisy), 1, accept_load=False)
    assert found.status == "disturbed"
    assert "more load" in (found.reason or "")


def test_a_run_that_proves_nothing_makes_the_record_invalid() -> None:
    wrong = WorkerResult("invalid", "another BLAS")
    found = add_run(first_record(), wrong, 1, accept_load=False)
    assert (found.status, "another BLAS" in (found.reason or "")) == ("invalid", True)
    doubted = WorkerResult(
        "ok",
        times=Times((7.0,), 7.0, None, 0, 0, None, (run(1, 7.0),)),
        processor=ProcessorRecord(1.0, None, None, (), "one thread of 2"),
    )
    assert add_run(first_record(), doubted, 1, accept_load=False).status == "invalid"


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keep ``count`` cores busy by processes that are not ours: their parent is no Python."""
    command = [sys.executable, "-c", "print(flush=True)\nwhile True: pass"]
    made = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(count)]
    try:
        for one in made:
            assert one.stdout is not None
            one.stdout.readline()
        yield
    finally:
        for one in made:
            one.kill()
            one.communicate()


def test_a_real_busy_process_is_seen() -> None:
    """Its processor time is on the machine, not among ours."""
    if not Path("/proc/stat").exists():
        pytest.skip("no /proc/stat here")
    with busy_processes(1):
        meter = UseMeter(own=lambda: {})
        meter.begin()
        until = perf_counter() + 0.5
        while perf_counter() < until:
            os.getpid()
        meter.end()
        found = meter.use()
    # This process and the busy one; others only add to it.
    assert found.others_cores is not None
    assert found.others_cores > 0.3
    assert disturbance(found, found.cores) is not None


def test_a_disturbed_measurement_is_made_again_and_marked(
    problem_folder: Path, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RIDGEBENCH_ACCEPT_LOAD")
    spec = FitSpec(str(problem_folder), "ridgecv", null="skip", repeats=20)
    with busy_processes(os.cpu_count() or 1):
        record = measure(spec, store=tmp_path, scratch=scratch, timeout=120)
    assert record.status == "disturbed", record.reason
    assert record.times is not None
    assert len(record.times.runs) == 1 + one_run.AGAIN
    assert [one.counted for one in record.times.runs].count(True) == 1
    assert all(one.disturbed for one in record.times.runs)
