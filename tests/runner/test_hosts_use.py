"""Other work on the hosts of nodes: from made readings, and on real workers of a scheduler."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_core import cluster
from bench_core.cluster import ClusterSettings
from bench_core.machine.activity import Activity
from bench_core.measure import FitSpec, measure
from bench_core.measure.again import add_run, other_processors
from bench_core.records import codec
from bench_core.records.machine import ClusterRecord, HostRecord
from bench_core.records.times import RunTimes, Times
from bench_core.runner.hosts_use import HostReading, HostsMeter, busiest, hosts_disturbance
from bench_core.runner.protocol import WorkerResult
from bench_core.runner.spec import ProblemShape
from tests.cluster.running_scheduler import running_scheduler, wait_for_workers
from tests.measuring import problem_folder, scratch
from tests.runner.test_disturbance import busy_processes
from tests.valid_record import valid_record

__all__ = ["problem_folder", "scratch"]

START = Activity(0.0, 100.0, 5.0, 1.0, 0.0, 3, 2600.0)


def reading(
    machine: str, processes: str, own: dict[int, float], cores: int = 4, **later: float
) -> HostReading:
    return HostReading(machine, processes, replace(START, **later), own, cores, 2000.0)


def made_cluster(nodes: list[tuple[str, str]], answers: list[list[HostReading]]) -> Any:
    """Return a cluster of nodes on (machine, control group) that give these answers in turn."""
    facts = [SimpleNamespace(machine=machine, control=control) for machine, control in nodes]
    machines = list(dict.fromkeys(machine for machine, _ in nodes))
    given = iter(answers)
    return SimpleNamespace(
        facts=facts,
        living=list(range(len(nodes))),
        host_names=lambda: [f"host {machines.index(machine)}" for machine, _ in nodes],
        separate_scheduler=lambda: False,
        run=lambda read: next(given),
    )


def elsewhere() -> HostReading:
    return reading("login", "x", {1: 0.0})


@given(
    own=st.lists(st.floats(0, 3), min_size=2, max_size=2),
    others=st.lists(st.floats(0, 3), min_size=2, max_size=2),
)
def test_of_every_host_what_is_not_ours_is_others(own: list[float], others: list[float]) -> None:
    # Two nodes on the first machine, whose processes have the same numbers in other namespaces.
    before = [reading("a", "1", {7: 1.0}), reading("a", "2", {7: 5.0}), reading("b", "1", {7: 1.0})]
    first = 100.0 + 2 * own[0] + others[0]
    after = [
        reading("a", "1", {7: 1.0 + own[0]}, at=2.0, busy_s=first),
        reading("a", "2", {7: 5.0 + own[0]}, at=2.0, busy_s=first),
        reading("b", "1", {7: 1.0 + own[1]}, at=2.0, busy_s=100.0 + own[1] + others[1]),
    ]
    meter = HostsMeter(
        made_cluster([("a", "g"), ("a", "g"), ("b", "g")], [before, after]), elsewhere
    )
    meter.begin()
    meter.end()
    uses = meter.uses()
    assert [one.host for one in uses] == ["host 0", "host 1"]
    for one, mine, theirs in zip(uses, (2 * own[0], own[1]), others, strict=True):
        assert one.use.own_cores == pytest.approx(mine / 2, abs=1e-4)
        assert one.use.others_cores == pytest.approx(theirs / 2, abs=1e-4)
        assert (one.use.seconds, one.use.cores, one.use.base_megahertz) == (2.0, 4, 2000.0)
    busy = busiest(uses)
    assert busy is not None
    assert busy.others_cores == pytest.approx(max(others) / 2, abs=1e-4)


def test_this_process_is_ours_only_on_a_host_of_nodes() -> None:
    before, after = reading("a", "1", {7: 0.0}), reading("a", "1", {7: 2.0}, at=2.0, busy_s=105.0)
    for machine, others in (("a", 0.0), ("login", 1.5)):
        here = iter([reading(machine, "9", {5: 1.0}), reading(machine, "9", {5: 4.0})])
        meter = HostsMeter(made_cluster([("a", "g")], [[before], [after]]), here.__next__)
        meter.begin()
        meter.end()
        (one,) = meter.uses()
        assert one.use.others_cores == pytest.approx(others)


def test_stops_count_once_for_every_control_group() -> None:
    def answers(stopped: list[float], **later: float) -> list[HostReading]:
        return [reading("a", "1", {7: 0.0}, throttled_s=each, **later) for each in stopped]

    nodes = [("a", "one"), ("a", "one"), ("a", "other")]
    found = made_cluster(nodes, [answers([0.0] * 3), answers([0.5, 0.5, 0.25], at=2.0)])
    meter = HostsMeter(found, elsewhere)
    meter.begin()
    meter.end()
    (one,) = meter.uses()
    assert one.use.throttled_s == pytest.approx(0.75)


def test_warm_up_is_left_out_and_hosts_are_judged_by_their_own_cores() -> None:
    def at(second: float, busy: float) -> list[HostReading]:
        later = {"at": second, "busy_s": busy}
        return [reading("a", "1", {7: second}, **later), reading("b", "1", {7: second}, **later)]

    # Others keep two cores of both hosts busy in the warm-up, and after it one of the second.
    spans = [at(0.0, 100.0), at(2.0, 106.0), at(2.0, 106.0), at(4.0, 108.0)]
    spans[3][1] = reading("b", "1", {7: 4.0}, at=4.0, busy_s=110.0)
    meter = HostsMeter(made_cluster([("a", "g"), ("b", "g")], spans), elsewhere)
    for _ in range(2):
        meter.begin()
        meter.end()
    meter.forget(1)
    uses = meter.uses()
    assert [one.use.others_cores for one in uses] == [0.0, 1.0]
    reason = hosts_disturbance(uses, {"host 0": 1, "host 1": 1})
    assert reason is not None
    assert reason.startswith("host 1: ")
    assert "1.00 of 4 cores" in reason
    assert hosts_disturbance(uses[:1], {"host 0": 4}) is None


def test_a_system_that_says_nothing_is_judged_by_nothing() -> None:
    nothing = Activity(0.0, None, None, None, None, None, None)
    answers = [[HostReading("a", "1", replace(nothing, at=at), {}, 4, None)] for at in (0.0, 1.0)]
    meter = HostsMeter(made_cluster([("a", "g")], answers), elsewhere)
    meter.begin()
    meter.end()
    (one,) = meter.uses()
    assert one.use.others_cores is None
    assert hosts_disturbance((one,), {"host 0": 1}) is None


def test_a_host_without_a_living_node_is_left_out() -> None:
    a, b = reading("a", "1", {7: 0.0}), reading("b", "1", {7: 0.0})
    found = made_cluster([("a", "g"), ("b", "g")], [[a, b], [b]])
    meter = HostsMeter(found, elsewhere)
    meter.begin()
    found.living = [1]
    meter.end()
    assert [one.host for one in meter.uses()] == ["host 1"]


def test_records_of_before_have_no_hosts() -> None:
    text = (
        '{"number": 0, "started": "2026-01-01T00:00:00Z", "warm_up_fits_s": [], "fit_s": [1.0], '
        '"stopped": "repeats"}'
    )
    assert codec.from_json(RunTimes, text, "a run").hosts == ()


def on_processor(model: str) -> ClusterRecord:
    host = HostRecord("host 0", ("node 0",), {"model": model}, {}, {}, {}, [], "Linux")
    return ClusterRecord("slurm", (host,), "path", (), {})


def test_a_run_on_other_processors_is_left_out_and_said() -> None:
    spec = FitSpec("parcels", "ridgecv", scale=1 / 24)
    record = valid_record(spec, ProblemShape("parcels", 60, 8, 5, "float64", "sub-01", 1 / 24))
    record = replace(record, cluster=on_processor("X"))
    assert record.times is not None
    again = RunTimes(1, "2026-01-01T00:00:00Z", (), (7.0,), "repeats")
    found = WorkerResult(
        "ok", times=Times((7.0,), 7.0, None, 0.0, 0.0, None, (again,)), cluster=on_processor("Y")
    )
    kept = add_run(record, found, 1, accept_load=True)
    assert kept.times == record.times
    assert kept.status == "ok"
    (warning,) = kept.warnings
    assert "run 1 was left out" in warning
    assert "had Y, " in warning
    same = replace(found, cluster=on_processor("X"))
    assert other_processors(record, same) is None
    joined = add_run(record, same, 1, accept_load=True)
    assert joined.times is not None
    assert 7.0 in joined.times.fit_s
    assert other_processors(replace(record, cluster=None), found) is None


def test_a_further_run_that_lost_a_node_elsewhere_takes_nothing_back() -> None:
    spec = FitSpec("parcels", "ridgecv", scale=1 / 24)
    record = valid_record(spec, ProblemShape("parcels", 60, 8, 5, "float64", "sub-01", 1 / 24))
    lost = WorkerResult("failed", "node 1 is gone", "NodeLostError")
    there = add_run(replace(record, cluster=on_processor("X")), lost, 1, accept_load=True)
    assert (there.status, there.times) == ("ok", record.times)
    assert "run 1 was left out: node 1 is gone" in there.warnings
    # A node of this machine does not end by itself, and neither does a worker.
    here = add_run(record, lost, 1, accept_load=True)
    assert (here.status, here.times) == ("failed", None)
    crashed = replace(lost, error=None)
    there = add_run(replace(record, cluster=on_processor("X")), crashed, 1, accept_load=True)
    assert there.status == "failed"


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSettings]:
    with running_scheduler(tmp_path_factory.mktemp("dask") / "dask", workers=1) as address:
        wait_for_workers(address, 1)
        yield cluster.parse_cluster(address)


def test_work_of_nodes_is_ours(scheduler: ClusterSettings, tmp_path: Path) -> None:
    with cluster.start(scheduler, 1, 1, scratch=tmp_path) as running:
        node = psutil.Process(running.workers[0].pid)
        meter = HostsMeter(running)
        meter.begin()
        before = sum(node.cpu_times()[:2])
        running.map(sum, [(range(2 * 10**7),)])
        spent = sum(node.cpu_times()[:2]) - before
        meter.end()
        (one,) = meter.uses()
    assert spent > 0.1
    assert one.use.own_cores is not None
    assert one.use.own_cores * one.use.seconds >= spent - 0.03  # counters have ticks of 10 ms


def test_other_work_on_a_nodes_host_disturbs_a_measurement(
    scheduler: ClusterSettings,
    problem_folder: Path,
    scratch: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not Path("/proc/stat").exists():
        pytest.skip("no /proc/stat here")
    monkeypatch.delenv("RIDGEBENCH_ACCEPT_LOAD", raising=False)
    spec = FitSpec(str(problem_folder), "ridgecv", null="skip", repeats=20)
    with busy_processes(1):
        record = measure(spec, store=tmp_path, scratch=scratch, timeout=500, cluster=scheduler)
    assert record.status == "disturbed", record.reason
    assert "host 0: " in (record.reason or "")
    assert record.times is not None
    assert len(record.times.runs) == 2  # it was made again
    for run in record.times.runs:
        (host,) = run.hosts
        assert host.host == "host 0"
        assert run.use == host.use
        assert (host.use.others_cores or 0) > 0.3
        assert run.disturbed
