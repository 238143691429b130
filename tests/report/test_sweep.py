"""Sweeps that are interrupted: what was measured is kept, and the next goes on with the rest."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from click.testing import CliRunner
from rich.console import Console

from bench_core import strategies
from bench_core.cli import cli
from bench_core.cluster.settings import LOCAL
from bench_core.data import shape
from bench_core.errors import InputError
from bench_core.interruption import TerminatedError
from bench_core.measure import FitSpec, measure, publish, seed_session
from bench_core.measure.resume import RESUME
from bench_core.measure.sweep_plan import SweepPlan, left_out_lines, plan_rows, plan_suites
from bench_core.measure.sweep_times import choose_calibration, timed_seconds, with_times
from bench_core.records import Record, SkippedSets, from_json, read_folder, to_json
from bench_core.records.case import Until
from bench_core.records.store import RECORDS, records_folder
from bench_core.report.run_monitor import watch
from bench_core.report.runs import collect, read_runs
from bench_core.report.sweep import begin_sweep, count_records, end_sweep, unfinished_sweep
from bench_core.runner.spec import ProblemShape
from bench_core.runner.timing import timed_fits
from bench_core.scaling.calibration import read_calibration
from bench_core.scaling.prediction import predict
from tests.valid_record import valid_record

ROOT = Path(__file__).parents[2]
SHAPE = ProblemShape("parcels", 2883, 680, 18, "float64", "sub-01", 1 / 24)


def made(strategy: str) -> tuple[FitSpec, Record]:
    spec = FitSpec("parcels", strategy, scale=1 / 24, suite="threads", split="random")
    return spec, valid_record(spec, SHAPE)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Publish a valid and a failed record, and return the folder of all environments' records."""
    monkeypatch.setenv(RECORDS, str(tmp_path / "records"))
    monkeypatch.delenv(RESUME, raising=False)
    _, good = made("ridgecv")
    _, bad = made("bmor")
    publish(good)
    publish(replace(bad, status="failed", reason="node 1 was killed by SIGKILL", times=None))
    return tmp_path / "records"


def test_a_session_that_goes_on_has_the_valid_records(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = tmp_path / "session"
    session.mkdir()
    assert seed_session(session) == 0
    monkeypatch.setenv(RESUME, str(time.time() + 1000))
    assert seed_session(session) == 0
    monkeypatch.setenv(RESUME, "1")
    assert seed_session(session) == 1
    spec, good = made("ridgecv")
    # A scratch folder that cannot be made: nothing may be measured.
    assert measure(spec, store=session, scratch=Path("/dev/null/nowhere")).key == good.key
    assert [one.key for one in read_folder(session).records] == [good.key]
    monkeypatch.setenv(RESUME, "yes")
    with pytest.raises(InputError, match="'yes'"):
        seed_session(session)


def test_the_same_sweep_goes_on_and_another_begins(tmp_path: Path, published: Path) -> None:
    asked = ("here", "small", ["--bench", "threads"], "c0ffee")
    first, goes_on = begin_sweep(tmp_path, *asked, again=False)
    assert not goes_on
    assert begin_sweep(tmp_path, *asked, again=False) == (first, True)
    assert unfinished_sweep(tmp_path) == first
    assert count_records(published, first.since + 1000) == {}
    assert sum(count_records(published, 0).values()) == 1
    for other in (("here", "full", *asked[2:]), (*asked[:3], "decaf"), ("there", *asked[1:])):
        begin_sweep(tmp_path, *asked, again=True)
        assert not begin_sweep(tmp_path, *other, again=False)[1]
    newer, goes_on = begin_sweep(tmp_path, *asked, again=True)
    assert (goes_on, newer.since >= first.since) == (False, True)
    end_sweep(tmp_path)
    assert unfinished_sweep(tmp_path) is None


def test_records_reach_the_results_as_they_are_made(published: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    kept = []

    def keep() -> None:
        kept.append(collect(published, results, "here"))

    with watch(published, Console(file=(tmp_path / "said").open("w")), 0.01, keep):
        publish(made("multitarget")[1])
        limit = time.monotonic() + 60
        while not kept and time.monotonic() < limit:
            time.sleep(0.01)
        (run,) = read_runs(results, "here")
        strategies = {one.case.strategy: one.status for one in run.fits}
        assert strategies == {"ridgecv": "ok", "bmor": "failed", "multitarget": "ok"}
    assert records_folder() is not None


FAKE_ASV = """
import os, subprocess
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
print(os.getpid(), child.pid, flush=True)
child.wait()
"""


@pytest.mark.timeout(60)
def test_an_interrupted_asv_ends_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("asv", reason="asv is not installed (extra: bench)")
    from bench_core.report.site import Project, asv

    (tmp_path / "site" / "asv").mkdir(parents=True)
    (tmp_path / "site" / "asv" / "__init__.py").touch()
    (tmp_path / "site" / "asv" / "__main__.py").write_text(FAKE_ASV)
    started: list[psutil.Process] = []

    def interrupt(line: str) -> None:
        started.extend(psutil.Process(int(pid)) for pid in line.split())
        raise TerminatedError(15)

    project = Project(tmp_path, tmp_path / "results", tmp_path / "html", tmp_path / "benchmarks")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    with pytest.raises(TerminatedError):
        asv(project, "run", environment=environment, say=interrupt)
    assert len(started) == 2
    assert psutil.wait_procs(started, timeout=10)[1] == []


class Small:
    suite = "small"
    params = (["ridgecv", "bmor"], [1, 2, 100])
    param_names = ("strategy", "nodes")

    @classmethod
    def reason_to_skip(cls, strategy: str, nodes: int) -> str | None:
        return "ridgecv has one node" if strategy == "ridgecv" and nodes > 1 else None

    def case(self, strategy: str, nodes: int) -> FitSpec:
        return FitSpec("parcels", strategy, scale=1 / 24, nodes=nodes)


class Again(Small):
    suite = "again"
    params = (["ridgecv"], [1])


class Other:
    suite = "other"
    in_turn = False
    params = ([1024],)
    param_names = ("size",)

    @classmethod
    def reason_to_skip(cls, size: int) -> None:
        return None


def test_a_plan_has_every_case_with_its_bytes_and_what_becomes_of_it() -> None:
    plan, costs = plan_suites([Small, Again, Other], runs=2)
    assert plan.left_out == (SkippedSets("small", "ridgecv has one node", 2),)
    assert [case.suite for case in plan.cases] == [*["small"] * 4, "again", "other"]
    size = shape("parcels", scale=1 / 24)
    first, batches, *_, beyond, again, other = plan.cases
    assert first.data_bytes == 8 * size.t * (size.p + size.s)
    assert first.needed_bytes is not None
    assert first.needed_bytes > 8 * (size.t * 0.9) * (size.p + size.s)
    assert "100" in str(beyond.reason)
    assert again.key == first.key
    assert (other.data_bytes, other.needed_bytes, other.reason) == (None, None, None)
    samples = size.t  # split by run: at most all
    assert first.read_bytes == 8 * samples * (size.p + size.s)
    assert first.moved_bytes == 0
    assert batches.text.endswith("bmor 1 × 1")
    two = next(case for case in plan.cases if case.text.endswith("bmor 2 × 1"))
    assert two.read_bytes == 8 * samples * (2 * size.p + size.s)
    assert (two.moved_bytes or 0) > 0
    assert {case.runs for case in plan.cases} == {2, 1}
    assert other.runs == 1
    fates = [row[-1] for row in plan_rows(plan)]
    assert fates[0] == "runs"
    assert fates[3].startswith("skipped: ")
    assert fates[4:] == ["measured above", "runs"]
    runs = [case for case in plan.cases if case.reason is None]
    assert plan.runs == len(runs) - 1 == len(plan.measured)
    assert plan.problem_bytes == first.data_bytes
    assert plan.read_bytes == sum(case.read_bytes or 0 for case in plan.measured)
    assert [one.spec is None for one in costs] == [*[False] * 5, True]
    assert from_json(SweepPlan, to_json(plan), "the plan") == plan


def test_a_plan_for_nodes_elsewhere_has_what_they_are_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cluster = tmp_path / "hosts.toml"
    cluster.write_text(
        f'kind = "ssh"\nhosts = ["a", "b"]\ncores = 2\ninterface = "lo"\nscratch = "{tmp_path}"\n',
        encoding="utf-8",
    )
    monkeypatch.setenv("RIDGEBENCH_CLUSTER", str(cluster))
    plan, _ = plan_suites([Small], runs=1)
    size = shape("parcels", scale=1 / 24)
    sent = {case.text.partition("float64 ")[2]: case.sent_bytes for case in plan.cases}
    assert sent["ridgecv 1 × 1"] is None
    once = size.t * (size.p + size.s) + size.s * size.p
    assert sent["bmor 1 × 1"] == 8 * once
    assert sent["bmor 2 × 1"] == 8 * (once + size.t * size.p)
    assert all(len(row) == 8 for row in plan_rows(plan))
    assert from_json(SweepPlan, to_json(plan), "the plan") == plan


def test_a_plan_has_what_is_selected_and_counts_the_rest() -> None:
    plan, _ = plan_suites(
        [Small, Other],
        selection=("bmor",),
        select=lambda suite, parameters: suite is Small and parameters[0] == "bmor",
    )
    assert {case.suite for case in plan.cases} == {"small"}
    assert len(plan.cases) == 3
    assert (plan.left_out, plan.not_selected, plan.selection) == ((), 2, ("bmor",))
    (line,) = left_out_lines(plan)
    assert "--bench bmor" in line


TABLE = read_calibration("xeon-6130-mkl")
ENVIRONMENTS = ["RIDGEBENCH_BLAS=mkl", "RIDGEBENCH_BLAS=openblas"]


def timed_plan(**more: Any) -> SweepPlan:
    plan, costs = plan_suites([Small, Again, Other], runs=3)
    given = {"machine": "here", "cluster": LOCAL, **more}
    return with_times(plan, costs, ENVIRONMENTS, {Path("mkl.json"): TABLE}, **given)


def test_times_are_predicted_by_the_calibration_of_the_environment() -> None:
    plan = timed_plan()
    first, *_, beyond, again, other = plan.cases
    size = shape("parcels", scale=1 / 24)
    cost = strategies.get("ridgecv")().cost(size.t, size.p, size.s)
    assert cost is not None
    expected = predict(cost, TABLE, 1)
    (time,) = first.times
    assert time.environment == ENVIRONMENTS[0]
    assert (time.fit_s, time.low_s, time.high_s) == pytest.approx(
        (expected.seconds, expected.low, expected.high)
    )
    assert time.case_s == pytest.approx(3 * expected.seconds)  # one repeat in each of three runs
    assert beyond.times == other.times == ()
    assert again.times
    two = next(case for case in plan.cases if case.text.endswith("bmor 2 × 1"))
    (time,) = two.times
    start = TABLE.start_s + TABLE.start_node_s
    assert time.case_s == pytest.approx(3 * (time.fit_s + start))
    with_it, without = plan.environments
    assert (with_it.blas, with_it.calibration, with_it.why_not) == ("mkl", "mkl.json", None)
    assert with_it.seconds == pytest.approx(
        sum(each.case_s for case in plan.measured for each in case.times)
    )
    assert "mkl" in (with_it.calibrated or "")
    assert (without.blas, without.calibration, without.seconds) == ("openblas", None, None)
    assert "openblas" in (without.why_not or "")
    assert from_json(SweepPlan, to_json(plan), "the plan") == plan


def test_a_calibration_of_this_machine_is_none_of_a_cluster() -> None:
    machine = replace(TABLE.machine, name="site")
    here, there = TABLE, replace(TABLE, machine=machine)
    both = {Path("a.json"): here, Path("b.json"): there}
    assert choose_calibration("mkl", both, "site") == (Path("b.json"), None)
    assert choose_calibration("mkl", both, "other") == (Path("a.json"), None)
    assert choose_calibration("mkl", both, "site", elsewhere=True) == (Path("b.json"), None)
    path, reason = choose_calibration("mkl", both, "other", elsewhere=True)
    assert path is None
    assert "other" in (reason or "")
    assert choose_calibration(None, both, "site")[0] == Path("b.json")
    other = replace(TABLE, blas=replace(TABLE.blas, name="blis"))
    assert choose_calibration(None, {**both, Path("c.json"): other}, "site")[0] is None


@pytest.mark.parametrize(
    ("fit_s", "repeats", "until"),
    [
        (2.0, 1, None),
        (2.0, 4, None),
        (100.0, 5, None),  # no fit is begun after three minutes
        (0.5, 3, Until(0.05, 20.0)),
        (0.5, 1, Until(0.05, 20.0)),
        (9.0, 3, Until(0.05, 20.0)),
        (30.0, 2, Until(0.05, 20.0)),
    ],
)
def test_the_time_of_a_run_is_that_of_fits_that_do_not_vary(
    fit_s: float, repeats: int, until: Until | None
) -> None:
    spec = FitSpec("parcels", "ridgecv", repeats=repeats, until=until)

    class Model:
        def fit(self, X: object, Y: object) -> None:
            now[0] += fit_s

    now = [0.0]
    problem: Any = SimpleNamespace(X=None, Y=None)
    timed_fits(Model, problem, repeats, until=until, clock=lambda: now[0])
    assert timed_seconds(spec, fit_s) == pytest.approx(now[0])


def test_bench_plan_shows_what_is_selected_and_prints_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("asv", reason="asv is not installed (extra: bench)")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RIDGEBENCH_PROFILE", "small")
    monkeypatch.chdir(ROOT)
    pattern = r"threads\.Threads\.track_time\('parcels', 1, "
    asked = ["bench", "--plan", "--profile", "small", "--machine", "made"]
    done = CliRunner().invoke(cli, [*asked, "--json", "--", "--bench", pattern])
    assert done.exit_code == 0, done.output
    plan = from_json(SweepPlan, done.stdout, "the output")
    assert (plan.profile, plan.selection, plan.cluster) == ("small", (pattern,), "local")
    (case,) = plan.cases
    assert (case.suite, case.runs) == ("threads", 2)
    assert case.text.startswith("parcels 1/24")
    assert plan.not_selected > 1
    assert {one.blas for one in plan.environments} == {"openblas", "mkl"}
    shown = CliRunner().invoke(cli, [*asked, "--", "--bench", pattern])
    assert shown.exit_code == 0, shown.output
    for one in plan.environments:
        assert one.name in shown.stdout
    assert CliRunner().invoke(cli, ["bench", "--json"]).exit_code == 2
