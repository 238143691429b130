"""RidgeCV's own penalty, found once per problem, and what happens when it cannot be had."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from bench_core.data import Problem
from bench_core.measure import FitSpec, reference
from bench_core.runner.problem_cache import Entry, cached
from bench_core.runner.reference_penalty import reference_penalty

ALPHAS = (0.1, 3.0, 30.0, 300.0)


@pytest.fixture
def entry(problem_folder: Path, tmp_path: Path) -> Iterator[Entry]:
    with cached(FitSpec(str(problem_folder), "ridgecv"), scratch=tmp_path) as found:
        yield found


def _ask(entry: Entry, **changes: Any) -> tuple[float | None, str | None]:
    asked = {
        "alphas": ALPHAS,
        "fit_intercept": True,
        "folds": None,
        "size": (180, 6, 9),
        "dtype": "float64",
    }
    return reference_penalty(entry, **{**asked, **changes})


def test_the_penalty_is_ridgecvs_and_is_found_once(
    entry: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = Problem.open(entry.train)
    expected = RidgeCV(ALPHAS).fit(train.X, train.Y).alpha_
    assert _ask(entry) == (expected, None)

    def again(*arguments: object, **options: object) -> None:
        raise AssertionError("run again")

    monkeypatch.setattr(subprocess, "run", again)
    assert _ask(entry) == (expected, None)
    with pytest.raises(AssertionError):
        _ask(entry, fit_intercept=False)


def test_folds_are_ridgecvs_folds(entry: Entry) -> None:
    train = Problem.open(entry.train)
    expected = RidgeCV(ALPHAS, cv=2).fit(train.X, train.Y).alpha_
    assert _ask(entry, folds=2) == (expected, None)


def test_without_memory_there_is_a_reason_instead(entry: Entry) -> None:
    penalty, why = _ask(entry, size=(10**6, 10**5, 10**5))
    assert penalty is None
    assert why is not None
    assert "are available" in why


def test_a_failure_is_told(entry: Entry) -> None:
    np.save(entry.train / "Y.npy", np.zeros(3))
    penalty, why = _ask(entry)
    assert penalty is None
    assert why is not None
    assert "failed" in why
    assert not list(entry.folder.glob("ridgecv-*"))


def test_a_timeout_is_told(entry: Entry) -> None:
    penalty, why = _ask(entry, timeout=0.01)
    assert penalty is None
    assert why is not None
    assert "stopped" in why


def test_the_process_writes_what_ridgecv_chose(entry: Entry, tmp_path: Path) -> None:
    job, out = tmp_path / "job.json", tmp_path / "out.json"
    asked = {"train": str(entry.train), "alphas": [5.0], "fit_intercept": True, "cv": None}
    job.write_text(json.dumps(asked))
    reference.main(str(job), str(out))
    assert json.loads(out.read_text())["alpha"] == 5.0
