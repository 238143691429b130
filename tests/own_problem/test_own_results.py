"""Sweeps of one's own problems as asv results: values, samples, and asv's own list."""

from __future__ import annotations

import json
import math
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench_core.records import record_line
from bench_core.report.own_results import AXES, BENCHMARK, SUITE, write_own
from bench_core.runner.spec import FitSpec, ProblemShape
from tests.valid_record import valid_record

SHAPE = ProblemShape("mine", 400, 20, 30, "float64")
NAMES = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_AUTHOR_DATE": "@1767225600 +0000"}
NAMES |= {key.replace("AUTHOR", "COMMITTER"): value for key, value in NAMES.items()}


def line(seconds: float, commit: str, **case: Any) -> str:
    spec = FitSpec("mine", "ridgecv", suite=SUITE, blas="openblas")
    made = valid_record(replace(spec, **case), SHAPE, seconds)
    assert made.times is not None
    times = replace(made.times, fit_s=(seconds, 2 * seconds, 4 * seconds), median_s=2 * seconds)
    return record_line(replace(made, times=times, commit=commit, versions={"python": "3.12.1"}))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in NAMES.items():
        monkeypatch.setenv(name, value)
    root = tmp_path / "clone"
    root.mkdir()
    (root / "a").write_text("a")
    for words in (["init", "-q"], ["add", "a"], ["commit", "-q", "-m", "a"]):
        subprocess.run(["git", *words], cwd=root, check=True)
    return root


def test_asv_finds_every_fit_and_its_repeats(repository: Path) -> None:
    from asv.results import Results

    done = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(done, cwd=repository, capture_output=True, text=True).stdout.strip()
    results = repository / "results"
    folder = results / "here"
    folder.mkdir(parents=True)
    machine = {"machine": "here", "cpu": "x", "version": 1}
    (folder / "machine.json").write_text(json.dumps(machine))
    (results / "benchmarks.json").write_text('{"other": {"name": "other"}, "version": 2}')
    lines = [line(1.0, commit), line(0.25, commit, strategy="bmor", nodes=2)]
    (folder / f"{commit[:8]}-own.records.jsonl").write_text("\n".join(lines) + "\n")
    unknown = "0" * 40
    (folder / f"{unknown[:8]}-own.records.jsonl").write_text(line(1.0, unknown) + "\n")
    (path,) = write_own(results, repository)
    found = Results.load(str(path), "here")
    assert (found.commit_hash, found.date) == (commit, 1767225600 * 1000)
    listed = json.loads((results / "benchmarks.json").read_text())
    assert listed["other"] == {"name": "other"}
    entry = listed[BENCHMARK]
    assert entry["param_names"] == list(AXES)
    assert entry["params"] == [
        ["'mine'"],
        ["'bmor'", "'ridgecv'"],
        ["'float64'"],
        ["1", "2"],
        ["1"],
    ]
    values = found.get_result_value(BENCHMARK, entry["params"])
    # bmor on one node and two, ridgecv on one and two.
    assert [math.isnan(one) for one in values] == [True, False, False, True]
    assert values[1:3] == [0.5, 2.0]
    samples = found.get_result_samples(BENCHMARK, entry["params"])
    assert samples[2] == [1.0, 2.0, 4.0]


def test_without_own_problems_nothing_is_written(repository: Path) -> None:
    assert write_own(repository / "results", repository) == []
    assert not (repository / "results").exists()
