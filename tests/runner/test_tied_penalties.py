"""Penalties that RidgeCV cannot tell apart are a tie; a worse one is a wrong choice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from bench_core.data import Problem
from bench_core.measure import FitSpec
from bench_core.runner.arrays import FitData
from bench_core.runner.problem_cache import CachedProblem, cached
from bench_core.runner.reference_penalty import score_error
from bench_core.runner.tied_penalties import Comparison, compare_scores, compare_targets

PENALTIES = (1.0, 1200.0)


def _compare(folder: Path, scratch: Path, X, Y, chosen: float, reference: float):
    Problem.from_arrays(X, Y, np.zeros(len(X), int), name="tied").save(folder)
    spec = FitSpec(str(folder), "multitarget", alphas=PENALTIES, split="random")
    with cached(spec, scratch=scratch) as entry:
        return compare_scores(entry, entry.data(scratch), spec, chosen, reference)


def _data(scale: float):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 80)) * scale
    return X, X[:, :5] @ rng.standard_normal((5, 3)) / scale + rng.standard_normal((40, 3))


def test_scores_within_rounding_are_a_tie(tmp_path: Path) -> None:
    # 1 and 1200 are nothing to squared singular values of 1e12 to 1e14: nobody can rank them.
    found = _compare(tmp_path / "P", tmp_path, *_data(1e8), *PENALTIES)
    assert found.tie is True


def test_a_worse_penalty_is_no_tie(tmp_path: Path) -> None:
    found = _compare(tmp_path / "P", tmp_path, *_data(1.0), *PENALTIES)
    assert found.tie is False


def test_the_error_of_scores_is_the_condition_of_x() -> None:
    rng = np.random.default_rng(1)
    Q = np.linalg.qr(rng.standard_normal((30, 30)))[0]
    X = Q * np.geomspace(1, 1e-4, 30)  # squared singular values from 1 to 1e-8
    eps = np.finfo(float).eps
    assert score_error(X, 1e-12, False) == pytest.approx(80 * eps * 1e8, rel=1e-3)
    assert score_error(X, 1.0, False) == pytest.approx(80 * eps, rel=1e-3)
    assert score_error(1e6 * np.ones((30, 4)) * rng.standard_normal(4), 1.0, True) < 1e-12


@dataclass
class _Sampled:
    """A problem in the cache, and RidgeCV's penalty of every one of its few targets."""

    spec: FitSpec
    entry: CachedProblem
    data: FitData
    truth: tuple[float, ...]

    def compare(self, chosen: tuple[float, ...], **options: Any) -> Comparison:
        spec = replace(self.spec, options=options)
        return compare_targets(self.entry, self.data, spec, ALPHAS, chosen)


ALPHAS = (0.1, 10.0, 1000.0)


@pytest.fixture
def sampled(tmp_path: Path) -> Iterator[_Sampled]:
    rng = np.random.default_rng(2)
    X = rng.standard_normal((60, 8))
    Y = X @ rng.standard_normal((8, 5)) * 4.0 ** np.arange(-3, 2) + rng.standard_normal((60, 5))
    Problem.from_arrays(X, Y, np.zeros(60, int), name="each").save(tmp_path / "P")
    spec = FitSpec(str(tmp_path / "P"), "multitarget", alphas=ALPHAS)
    with cached(spec, scratch=tmp_path) as entry:
        data = entry.data(tmp_path)
        train = data.train.open()
        fit = RidgeCV(ALPHAS, alpha_per_target=True).fit(train.X, train.Y)
        yield _Sampled(spec, entry, data, tuple(fit.alpha_.tolist()))


def test_penalties_of_targets_are_ridgecvs(sampled: _Sampled) -> None:
    assert len(set(sampled.truth)) > 1
    assert sampled.compare(sampled.truth, alpha_per_target=True).same is True


def test_one_worse_penalty_of_many_is_found(sampled: _Sampled) -> None:
    wrong = (1000.0 if sampled.truth[-1] == 0.1 else 0.1,)
    found = sampled.compare(sampled.truth[:-1] + wrong, alpha_per_target=True)
    assert (found.same, found.tie) == (False, False)
    assert "1 of 5" in str(found.note)


@pytest.mark.parametrize("options", [{"cv": 3}, {"cv": "run"}, {"cv": "gcv"}])
def test_what_ridgecv_has_not_per_target_is_said(
    sampled: _Sampled, options: dict[str, Any]
) -> None:
    found = sampled.compare(sampled.truth, alpha_per_target=True, **options)
    assert found.same is None
    assert "RidgeCV" in str(found.note)


def test_a_penalty_that_is_no_candidate_is_no_tie(sampled: _Sampled) -> None:
    found = sampled.compare((*sampled.truth[:-1], 5.0), alpha_per_target=True)
    assert (found.same, found.tie) == (False, False)
    assert "5 is no candidate" in str(found.note)
