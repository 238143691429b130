"""How two runs of one machine agree: planted ratios and winners."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from bench_core.cli import cli
from bench_core.comparison.cases import measured_cases
from bench_core.comparison.pairing import pair
from bench_core.comparison.two_runs import TwoRuns, Winner, two_runs, two_runs_text
from bench_core.records import EnvironmentRun
from tests.comparison.made_runs import keep, make_record

REPEATS = (1.0, 1.01, 0.99, 1.02, 0.98)
THREADS = (1, 2, 4, 8)


def _run(commit: str, library: str, *factors: float, machine: str = "here") -> EnvironmentRun:
    """Return a run whose times are ``factors``, for 1, 2, 4 and 8 threads."""
    records = [
        make_record(
            *(factor * time for time in REPEATS),
            library=library,
            started=f"2026-01-01T00:00:0{commit[0]}Z",
            threads=threads,
        )
        for threads, factor in zip(THREADS, factors, strict=True)
    ]
    return EnvironmentRun(machine, commit, f"env-{library}", records)


def _agreement(*runs: EnvironmentRun) -> tuple[TwoRuns, ...]:
    measured = measured_cases(runs)
    return two_runs(pair(measured, "commit", "1aaaaaaa", "2bbbbbbb"), measured, runs)


def test_medians_that_differ_are_counted_either_way() -> None:
    (found,) = _agreement(
        _run("1aaaaaaa", "openblas", 1.0, 2.0, 3.0, 4.0),
        _run("2bbbbbbb", "openblas", 1.05, 2.3, 3 * 0.85, 5.0),
    )
    assert found.ratios == pytest.approx((1.05, 1.15, 0.85, 1.25))
    assert (found.beyond(0.1), found.beyond(0.2)) == (3, 1)
    assert found.share(0.1) == 0.75
    assert found.winners == ()
    assert (found.machine, found.first, found.second) == ("here", "1aaaaaaa", "2bbbbbbb")


def test_winners_that_flip_are_counted() -> None:
    (found,) = _agreement(
        _run("1aaaaaaa", "mkl", 1.0, 1.0, 1.0, 1.0),
        _run("1aaaaaaa", "openblas", 3.0, 3.0, 3.0, 0.3),
        _run("2bbbbbbb", "mkl", 1.0, 1.0, 1.0, 1.0),
        _run("2bbbbbbb", "openblas", 3.0, 3.0, 0.3, 0.3),
    )
    by_case = {one.case.rpartition("×")[2]: one for one in found.winners}
    assert [by_case[name].flips for name in "1248"] == [False, False, True, False]
    assert {one.called for one in found.winners} == {True}
    assert (found.called, found.flips, found.contradicted) == (4, 1, 1)
    assert by_case["4"].verdicts == ("slower", "faster")
    assert by_case["4"].ratios == pytest.approx((3.0, 0.3))
    assert {(one.first.split()[0], one.second.split()[0]) for one in found.winners} == {
        ("mkl", "openblas")
    }


def test_a_winner_of_one_run_alone_is_contradicted_where_the_other_is_slower_with_it() -> None:
    assert Winner("", "a", "b", (0.5, 1.02), ("faster", "cannot tell")).contradicted
    assert not Winner("", "a", "b", (0.5, 0.98), ("faster", "no difference")).contradicted
    assert not Winner("", "a", "b", (0.9, 1.1), ("cannot tell", "cannot tell")).contradicted
    assert not Winner("", "a", "b", (0.5, 1.02), ("faster", "cannot tell")).called


def test_machines_are_told_apart_and_one_with_one_commit_is_left_out() -> None:
    here = [_run(commit, "openblas", 1, 1, 1, 1) for commit in ("1aaaaaaa", "2bbbbbbb")]
    there = [
        _run("1aaaaaaa", "openblas", 1, 1, 1, 1, machine="there"),
        _run("2bbbbbbb", "openblas", 2, 2, 2, 2, machine="there"),
        _run("2bbbbbbb", "openblas", 2, 2, 2, 2, machine="elsewhere"),
    ]
    found = {one.machine: one for one in _agreement(*here, *there)}
    assert list(found) == ["here", "there"]
    assert [one.beyond(0.1) for one in found.values()] == [0, 4]


def test_cases_that_a_run_timed_once_are_counted_apart() -> None:
    def run(commit: str, *times: tuple[float, ...]) -> EnvironmentRun:
        made = [make_record(*own, threads=k) for k, own in zip(THREADS, times, strict=False)]
        return EnvironmentRun("here", commit, "env-mkl", made)

    twice, once = (1.0, 1.0), (1.0,)
    (found,) = _agreement(
        run("1aaaaaaa", twice, once, twice, once),
        run("2bbbbbbb", (1.3, 1.3), (9.0,), (9.0,), (9.0, 9.0)),
    )
    assert (found.ratios, found.timed_once) == (pytest.approx((1.3,)), 3)
    (found,) = _agreement(run("1aaaaaaa", once), run("2bbbbbbb", once))
    assert (found.ratios, found.winners, found.timed_once, found.share(0.1)) == ((), (), 1, 0)
    assert "1 case timed once" in two_runs_text(found)


@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=20))
def test_the_order_of_the_runs_does_not_matter(ratios: list[float]) -> None:
    one = TwoRuns("here", "a", "b", tuple(ratios), ())
    other = TwoRuns("here", "b", "a", tuple(1 / ratio for ratio in ratios), ())
    for margin in (0.1, 0.2, 0.3):
        near = sum(abs(max(r, 1 / r) - 1 - margin) < 1e-9 for r in ratios)
        assert abs(one.beyond(margin) - other.beyond(margin)) <= near


def test_the_command_says_how_two_commits_agree(tmp_path: Path) -> None:
    runs = [
        _run("1aaaaaaa", "mkl", 1.0, 1.0, 1.0, 1.0),
        _run("1aaaaaaa", "openblas", 3.0, 3.0, 3.0, 3.0),
        _run("2bbbbbbb", "mkl", 1.0, 1.0, 1.0, 1.3),
        _run("2bbbbbbb", "openblas", 3.0, 3.0, 3.0, 3.0),
    ]
    folder = keep(tmp_path, *runs)
    words = ["compare", "--commit", "1aaa", "2bbb", "--results", str(folder)]
    done = CliRunner().invoke(cli, [*words, "--json"])
    (found,) = json.loads(done.stdout)["two_runs"]
    assert found == {
        "machine": "here",
        "commits": ["1aaaaaaa", "2bbbbbbb"],
        "cases": 8,
        "timed_once": 0,
        "beyond": {"0.1": 1, "0.2": 1},
        "winners": {"compared": 4, "called": 4, "flips": 0, "contradicted": 0},
    }
    (agreement,) = _agreement(*runs)
    text = " ".join(CliRunner().invoke(cli, words).stdout.split())
    assert two_runs_text(agreement) in text
    of_environments = ["compare", "mkl", "openblas", "--results", str(folder), "--json"]
    others = CliRunner().invoke(cli, of_environments)
    assert json.loads(others.stdout)["two_runs"] == []
