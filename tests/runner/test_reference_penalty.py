"""RidgeCV's own penalty, found once per problem, and what happens when it cannot be had."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import PredefinedSplit

from bench_core import machine
from bench_core.measure import FitSpec
from bench_core.runner import reference_penalty as module
from bench_core.runner.arrays import FitData
from bench_core.runner.problem_cache import CachedProblem, cached
from bench_core.runner.reference_penalty import reference_penalty

ALPHAS = (0.1, 3.0, 30.0, 300.0)


@dataclass
class _Problem:
    entry: CachedProblem
    data: FitData

    def ask(self, **changes: Any) -> tuple[float | None, str | None]:
        asked = {"alphas": ALPHAS, "fit_intercept": True, "options": {}}
        return reference_penalty(self.entry, **{"data": self.data, **asked, **changes})


@pytest.fixture
def problem(problem_folder: Path, tmp_path: Path) -> Iterator[_Problem]:
    with cached(FitSpec(str(problem_folder), "ridgecv"), scratch=tmp_path) as entry:
        yield _Problem(entry, entry.data(tmp_path))


def _expected(problem: _Problem, **options: Any) -> float:
    train = problem.data.train.open()
    return float(RidgeCV(ALPHAS, **options).fit(train.X, train.Y).alpha_)


def test_the_penalty_is_ridgecvs_and_is_found_once(
    problem: _Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _expected(problem)
    assert problem.ask() == (expected, None)

    def again(*arguments: object, **options: object) -> None:
        raise AssertionError("run again")

    monkeypatch.setattr(module, "launch", again)
    assert problem.ask() == (expected, None)
    with pytest.raises(AssertionError):
        problem.ask(fit_intercept=False)


def test_folds_are_ridgecvs_folds(problem: _Problem) -> None:
    assert problem.ask(options={"cv": 2}) == (_expected(problem, cv=2), None)


def test_scores_are_ridgecvs(problem: _Problem) -> None:
    expected = _expected(problem, scoring="r2")
    assert problem.ask(options={"scoring": "r2"}) == (expected, None)


def test_folds_by_run_are_those_of_the_training_samples(problem: _Problem) -> None:
    runs = problem.data.train.open().runs
    expected = _expected(problem, cv=PredefinedSplit(runs))
    assert problem.ask(options={"cv": "run"}) == (expected, None)


@pytest.mark.parametrize("options", [{"scoring": "pearson"}, {"cv": [1, 1, 2, 2]}, {"cv": "gcv"}])
def test_a_criterion_that_ridgecv_lacks_is_not_compared(
    problem: _Problem, options: dict[str, Any]
) -> None:
    penalty, why = problem.ask(options=options)
    assert penalty is None
    assert why is not None


def test_without_memory_there_is_a_reason_instead(
    problem: _Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "available_memory", lambda: 1000)
    penalty, why = problem.ask()
    assert penalty is None
    assert why is not None
    assert "1000 B" in why


def test_a_failure_is_reported(problem: _Problem) -> None:
    train = problem.data.train
    gone = replace(train.Y, path=f"{train.Y.path}.gone")
    penalty, why = problem.ask(data=replace(problem.data, train=replace(train, Y=gone)))
    assert penalty is None
    assert why is not None
    assert "gone" in why
    assert not list(problem.entry.folder.glob("ridgecv-*"))


def test_a_timeout_is_reported(problem: _Problem) -> None:
    penalty, why = problem.ask(timeout=0.01)
    assert penalty is None
    assert why is not None
    assert "0.01 s" in why
