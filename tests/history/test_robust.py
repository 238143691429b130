"""Results that are damaged, foreign or absent: each is named, the rest is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench_core.cli import cli
from bench_core.records import EnvironmentRun
from bench_core.records.runs import read_runs
from tests.comparison.made_runs import keep
from tests.history.made_history import record_at, runs_of

COMMITS = [f"{number:08x}" + 32 * "0" for number in range(1, 7)]


def _kept(folder: Path) -> Path:
    runs = runs_of(
        COMMITS, [[record_at(one, 1.0), record_at(one, 0.6, threads=2)] for one in COMMITS]
    )
    runs += runs_of(COMMITS[:3], [[record_at(one, 1.0)] for one in COMMITS[:3]], environment="old")
    there = [EnvironmentRun("there", one.commit, one.environment, one.records) for one in runs]
    return keep(folder, *runs, *there)


def _found(folder: Path) -> dict[str, object]:
    done = CliRunner().invoke(cli, ["regressions", "--json", "--results", str(folder)])
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.stdout)
    return found


def _spoil(folder: Path, text: str) -> None:
    path = folder / "here" / f"{COMMITS[1][:8]}-env-a.records.jsonl"
    path.write_text(path.read_text("utf-8") + text, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('{"schema": "ridgebench-measurement/3", "id', "line 3"),
        ('{"schema": "ridgebench-measurement/9"}', "ridgebench-measurement/9"),
        ('{"schema": 3}', "line 3"),
        ("[]", "line 3"),
        ("null", "line 3"),
        ("\x00\udcff".encode("utf-8", "replace").decode(), "line 3"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path: Path, text: str, named: str) -> None:
    folder = _kept(tmp_path)
    _spoil(folder, text)
    found = _found(folder)
    assert sum(named in note for note in found["notes"]) == 1
    assert found["lines"] == _found(_kept(tmp_path / "whole"))["lines"] > 0


def test_a_duplicate_counts_once_and_is_named(tmp_path: Path) -> None:
    folder = _kept(tmp_path)
    path = folder / "here" / f"{COMMITS[1][:8]}-env-a.records.jsonl"
    _spoil(folder, path.read_text("utf-8").splitlines()[0])
    assert any("line 1" in note and "line 3" in note for note in _found(folder)["notes"])
    (run,) = [
        one
        for one in read_runs(folder, "here")
        if path.name.startswith(one.commit) and one.environment == "env-a"
    ]
    assert len(run.fits) == 2


def test_a_missing_machine_file_and_obsolete_environments_are_named(tmp_path: Path) -> None:
    folder = _kept(tmp_path)
    (folder / "there" / "machine.json").write_text("{}")
    notes = _found(folder)["notes"]
    assert [note.split()[0] for note in notes if "machine.json" in note] == ["here"]
    old = [note for note in notes if note.startswith("obsolete")]
    assert len(old) == 2
    assert all("old" in note and COMMITS[2][:8] in note for note in old)


def test_machines_have_lines_of_their_own(tmp_path: Path) -> None:
    folder = _kept(tmp_path)
    path = folder / "there" / f"{COMMITS[5][:8]}-env-a.records.jsonl"
    broken = record_at(COMMITS[5], 1.0, status="failed", reason="boom")
    keep(folder, EnvironmentRun("there", COMMITS[5][:8], "env-a", [broken]))
    assert path.is_file()
    broken_on = {one["machine"] for one in _found(folder)["changes"] if one["kind"] == "broken"}
    assert broken_on == {"there"}
    text = CliRunner().invoke(cli, ["regressions", "--results", str(folder)]).stdout
    assert "there" in text
