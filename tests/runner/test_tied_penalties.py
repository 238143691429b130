"""Penalties that RidgeCV cannot tell apart are a tie; a worse one is a wrong choice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench_core.data import Problem
from bench_core.measure import FitSpec
from bench_core.runner.problem_cache import cached
from bench_core.runner.reference_penalty import score_error
from bench_core.runner.tied_penalties import compare_scores

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
