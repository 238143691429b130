"""Folders of results: what they hold, and several in one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench_core.cli import cli
from bench_core.errors import InputError
from bench_core.records import EnvironmentRun, make_figures, read_runs
from bench_core.records.skips import make_skips
from bench_core.results import inventory, merge_results
from tests.comparison.made_runs import keep, make_record
from tests.history.made_history import made_commits, record_at, runs_of

ROOT = Path(__file__).parents[2]


def run(machine: str, commit: str, environment: str, *records) -> EnvironmentRun:
    return EnvironmentRun(machine, commit, environment, list(records))


def test_an_environment_that_the_newest_commit_lacks_is_obsolete(tmp_path: Path) -> None:
    commits = made_commits(tmp_path / "git", 3)
    # Measured last is not newest: the first commit's record is the youngest.
    both = [[record_at(commits[0], 1.0, started="2026-06-01T00:00:00Z")]]
    both += [[record_at(one, 1.0)] for one in commits[1:]]
    results = keep(tmp_path / "r", *runs_of(commits, both))
    keep(results, *runs_of(commits[:2], both[:2], environment="env-b"))
    bad = record_at(commits[0], 1.0, status="failed", reason="a crash")
    keep(results, run("there", commits[0][:8], "env-b", bad))
    found, notes = inventory(results, tmp_path / "git")
    short = tuple(one[:8] for one in commits)
    assert [(one.machine, one.environment, one.commits, one.obsolete) for one in found] == [
        ("here", "env-a", short, False),
        ("here", "env-b", short[:2], True),
        ("there", "env-b", short[:1], False),
    ]
    assert [dict(one.fits) for one in found] == [{"ok": 3}, {"ok": 2}, {"failed": 1}]
    assert [note for note in notes if "machine.json" not in note] == []


def test_machines_merge_and_nothing_replaces_another_commit(tmp_path: Path) -> None:
    first = keep(tmp_path / "a", run("here", "aaaaaaaa", "env", make_record(1.0)))
    second = keep(
        tmp_path / "b",
        run("here", "bbbbbbbb", "env", make_record(2.0)),
        run("there", "aaaaaaaa", "env", make_record(3.0)),
    )
    done = merge_results([first, second], tmp_path / "all")
    assert len(done.written) == 3
    assert (done.replaced, done.unread) == (0, 0)
    found = {
        (one.machine, one.commit): one.fits[0].times.median_s for one in read_runs(tmp_path / "all")
    }
    assert found == {
        ("here", "aaaaaaaa"): 1.0,
        ("here", "bbbbbbbb"): 2.0,
        ("there", "aaaaaaaa"): 3.0,
    }
    assert merge_results([first, second], tmp_path / "all").written == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_one_case_the_later_measurement_stays(tmp_path: Path, order: tuple[int, int]) -> None:
    early = make_record(1.0, started="2026-01-01T00:00:00Z")
    late = make_record(2.0, started="2026-02-01T00:00:00Z")
    other = make_record(4.0, threads=2)
    left_out = [make_skips({("threads", "2 cores"): 9}), make_skips({("solvers", "scale"): 4})]
    folders = [
        keep(tmp_path / "a", run("here", "aaaaaaaa", "env", early, other, left_out[0])),
        keep(tmp_path / "b", run("here", "aaaaaaaa", "env", late, left_out[1])),
    ]
    with (folders[0] / "here" / "aaaaaaaa-env.records.jsonl").open("a") as file:
        file.write("{truncated\n")
    done = merge_results([folders[number] for number in order], tmp_path / "all")
    assert (done.replaced, done.unread) == (1, 1)
    (found,) = read_runs(tmp_path / "all")
    assert sorted(one.times.median_s for one in found.fits) == [2.0, 4.0]
    assert {one.suite for one in found.skips[0].left_out} == {"threads", "solvers"}
    assert len(found.problems) == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_the_figures_of_one_case_the_later_stay(tmp_path: Path, order: tuple[int, int]) -> None:
    figures = [
        make_figures("encoders", {"device": "cpu"}, {"both": (value, "s")}, started)
        for value, started in ((1.0, "2026-01-01T00:00:00Z"), (2.0, "2026-02-01T00:00:00Z"))
    ]
    folders = [
        keep(tmp_path / name, run("here", "aaaaaaaa", "env", one))
        for name, one in zip("ab", figures, strict=True)
    ]
    assert merge_results([folders[n] for n in order], tmp_path / "all").replaced == 1
    (found,) = read_runs(tmp_path / "all")
    assert [one.figures["both"].value for one in found.figures] == [2.0]


def test_asv_s_results_merge_by_benchmark(tmp_path: Path) -> None:
    """asv itself reads what was merged, and finds the later value of what both have."""
    results = pytest.importorskip("asv.results", reason="asv is the bench extra")
    source = next((ROOT / "results" / "reference-2core").glob("*default.json"))
    values = json.loads(source.read_text(encoding="utf-8"))
    names = sorted(values["results"])
    at = values["result_columns"].index("started_at")
    halves = [dict(values), dict(values)]
    halves[0]["results"] = {name: values["results"][name] for name in names[:3]}
    halves[1]["results"] = {name: list(values["results"][name]) for name in names[2:]}
    halves[1]["results"][names[2]][at] += 1000
    for folder, half in zip("ab", halves, strict=True):
        path = tmp_path / folder / "here" / source.name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(half), encoding="utf-8")
    done = merge_results([tmp_path / "b", tmp_path / "a"], tmp_path / "all")
    assert done.replaced == 1
    found = results.Results.load(str(tmp_path / "all" / "here" / source.name))
    whole = results.Results.load(str(source))
    assert sorted(found.get_all_result_keys()) == names
    for name in names:
        parameters = whole.get_result_params(name)
        expected = whole.get_result_value(name, parameters)
        assert repr(found.get_result_value(name, parameters)) == repr(expected)
    assert found.started_at[names[2]] == whole.started_at[names[2]] + 1000


def test_two_machines_of_one_name_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    for folder, cpu in (("a", "Xeon"), ("b", "EPYC")):
        keep(tmp_path / folder, run("here", "aaaaaaaa", "env", make_record(1.0)))
        values = {"machine": "here", "cpu": cpu, "num_cpu": "2", "ram": folder}
        (tmp_path / folder / "here" / "machine.json").write_text(json.dumps(values))
    before = sorted((tmp_path / "b").rglob("*"))
    with pytest.raises(InputError, match=r"(?s)Xeon.*EPYC"):
        merge_results([tmp_path / "a"], tmp_path / "b")
    assert sorted((tmp_path / "b").rglob("*")) == before
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        merge_results([tmp_path / "empty"], tmp_path / "b")


def test_the_command_merges_and_shows_the_reference_run(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "results" / "reference-2core", tmp_path / "copy" / "reference-2core")
    made = replace(make_record(1.0), commit=None)
    keep(tmp_path / "more", run("laptop", "cccccccc", "env", made))
    words = [str(tmp_path / "copy"), str(tmp_path / "more"), "--into", str(tmp_path / "all")]
    found = CliRunner().invoke(cli, ["results", *words, "--json"])
    assert found.exit_code == 0, found.output
    held = json.loads(found.stdout)["held"]
    assert {one["machine"] for one in held} == {"laptop", "reference-2core"}
    shown = CliRunner().invoke(cli, ["results", str(tmp_path / "all")])
    assert shown.exit_code == 0
    assert "laptop" in shown.output
    assert CliRunner().invoke(cli, ["results", "--into", str(tmp_path / "x")]).exit_code == 2
