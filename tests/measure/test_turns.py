"""Environments measured in turns: order, helpers that die, and one environment with itself."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_core.blas import detect
from bench_core.cluster.settings import LOCAL, MIXED, VARIABLE, parse_cluster
from bench_core.machine import cpu
from bench_core.measure import FitSpec, turns_worker
from bench_core.measure.run import ACCEPT_LOAD
from bench_core.measure.turns import CLOCK_EVERY, SIDES, schedule, take_turns
from bench_core.measure.turns_plan import TurnsPlan, read_plans, same_case, write_plan
from bench_core.measure.turns_worker import measure_run
from bench_core.records import Record, SessionRecord, read, read_folder, write
from bench_core.records.session import SCHEMA_SESSION
from bench_core.records.times import RunTimes
from bench_core.runner.spec import ProblemShape
from tests.cluster.running_scheduler import running_scheduler, wait_for_workers
from tests.valid_record import valid_record

KEYS = st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=10)


@given(sides=st.lists(KEYS, min_size=1, max_size=3), runs=st.integers(1, 4))
def test_every_case_has_its_runs_and_sides_stand_together(
    sides: list[list[str]], runs: int
) -> None:
    turns = list(schedule(sides, runs, clock=False))
    counts = Counter((turn.side, turn.case) for turn in turns)
    assert set(counts.values()) <= {runs}
    assert len(counts) == sum(map(len, sides))
    keys = [sides[turn.side][turn.case or 0] for turn in turns]
    # The sides of a case follow each other: no other case comes between.
    blocks = [key for place, key in enumerate(keys) if place == 0 or keys[place - 1] != key]
    distinct = len({key for side in sides for key in side})
    assert len(blocks) <= runs * distinct
    per_run = len(turns) // runs
    for run in range(1, runs):
        assert (
            turns[run * per_run : (run + 1) * per_run] == turns[:per_run][:: -1 if run % 2 else 1]
        )


def test_the_clock_ticks_through_the_run() -> None:
    keys = [str(number) for number in range(2 * CLOCK_EVERY)]
    turns = list(schedule([keys, keys], 2))
    ticks = [place for place, turn in enumerate(turns) if turn.case is None]
    assert ticks[0] == 0
    assert ticks[-1] == len(turns) - 1
    assert {later - one for one, later in pairwise(ticks)} == {2 * CLOCK_EVERY + 1}


FAKE = """#!{python}
import json, sys
folder = sys.argv[3]
for line in sys.stdin:
    request = json.loads(line)
    with open({log!r}, "a") as log:
        print(folder.rpartition("/")[2], request.get("case"), file=log)
    if request.get("case") == {fatal}:
        sys.exit(1)
    print(json.dumps({{"status": "ok"}}), flush=True)
"""


def fake_plan(
    session: Path, name: str, cases: list[FitSpec], log: Path, fatal: int = -1
) -> dict[Path, TurnsPlan]:
    """Return a plan whose Python only notes what it was asked."""
    folder = session / name
    folder.mkdir(parents=True)
    program = folder / "python"
    program.write_text(FAKE.format(python=sys.executable, log=str(log), fatal=fatal))
    program.chmod(0o755)
    return {folder: TurnsPlan(name, str(program), {}, tuple(cases), None, 2)}


def test_environments_take_turns_and_a_helper_that_dies_is_replaced(tmp_path: Path) -> None:
    cases = [FitSpec("parcels", "ridgecv", threads=n, suite="threads") for n in (1, 2)]
    other = [FitSpec("parcels", "bmor", suite="nodes", blas="mkl")]
    log = tmp_path / "asked"
    plans = fake_plan(tmp_path, "a", cases, log, fatal=1)
    theirs = [*other, *(replace(one, blas="mkl") for one in cases)]
    plans |= fake_plan(tmp_path, "b", theirs, log)
    said: list[str] = []
    record = take_turns(plans, "s", log=tmp_path / "log", say=said.append, wanted="threads".__eq__)
    asked = [line.split() for line in log.read_text().splitlines()]
    assert asked == [
        *(["a", "0"], ["b", "1"], ["a", "1"], ["b", "2"]),
        *(["b", "2"], ["a", "1"], ["b", "1"], ["a", "0"]),
        *(["a", "None"], ["b", "None"]),  # the session's record
    ]
    assert len(said) == 1
    assert "ridgecv" in said[0]
    assert (record.cases, record.runs, record.environments) == (2, 2, ("a", "b"))


def test_a_plan_is_what_its_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASV_ENV_NAME", "env-a")
    monkeypatch.setenv("RIDGEBENCH_BLAS", "openblas")
    monkeypatch.setenv("SECRET", "1")
    case = FitSpec("parcels", "ridgecv", alphas=(1.0, 2.0))
    folder = tmp_path / "env-a"
    folder.mkdir()
    write_plan(folder, [case], None, 3, ["^a"])
    (plan,) = read_plans(tmp_path).values()
    assert (plan.environment, plan.executable, plan.runs) == ("env-a", sys.executable, 3)
    assert plan.variables["RIDGEBENCH_BLAS"] == "openblas"
    assert "SECRET" not in plan.variables
    assert plan.cases == (case,)
    assert same_case(plan.cases[0]) == same_case(case)


def test_an_environment_with_itself_gives_pairs(
    problem_folder: Path, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a real helper: both sides, and the reference before and after them as the clock."""
    monkeypatch.setenv("RIDGEBENCH_SCRATCH", str(scratch))
    monkeypatch.setenv("RIDGEBENCH_RECORDS", str(tmp_path / "records"))
    monkeypatch.setenv(ACCEPT_LOAD, "1")  # other tests run beside this one
    case = FitSpec(str(problem_folder), "ridgecv", null="skip", repeats=3, suite="threads")
    reference = FitSpec(str(problem_folder), "ridgecv", null="skip", repeats=2, suite="clock")
    folder = tmp_path / "session" / "env-a"
    folder.mkdir(parents=True)
    monkeypatch.setenv("ASV_ENV_NAME", "env-a")
    write_plan(folder, [case], reference, 1)
    found = take_turns(read_plans(folder.parent), "s1", log=tmp_path / "log", say=print, same=True)
    (pair,) = found.same
    assert pair.disturbed is None
    assert [len(run) for run in pair.first] == [3]
    assert [len(run) for run in pair.second] == [3]
    assert len(found.clock) == 2
    assert found.drift is not None
    assert found.drift >= 1
    first, second = (read(Record, folder / side / f"{case.stem}.json") for side in SIDES)
    assert first.session == second.session == "s1"
    assert first.times is not None
    assert second.times is not None
    assert first.times.fit_s == pair.first[0]
    clock = read(Record, folder / f"{reference.stem}.json")
    assert clock.times is not None
    assert [one.number for one in clock.times.runs] == [0, 1]
    assert len(clock.times.fit_s) == 2 * sum(one.counted for one in clock.times.runs)
    assert first.agreement is not None
    assert first.agreement.agrees
    (published,) = (tmp_path / "records").glob("env-a/*")
    kept = read_folder(published)
    assert not kept.problems
    kinds = Counter(type(one) for one in kept.records)
    # Sides are no records of their own; the reference is.
    assert kinds == {SessionRecord: 1, Record: 1}
    (session,) = (one for one in kept.records if isinstance(one, SessionRecord))
    assert session == found
    assert json.loads((published / "session-same-s1.json").read_text())["schema"] == SCHEMA_SESSION


def test_turns_are_taken_on_a_cluster(
    problem_folder: Path, scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a real helper and a real scheduler: every run on its nodes, and judged on their host.

    The nodes differ where this machine's OpenBLAS has other kernels, which the suites accept.
    """
    monkeypatch.setenv("RIDGEBENCH_SCRATCH", str(scratch))
    monkeypatch.setenv("RIDGEBENCH_RECORDS", str(tmp_path / "records"))
    monkeypatch.setenv(ACCEPT_LOAD, "1")
    monkeypatch.setenv("ASV_ENV_NAME", "env-a")
    monkeypatch.setenv(MIXED, "1")
    mixed = detect().numpy.name == "openblas" and "avx2" in cpu().features
    other = [{"OPENBLAS_CORETYPE": "Sandybridge"}] * mixed
    with running_scheduler(tmp_path / "dask", workers=2, variables=other) as address:
        wait_for_workers(address, 2)
        settings = parse_cluster(address)
        monkeypatch.setenv(VARIABLE, settings.source)
        case = FitSpec(
            str(problem_folder), "bmor", nodes=2, null="skip", split="run", cluster=settings.label
        )
        folder = tmp_path / "session" / "env-a"
        folder.mkdir(parents=True)
        write_plan(folder, [case], None, 2)
        found = take_turns(read_plans(folder.parent), "s1", log=tmp_path / "log", say=print)
    record = read(Record, folder / f"{case.stem}.json")
    assert (record.status, record.reason, record.session) == ("ok", None, "s1")
    assert (found.runs, found.cases) == (2, 1)
    assert record.case.cluster == settings.label
    assert record.cluster is not None
    assert record.cluster.kind == "scheduler"
    assert bool(record.cluster.differences) == mixed
    assert record.times is not None
    assert [one.number for one in record.times.runs] == [0, 1]
    assert [[one.host for one in run.hosts] for run in record.times.runs] == [["host 0"]] * 2
    (published,) = (tmp_path / "records").glob("env-a/*")
    assert {type(one) for one in read_folder(published).records} == {SessionRecord, Record}


def test_an_interrupted_sweep_keeps_cases_with_all_their_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = FitSpec("parcels", "ridgecv", scale=1 / 24, split="random", suite="threads")
    shape = ProblemShape("parcels", 2883, 680, 18, "float64", "sub-01", 1 / 24)
    before = replace(valid_record(spec, shape), session="before")
    assert before.times is not None
    one = RunTimes(0, "2026-01-01T00:00:00Z", (), before.times.fit_s, "repeats", None, None, True)
    times = replace(before.times, runs=(one, replace(one, number=1)))
    path = write(replace(before, times=times), tmp_path / f"{spec.stem}.json")
    assert measure_run(spec, tmp_path, "now", 2).session == "before"
    asked = []

    def measured(spec: FitSpec, *, store: Path, again: bool, cluster: object) -> Record:
        asked.append(again)
        assert cluster == LOCAL
        return replace(before, session=None)

    monkeypatch.setattr(turns_worker, "measure", measured)
    assert measure_run(spec, tmp_path, "now", 3).session == "now"
    assert asked == [True]
    assert read(Record, path).session == "now"
