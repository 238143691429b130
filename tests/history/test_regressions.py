"""What is a regression in the history of records, and the command that says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner, Result

from bench_core.cli import cli
from bench_core.errors import UnknownNameError
from bench_core.history.atom import as_atom
from bench_core.history.commits import Commit, CommitOrder, order_commits
from bench_core.history.reading import read_regressions
from bench_core.history.regressions import Regressions, find_regressions
from bench_core.history.series import CaseHistory, case_histories
from bench_core.history.texts import as_markdown
from bench_core.records import EnvironmentRun
from tests.comparison.made_runs import keep
from tests.history.made_history import made_commits, record_at, runs_of

COMMITS = [f"{number:08x}" + 32 * "0" for number in range(1, 21)]
ORDER = CommitOrder(tuple(Commit(one[:8], one) for one in COMMITS), ())
NOISE = np.exp(np.random.default_rng(0).normal(0, 0.03, (20, 4)))


def _found(runs: list[EnvironmentRun]) -> Regressions:
    return find_regressions(case_histories(runs), ORDER)


def _seconds(number: int, case: int, step: float = 1.0, at: int = 12) -> float:
    return float(2 * NOISE[number, case] * (step if number >= at else 1))


def _slow(step: float = 1.3, **rest: object) -> list[EnvironmentRun]:
    """Return twenty commits of four thread counts, of which two threads slow down at one."""
    return runs_of(
        COMMITS,
        [
            [
                record_at(commit, _seconds(n, case, step if threads == 2 else 1.0), threads=threads)
                for case, threads in enumerate((1, 2, 4, 8))
            ]
            for n, commit in enumerate(COMMITS)
        ],
    )


@pytest.mark.parametrize(("step", "kind"), [(1.3, "worse"), (1 / 1.3, "better")])
def test_a_step_has_its_commits_its_size_and_its_direction(step: float, kind: str) -> None:
    found = _found(_slow(step))
    by_figure = {one.figure.name: one for one in found.changes if one.figure is not None}
    assert set(by_figure) == {
        "time",
        "inverse speed-up",
        "inverse distributed speed-up",
    }
    assert {one.kind for one in found.changes} == {kind}
    for one in by_figure.values():
        assert one.case.endswith("1×2")
        assert one.first.full <= COMMITS[12] <= one.last.full
        assert one.after.full < one.first.full
        assert one.interval is not None
        assert one.interval[0] < np.log(step) < one.interval[1]
    assert by_figure["time"].before == pytest.approx(2, rel=0.05)
    assert by_figure["time"].now == pytest.approx(2 * step, rel=0.05)


def test_both_times_doubled_leave_the_speed_up_alone() -> None:
    runs = runs_of(
        COMMITS,
        [
            [
                record_at(one, _seconds(n, 0, 2.0), threads=1),
                record_at(one, 0.6 * _seconds(n, 1, 2.0), threads=2),
            ]
            for n, one in enumerate(COMMITS)
        ],
    )
    found = _found(runs)
    assert {one.figure.name for one in found.changes if one.figure is not None} == {"time"}
    assert len(found.changes) == 2


def _accuracy(**values: list[float]) -> Regressions:
    runs = [
        [record_at(one, _seconds(n, 0), **{name: series[n] for name, series in values.items()})]
        for n, one in enumerate(COMMITS)
    ]
    return _found(runs_of(COMMITS, runs))


def test_r_falling_alarms_at_once() -> None:
    (one,) = _accuracy(r=[0.25] * 19 + [0.18]).changes
    assert one.figure is not None
    assert (one.kind, one.figure.name, one.last.full) == ("worse", "mean r", COMMITS[19])
    assert one.size == pytest.approx(-0.07)
    (one,) = _accuracy(r=[0.18] * 10 + [0.25] * 10).changes
    assert one.kind == "better"
    assert _accuracy(r=[0.25, 0.2501] * 10).changes == ()


@pytest.mark.parametrize(
    ("worst", "kinds"),
    [
        ([1e-14] * 10 + [2e-14] * 10, []),
        ([1e-14, 9e-14] * 10, []),
        ([1e-12] * 10 + [2e-12] * 10, []),
        ([1e-14] * 10 + [1e-10] * 10, ["worse"]),
        ([1e-14] * 19 + [1e-9], ["worse"]),
        ([1e-9] * 10 + [1e-13] * 10, ["better"]),
    ],
)
def test_disagreement_counts_in_powers_of_ten_above_rounding(
    worst: list[float], kinds: list[str]
) -> None:
    assert [one.kind for one in _accuracy(worst=worst).changes] == kinds


def test_memory_that_grows_alarms() -> None:
    (one,) = _accuracy(memory=[2**30] * 10 + [int(1.2 * 2**30)] * 10).changes
    assert one.figure is not None
    assert (one.kind, one.figure.name) == ("worse", "memory")
    assert one.now == pytest.approx(1.2 * 2**30)


@pytest.mark.parametrize("status", ["invalid", "skipped", "failed"])
def test_a_case_that_breaks_is_a_regression_and_mended_it_is_none(status: str) -> None:
    def runs(broken: range) -> list[EnvironmentRun]:
        records = [
            [
                record_at(one, _seconds(n, 0), status=status, reason="boom")
                if n in broken
                else record_at(one, _seconds(n, 0))
            ]
            for n, one in enumerate(COMMITS)
        ]
        return runs_of(COMMITS, records)

    (one,) = _found(runs(range(15, 20))).changes
    assert (one.kind, one.reason, one.is_regression) == ("broken", f"{status}: boom", True)
    assert (one.after.full, one.first.full) == (COMMITS[14], COMMITS[15])
    mended, broken = _found(runs(range(15, 17))).changes
    assert (mended.kind, mended.first.full) == ("mended", COMMITS[17])
    assert (broken.undone, broken.is_regression) == (True, False)
    assert _found(runs(range(0, 20))).changes == ()
    assert [one.kind for one in _found(runs(range(0, 17))).changes] == []


def test_a_step_that_was_undone_is_no_regression() -> None:
    runs = [
        [record_at(one, _seconds(n, 0) * (1.5 if 6 <= n < 13 else 1))]
        for n, one in enumerate(COMMITS)
    ]
    better, worse = _found(runs_of(COMMITS, runs)).changes
    assert (better.kind, worse.kind) == ("better", "worse")
    assert worse.undone
    assert not worse.is_regression


THREADS = (1, 2, 4, 8, 16)


def _measured(chosen: Callable[[int], tuple[int, ...]], step: float = 1.0) -> Regressions:
    """Return what changed where a commit measures the chosen threads, two slow from the 13th on."""
    return _found(
        runs_of(
            COMMITS,
            [
                [
                    record_at(one, _seconds(n, 0, step if threads == 2 else 1.0), threads=threads)
                    for threads in chosen(n)
                ]
                for n, one in enumerate(COMMITS)
            ],
        )
    )


def test_a_case_that_is_no_more_measured_is_missing() -> None:
    found = _measured(lambda n: THREADS if n < 16 else THREADS[:1] + THREADS[2:])
    (one,) = (one for one in found.changes if one.kind == "missing")
    assert one.case.endswith("1×2")
    assert (one.after.full, one.first.full) == (COMMITS[15], COMMITS[16])
    assert not one.is_regression


def test_what_a_commit_did_not_measure_is_not_missing_and_no_regression() -> None:
    """Commits measure all, or one or two cases in turn; the last six measure one."""

    def chosen(n: int) -> tuple[int, ...]:
        if n % 4 == 0 and n < 16:
            return THREADS
        return THREADS[n % 2 : n % 2 + 2] if n < 14 else THREADS[:1]

    found = _measured(chosen)
    assert found.changes == ()
    (note,) = (note for note in found.notes if "in part" in note)
    assert note.startswith("16 commits")
    assert all(commit[:8] in note for commit in COMMITS[-5:])
    # A line has the commits that measured it, and the step between two of them is found.
    slow = _measured(lambda n: THREADS if n % 4 == 0 else THREADS[:2], 1.5)
    times = {
        one.history.case[-3:]: one.positions for one in slow.lines if one.figure.name == "time"
    }
    assert times["1×2"] == tuple(range(20))
    assert times["1×8"] == (0, 4, 8, 12, 16)
    (worse,) = (one for one in slow.changes if one.figure is not None and one.figure.name == "time")
    assert (worse.kind, worse.case[-3:]) == ("worse", "1×2")
    assert worse.first.full <= COMMITS[12] <= worse.last.full
    assert {one.kind for one in slow.changes} == {"worse"}
    feed = ElementTree.fromstring(as_atom(found))
    assert feed.findall("a:entry", {"a": "http://www.w3.org/2005/Atom"}) == []


def test_what_else_changed_is_named() -> None:
    runs = [
        [record_at(one, _seconds(n, 0, 1.5), versions={"numpy": "2.3" if n < 12 else "2.4"})]
        for n, one in enumerate(COMMITS)
    ]
    (one,) = _found(runs_of(COMMITS, runs)).changes
    assert one.differs == ("numpy 2.3 → 2.4",)


def test_flat_histories_of_many_cases_raise_no_alarm() -> None:
    noise = np.exp(np.random.default_rng(7).normal(0, 0.1, (20, 60)))
    runs = [
        [record_at(one, float(noise[n, case]), nodes=case + 1) for case in range(60)]
        for n, one in enumerate(COMMITS)
    ]
    found = _found(runs_of(COMMITS, runs))
    assert found.tests >= 60
    assert found.changes == ()


def test_duplicate_records_are_one() -> None:
    runs = _slow()
    assert _found([*runs, *runs]).changes == _found(runs).changes


# The order of commits.


def test_commits_stand_in_gits_order_whenever_they_were_measured(tmp_path: Path) -> None:
    commits = made_commits(tmp_path, 4)
    started = {one[:8]: f"2026-01-0{9 - n}T00:00:00Z" for n, one in enumerate(commits)}
    found = order_commits({**started, "deadbeef": "2026-01-01T00:00:00Z"}, root=tmp_path)
    assert [one.full for one in found.commits] == commits
    assert [one.subject for one in found.commits] == [f"commit {n} <b>" for n in range(4)]
    (note,) = found.notes
    assert "deadbeef" in note


def test_without_git_commits_stand_in_the_order_of_dates_and_it_is_said(tmp_path: Path) -> None:
    started = {"aaaaaaaa": "2026-01-02T00:00:00Z", "bbbbbbbb": "2026-01-01T00:00:00Z"}
    dated = order_commits(started, dates={"aaaaaaaa": 1.0, "bbbbbbbb": 2.0}, root=tmp_path)
    assert [one.name for one in dated.commits] == ["aaaaaaaa", "bbbbbbbb"]
    measured = order_commits(started, dates={"aaaaaaaa": 1.0})
    assert [one.name for one in measured.commits] == ["bbbbbbbb", "aaaaaaaa"]
    assert len(dated.notes) == len(measured.notes) == 1


# The command.


def _kept(tmp_path: Path) -> tuple[Path, list[str]]:
    """Return results of a checkout's commits, measured newest first, and the commits."""
    commits = made_commits(tmp_path / "checkout", 20)
    runs = []
    for n, commit in enumerate(commits):
        records = [
            record_at(commit, _seconds(n, 0), started=f"2026-02-{20 - n:02}T00:00:00Z"),
            record_at(commit, _seconds(n, 1, 1.4), threads=2),
        ]
        runs += runs_of([commit], [records])
    return keep(tmp_path / "results", *runs), commits


def _run(results: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["regressions", *arguments, "--results", str(results)])


def test_the_command_says_it_as_text_json_markdown_and_feed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, commits = _kept(tmp_path)
    monkeypatch.chdir(tmp_path / "checkout")
    feed = tmp_path / "feed.xml"
    done = _run(results, "--json", "--atom", str(feed))
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [one["hash"] for one in found["commits"]] == commits
    assert found["regressions"] == len(found["changes"]) == 3
    assert {one["figure"] for one in found["changes"]} == {
        "time",
        "inverse speed-up",
        "inverse distributed speed-up",
    }
    for one in found["changes"]:
        assert commits.index(one["commits"]["first"]) <= 12 <= commits.index(one["commits"]["last"])
    text = _run(results).stdout
    assert text.splitlines()[-1].startswith("3 regressions of 1 case")
    assert len(text.splitlines()) <= 24
    markdown = _run(results, "--markdown").stdout
    assert markdown.startswith("**3 regressions")
    root = ElementTree.fromstring(feed.read_text("utf-8"))
    space = {"a": "http://www.w3.org/2005/Atom"}
    entries = root.findall("a:entry", space)
    assert len(entries) == 3
    assert len({entry.findtext("a:id", "", space) for entry in entries}) == 3
    for entry in [root, *entries]:
        for tag in ("title", "id", "updated"):
            assert entry.findtext(f"a:{tag}", "", space)
    quiet = ElementTree.fromstring(as_atom(_measured(lambda n: THREADS)))
    assert quiet.findtext("a:updated", "", space).startswith("1970")  # of commits without a date
    dated = CommitOrder(tuple(Commit(one[:8], one, "", 86_400.0 * 365) for one in COMMITS), ())
    dates = ElementTree.fromstring(as_atom(find_regressions([], dated)))
    assert dates.findtext("a:updated", "", space) == "1971-01-01T00:00:00Z"
    again = as_atom(read_regressions([], []))
    assert ElementTree.fromstring(again).findall("a:entry", space) == []


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ((), 0),
        (("--fail-on", "regression"), 1),
        (("--fail-on", "broken", "--fail-on", "missing", "--fail-on", "better"), 0),
    ],
)
def test_the_exit_status_is_what_fail_on_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], status: int
) -> None:
    results, commits = _kept(tmp_path)
    monkeypatch.chdir(tmp_path / "checkout")
    assert _run(results, *arguments).exit_code == status
    # Nothing got worse after the newest but one commit.
    assert _run(results, *arguments, "--since", commits[18]).exit_code == 0
    unknown = _run(results, "--since", "feedfeed")
    assert isinstance(unknown.exception, UnknownNameError)


def test_no_results_are_named(tmp_path: Path) -> None:
    done = _run(tmp_path)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1].startswith("No history")


def test_asvs_results_of_suites_without_records_have_a_history(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for n, commit in enumerate(COMMITS):
        slow = float(np.exp(rng.normal(0, 0.02))) * (1.5 if n >= 12 else 1)
        rate = float(np.exp(rng.normal(0, 0.02))) * (1.5 if n >= 12 else 1)
        broken = None if n >= 18 else 1.0
        values = {
            "commit_hash": commit,
            "env_name": "env-a",
            "date": 1000 * n,
            "result_columns": ["result", "params"],
            "results": {
                "encoders.Encoders.track_time": [[slow, broken], [["'cpu'", "'cuda'"]]],
                "kernels.Kernels.track_gflops": [[rate], []],
            },
        }
        (folder / f"{commit[:8]}-env-a.json").write_text(json.dumps(values))
    (folder / "cut-env-a.json").write_text('{"commit_hash": ')
    (folder / "list-env-a.json").write_text("[]")
    found = read_regressions([], [tmp_path])
    assert {(one.kind, one.case.partition("(")[0]) for one in found.changes} == {
        ("worse", "encoders.Encoders.track_time"),
        ("broken", "encoders.Encoders.track_time"),
        ("better", "kernels.Kernels.track_gflops"),
    }
    assert [one.full for one in found.order.commits] == COMMITS
    assert sum("is no asv result" in note for note in found.notes) == 2


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a|b", "[x](y)", "`a`\n# b"])
def test_names_are_no_markup(name: str) -> None:
    history = CaseHistory("here", "env", name, "")
    runs = case_histories(_slow())
    for one in runs[1].points, runs[0].points:
        history.points |= one
    history.figures |= runs[1].figures
    history.points |= runs[1].points
    found = find_regressions([history, *runs], ORDER)
    text = as_markdown(found)
    for line in text.splitlines():
        assert "<script>" not in line.replace("\\<", "")
        if line.startswith("| "):
            assert line.replace("\\|", "").count("|") == 6
    ElementTree.fromstring(as_atom(found))
