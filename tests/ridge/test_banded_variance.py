"""r and explained variance divided among feature spaces: sums, refits, planted spaces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from bench_core.accuracy import pearson_r
from bench_core.ridge.banded import BandedRidgeCV
from bench_core.ridge.banded.variance import divide
from tests.ridge.planted_spaces import planted


@settings(max_examples=50, deadline=None)
@given(spaces=st.integers(1, 4), n=st.integers(3, 30), seed=st.integers(0, 2**31))
def test_parts_sum_to_the_whole(spaces, n, seed):
    rng = np.random.default_rng(seed)
    parts = list(rng.standard_normal((spaces, n, 3)) + 5)
    y = rng.standard_normal((n, 3)) * 4 - 2
    found = divide(parts, y, [np.sum(parts, axis=0) - part for part in parts])
    whole = np.sum(parts, axis=0)
    assert np.allclose(found.r.sum(axis=0), pearson_r(y, whole))
    error = (y - y.mean(axis=0)) - (whole - whole.mean(axis=0))
    r2 = 1 - (error**2).sum(axis=0) / ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    assert np.allclose(found.r2.sum(axis=0), r2)
    assert np.allclose(found.unique.sum(axis=0) + found.shared, r2)


def centred_r2(y, prediction):
    error = (y - y.mean(axis=0)) - (prediction - prediction.mean(axis=0))
    return 1 - (error**2).sum(axis=0) / ((y - y.mean(axis=0)) ** 2).sum(axis=0)


@pytest.mark.parametrize("per_target", [False, True])
@pytest.mark.parametrize("coef", ["memory", None])
def test_scores_are_those_of_refits_without_the_space(device, per_target, coef):
    data = planted(t=100, sizes=(15, 60), s=12)
    train, test = data.split(70)
    model = BandedRidgeCV(
        np.logspace(0, 3, 4),
        spaces=data.spaces,
        candidates=5,
        alpha_per_target=per_target,
        coef=coef,
        device=device,
    ).fit(data.X[train], data.Y[train])
    found = model.space_scores(data.X[test], data.Y[test])
    prediction = model.predict(data.X[test])
    assert np.allclose(found.r.sum(axis=0), pearson_r(data.Y[test], prediction))
    r2 = centred_r2(data.Y[test], prediction)
    assert np.allclose(found.r2.sum(axis=0), r2)
    assert np.allclose(found.unique.sum(axis=0) + found.shared, r2)
    weights = model.weights_ if per_target else np.repeat(model.weights_[:, None], 12, 1)
    for k in range(12):
        alpha = model.alpha_[k] if per_target else model.alpha_
        for space in (0, 1):
            scale = np.sqrt(np.where(np.arange(2) == space, 0, weights[:, k]))[data.spaces]
            rest = Ridge(alpha=alpha, solver="svd").fit(data.X[train] * scale, data.Y[train, k])
            without = centred_r2(data.Y[test, k], rest.predict(data.X[test] * scale))
            assert found.unique[space, k] == pytest.approx(r2[k] - without, abs=1e-8)


def test_the_planted_space_explains():
    data = planted(t=300, sizes=(10, 20), s=15, noise=0.4)
    train, test = data.split(220)
    model = BandedRidgeCV(
        np.logspace(-1, 3, 3), spaces=data.spaces, candidates=8, refine=6, alpha_per_target=True
    ).fit(data.X[train], data.Y[train])
    found = model.space_scores(data.X[test], data.Y[test])
    for kind in (0, 1):
        own, other = found.unique[:, data.follows == kind][[kind, 1 - kind]]
        assert own.min() > 0.6
        assert np.abs(other).max() < 0.08
        assert found.r[kind, data.follows == kind].min() > 0.8
    both = found.unique[:, data.follows == 2]
    assert both.min() > 0.1
