"""Sweeps that are interrupted: what was measured is kept, and the next goes on with the rest."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from bench_core.data import shape
from bench_core.errors import InputError
from bench_core.interruption import TerminatedError
from bench_core.measure import FitSpec, measure, publish, seed_session
from bench_core.measure.resume import RESUME
from bench_core.measure.sweep_plan import plan_rows, plan_suites
from bench_core.records import Record, read_folder
from bench_core.records.store import RECORDS, records_folder
from bench_core.report.run_monitor import watch
from bench_core.report.runs import collect, read_runs
from bench_core.report.sweep import begin_sweep, count_records, end_sweep, unfinished_sweep
from bench_core.runner.spec import ProblemShape
from tests.valid_record import valid_record

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
    params = ([1024],)
    param_names = ("size",)

    @classmethod
    def reason_to_skip(cls, size: int) -> None:
        return None


def test_a_plan_has_every_case_with_its_bytes_and_what_becomes_of_it() -> None:
    plan = plan_suites([Small, Again, Other])
    assert plan.left_out == Counter({("small", "ridgecv has one node"): 2})
    assert [case.suite for case in plan.cases] == [*["small"] * 4, "again", "other"]
    size = shape("parcels", scale=1 / 24)
    first, *_, beyond, again, other = plan.cases
    assert first.data_bytes == 8 * size.t * (size.p + size.s)
    assert first.needed_bytes is not None
    assert first.needed_bytes > 8 * (size.t * 0.9) * (size.p + size.s)
    assert "100" in str(beyond.reason)
    assert again.key == first.key
    assert (other.data_bytes, other.needed_bytes, other.reason) == (None, None, None)
    fates = [row[-1] for row in plan_rows(plan)]
    assert fates[0] == "runs"
    assert fates[3].startswith("skipped: ")
    assert fates[4:] == ["measured above", "runs"]
    runs = [case for case in plan.cases if case.reason is None]
    assert plan.runs == len(runs) - 1
