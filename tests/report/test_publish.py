"""A project published whole by the command, from results that are damaged, foreign or absent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bench_core.cli import cli
from bench_core.records import EnvironmentRun, record_line
from bench_core.report.asv_libraries import VARIABLE
from tests.comparison.made_runs import keep
from tests.history.made_history import made_commits, record_at, runs_of
from tests.report.site_html import SitePage

pytest.importorskip("asv", reason="asv is not installed (extra: bench)")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    """Return a checkout with an asv configuration, in which the test is, and its commits."""
    root = tmp_path / "project"
    commits = made_commits(root, 3)
    (root / "asv.conf.json").write_text(
        json.dumps(
            {
                "version": 1,
                "project": "made",
                "repo": ".",
                "branches": ["HEAD"],
                "environment_type": "virtualenv",
                "benchmark_dir": "benchmarks",
                "results_dir": "results",
                "html_dir": ".asv/html",
            }
        )
    )
    (root / "benchmarks").mkdir()
    monkeypatch.chdir(root)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RIDGEBENCH_CACHE", str(tmp_path / "cache"))
    return root, commits


def _report() -> Result:
    return CliRunner().invoke(cli, ["report"])


def test_what_cannot_be_read_is_named_and_the_rest_is_published(
    project: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root, commits = project
    monkeypatch.setenv(VARIABLE, str(tmp_path / "no libraries"))
    records = [
        [record_at(one, seconds, threads=threads, started=f"2026-01-0{day}T00:00:00Z")
         for threads, seconds in ((1, 1.0), (2, 0.6))]
        for day, one in enumerate(commits, 1)
    ]  # fmt: skip
    runs = runs_of(commits, records)
    there = [EnvironmentRun("there", one.commit, one.environment, one.records) for one in runs]
    results = keep(root / "results", *runs, *there)
    (results / "there" / "machine.json").write_text(json.dumps({"machine": "there", "version": 1}))
    spoiled = results / "here" / f"{commits[2][:8]}-env-a.records.jsonl"
    lines = [
        '{"schema": "ridgebench-measurement/3", "id',
        '{"schema": "ridgebench-measurement/9"}',
        record_line(runs[2].records[0]),
    ]
    spoiled.write_text(spoiled.read_text("utf-8") + "\n".join(lines) + "\n", encoding="utf-8")
    done = _report()
    assert done.exit_code == 0, (done.output, done.exception)
    html = root / ".asv" / "html"
    texts = {
        path.stem.removeprefix("ridgebench-"): SitePage(path.read_text("utf-8"))
        for path in html.glob("ridgebench*.html")
    }
    history = texts["history"].text
    assert all(commit in history for commit in commits)
    for named in ("line 3", "ridgebench-measurement/9", "line 1", "here has no machine.json"):
        assert named in history, named
    assert {row[0] for row in texts["fits"].rows[1:]} == {"here", "there"}
    assert "unreadable" in texts["skipped"].text
    # Of asv's own pages it is said what they need; they lead to ours.
    assert "libraries from the internet" in texts["ridgebench"].text
    assert "ridgebench.html" in (html / "index.html").read_text("utf-8")


def test_no_results_are_a_page_that_says_so(project: tuple[Path, list[str]]) -> None:
    root, _ = project
    done = _report()
    assert done.exit_code == 0, (done.output, done.exception)
    assert "ridgebench bench" in done.output
    assert (root / ".asv" / "html" / "ridgebench.html").is_file()
