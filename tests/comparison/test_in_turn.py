"""Records that were measured in turns, A/A pairs, and disturbed ones, in comparisons and tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from bench_core.cli import cli
from bench_core.comparison.cases import in_turn, measured_cases
from bench_core.records import EnvironmentRun, Record, SessionRecord
from bench_core.records.session import SCHEMA_SESSION, SamePair, SessionCase, Tick
from bench_core.records.times import RunTimes
from bench_core.report.answers import find_answers
from bench_core.report.rows import find_issues, rows
from bench_core.report.terminal import print_summary
from tests.comparison.made_runs import keep, make_record

SLOW_THEN_FAST = ((1.0, 1.01, 0.99), (1.5, 1.51, 1.49))


def in_runs(
    runs: tuple[tuple[float, ...], ...],
    *,
    session: str | None = "s1",
    counted: tuple[bool, ...] = (True, True),
    **made: Any,
) -> Record:
    """Return a record of such runs of a session."""
    record = make_record(*(one for run in runs for one in run), **made)
    assert record.times is not None
    found = tuple(
        RunTimes(number, "2026-01-01T00:00:00Z", (9.0,), run, "budget", counted=counts)
        for number, (run, counts) in enumerate(zip(runs, counted, strict=True))
    )
    return replace(record, session=session, times=replace(record.times, runs=found))


def times(runs: tuple[tuple[float, ...], ...], factor: float) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(factor * one for one in run) for run in runs)


def session(*same: SamePair) -> SessionRecord:
    return SessionRecord(
        SCHEMA_SESSION,
        SessionCase("same", "s0"),
        "2026-01-01T00:00:00Z",
        60.0,
        ("env-o",),
        2,
        len(same),
        "env-o",
        (Tick(0.0, 1.0), Tick(60.0, 1.25)),
        same,
    )


def sides(factor: float, name: str | None = "s1") -> list[EnvironmentRun]:
    """Return two environments; every second run was half as slow again in both."""
    found = []
    for environment, library, scale in (("env-m", "mkl", 1.0), ("env-o", "openblas", factor)):
        records = [
            in_runs(times(SLOW_THEN_FAST, scale * n), session=name, library=library, threads=n)
            for n in (1, 2, 4, 8)
        ]
        found.append(EnvironmentRun("here", "aaaaaaaa", environment, list(records)))
    return found


def compared(folder: Path) -> Any:
    done = CliRunner().invoke(
        cli, ["compare", "mkl", "openblas", "--json", "--results", str(folder)]
    )
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_what_slowed_both_sides_of_a_turn_is_no_noise(tmp_path: Path) -> None:
    found = compared(keep(tmp_path / "turns", *sides(1.15)))
    assert found["in_turn"] == 4
    assert {one["verdict"] for one in found["cases"]} == {"slower"}
    assert [one["ratio"] for one in found["cases"]] == pytest.approx([1.15] * 4)
    # The same times without a session: half of them are half as slow again, whatever the library.
    alone = compared(keep(tmp_path / "alone", *sides(1.15, None)))
    assert alone["in_turn"] == 0
    assert {one["verdict"] for one in alone["cases"]} == {"cannot tell"}


def test_pairs_of_the_same_environment_set_the_floor(tmp_path: Path) -> None:
    noisy = [((1.0, 1.0, 1.01), (1.0, 1.0, 0.99)), ((1.4, 1.41, 1.4), (0.8, 0.8, 0.81))]
    quiet = (((1.0, 1.01, 1.0),) * 2, ((1.0, 1.0, 1.01),) * 2)
    floors = {}
    for name, (first, second), disturbed in (
        ("quiet", quiet, None),
        ("noisy", noisy, None),
        ("disturbed", noisy, "load"),
    ):
        pair = SamePair("case", "0" * 20, tuple(first), tuple(second), disturbed)
        runs = sides(1.15)
        runs[1].records.append(session(*[pair] * 9))
        floors[name] = compared(keep(tmp_path / name, *runs))
    assert floors["noisy"]["noise_floor_in_turn"] > 0.3
    assert {one["verdict"] for one in floors["noisy"]["cases"]} == {"cannot tell"}
    assert floors["quiet"]["noise_floor_in_turn"] < 0.05
    assert {one["verdict"] for one in floors["quiet"]["cases"]} == {"slower"}
    assert floors["disturbed"]["noise_floor_in_turn_pairs"] == 8  # of the runs compared, alone


def test_only_runs_that_both_count_are_in_turn() -> None:
    one = in_runs(SLOW_THEN_FAST, counted=(True, False), library="mkl")
    other = in_runs(SLOW_THEN_FAST, library="openblas")
    runs = [
        EnvironmentRun("here", "aaaaaaaa", "env-m", [one]),
        EnvironmentRun("here", "aaaaaaaa", "env-o", [other]),
    ]
    first, second = measured_cases(runs)
    assert in_turn(first, second) == (SLOW_THEN_FAST[:1], SLOW_THEN_FAST[:1])
    apart = measured_cases(
        [runs[0], EnvironmentRun("here", "aaaaaaaa", "env-o", [replace(other, session="s2")])]
    )
    assert in_turn(*apart) is None


def test_a_session_knows_how_far_its_clock_drifted() -> None:
    assert session().drift == pytest.approx(1.25)


def test_the_clock_is_no_case_and_no_answer() -> None:
    clock = [make_record(0.1, suite="clock"), make_record(0.2, suite="clock", threads=2)]
    runs = [EnvironmentRun("here", "aaaaaaaa", "env-o", list(clock))]
    assert measured_cases(runs) == []
    assert find_answers(runs) == []


def test_disturbed_fits_are_in_no_answer_and_are_listed(tmp_path: Path) -> None:
    why = "others used the machine during the fits: others kept 1.9 of 2 cores busy"
    disturbed = [
        replace(
            make_record(0.1, 0.1, 0.1, library="mkl", threads=n), status="disturbed", reason=why
        )
        for n in (1, 2)
    ]
    good = [make_record(1.0, 1.0, 1.1, threads=n) for n in (1, 2)]
    runs = [
        EnvironmentRun(
            "here", "aaaaaaaa", "env-m", [*disturbed, make_record(2.0, library="mkl", threads=4)]
        ),
        EnvironmentRun("here", "aaaaaaaa", "env-o", [*good, make_record(2.1, threads=4)]),
    ]
    assert sorted(row.seconds for row in rows(runs)) == [1.0, 1.0, 2.0, 2.1]
    (answer,) = find_answers(runs)
    assert answer.best.runs == ((1.0, 1.0, 1.1),)
    assert [(one.status, one.count) for one in find_issues(runs)] == [("disturbed", 2)]
    console = Console(width=200, record=True, file=(tmp_path / "out").open("w"))
    print_summary(runs, console)
    assert "1.9 of 2 cores busy" in console.export_text()
    found = compared(keep(tmp_path / "results", *runs))
    assert len(found["cases"]) == 1
    assert len([line for line in found["unpaired"] if "disturbed" in line]) == 2
