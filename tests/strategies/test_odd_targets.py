"""Integers, constant, equal and very different targets, vanishing penalties: every path."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import linalg
from sklearn.linear_model import Ridge, RidgeCV

from bench_core import strategies
from bench_core.data import Problem
from bench_core.errors import InputError
from bench_core.runner.agreement import compare_with_ridge
from bench_core.strategies import Strategy, _array_api
from tests.devices import usable_device

ALPHAS = (0.1, 3.0, 30.0, 300.0, 3000.0)
MSE = "neg_mean_squared_error"
SPACES = {"candidates": 3, "refine": 0}


@dataclass(frozen=True)
class Way:
    """A strategy with options; one that computes in torch names its device."""

    strategy: str
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join([self.strategy, *map(str, self.options.values())])


EACH = {"alpha_per_target": True}
WAYS = [
    Way("ridgecv"),
    Way("ridgecv", EACH),
    Way("ridgecv", {"device": "torch"}),
    Way("ridgecv", {"device": "torch", **EACH}),
    Way("mor"),
    Way("bmor"),
    Way("multitarget"),
    Way("multitarget", EACH),
    Way("multitarget", {"solver": "dual", **EACH}),
    Way("multitarget", {"cv": "gcv", **EACH}),
    Way("multitarget", {"cv": 3, "scoring": "pearson", **EACH}),
    Way("multitarget", {"cv": 3, "scoring": MSE}),
    Way("multitarget", {"device": "torch"}),
    Way("multitarget", {"device": "torch", **EACH}),
    Way("bmor-shared"),
    Way("bmor-shared", EACH),
    Way("bmor-shared", {"cv": 3, "scoring": "r2", **EACH}),
    Way("bmor-shared", {"device": "torch", **EACH}),
    Way("banded", SPACES),
    Way("banded", {**SPACES, **EACH}),
    Way("banded-shared", SPACES),
    Way("banded-shared", {**SPACES, **EACH}),
]
all_ways = pytest.mark.parametrize("way", WAYS, ids=str)

Fit = Callable[..., Strategy]


@pytest.fixture
def fit(cluster_of: Any, monkeypatch: pytest.MonkeyPatch) -> Fit:
    """Return a function that fits one way, on two nodes where it needs any."""

    def run(way: Way, X: NDArray, Y: NDArray, alphas: Any = ALPHAS, **more: Any) -> Strategy:
        if "device" in way.options:
            usable_device(way.options["device"])
            for name, value in _array_api.VARIABLE.items():
                monkeypatch.setenv(name, value)
        cls = strategies.get(way.strategy)
        cluster = cluster_of(2) if cls.distributed else None
        return cls(alphas, cluster=cluster, **way.options, **more).fit(X, Y)

    return run


def by_r2(way: Way) -> bool:
    """Return whether targets count alike in a shared choice, whatever their scale."""
    return way.strategy.startswith("banded") or way.options.get("scoring") in ("r2", "pearson")


@all_ways
@pytest.mark.parametrize("kinds", [("i2", "i8"), ("u1", "f8")], ids="-".join)
def test_integers_give_what_float64_gives(fit: Fit, way: Way, kinds: tuple[str, str]) -> None:
    """Products of small integer types would overflow: 200 × 200 is no int8, nor a uint8."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 250, (40, 9)).astype(kinds[0])
    Y = (X[:, :3] @ rng.integers(-9, 9, (3, 6)) + rng.integers(-900, 900, (40, 6))).astype(kinds[1])
    whole, real = fit(way, X, Y), fit(way, X.astype("f8"), Y.astype("f8"))
    np.testing.assert_array_equal(whole.chosen_alphas(), real.chosen_alphas())
    np.testing.assert_allclose(whole.coef_, real.coef_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(whole.intercept_, real.intercept_, rtol=1e-9, atol=1e-9)
    assert whole.coef_.dtype == np.float64
    np.testing.assert_allclose(whole.predict(X), real.predict(X.astype("f8")), rtol=1e-9, atol=1e-8)


@all_ways
def test_constant_targets_are_fitted_and_change_no_other(
    fit: Fit, way: Way, make_problem: Any
) -> None:
    X, Y = make_problem(40, 12, 6)
    constants = np.array([3.0, 0.0, -1e6])
    mixed = np.insert(Y, [1, 4, 6], constants, axis=1)
    where = np.array([1, 5, 8])
    assert (mixed[:, where] == constants).all()
    model, plain = fit(way, X, mixed), fit(way, X, Y)
    np.testing.assert_allclose(model.coef_[where], 0, atol=1e-9)
    np.testing.assert_allclose(
        model.predict(X)[:, where], np.broadcast_to(constants, (40, 3)), rtol=1e-12, atol=1e-9
    )
    assert np.isin(model.chosen_alphas(), ALPHAS).all()
    if plain.scope == "batch":  # whose batches have other targets now
        return
    others = np.delete(np.arange(9), where)
    np.testing.assert_array_equal(model.chosen_alphas()[others], plain.chosen_alphas())
    np.testing.assert_allclose(model.coef_[others], plain.coef_, rtol=1e-9, atol=1e-10)


@all_ways
def test_equal_targets_are_fitted_alike(fit: Fit, way: Way, make_problem: Any) -> None:
    """The second half, on the second node where there is one, is the first once more."""
    X, Y = make_problem(40, 12, 4)
    model = fit(way, X, np.hstack([Y, Y]))
    chosen, coef = model.chosen_alphas(), np.asarray(model.coef_)
    np.testing.assert_array_equal(chosen[:4], chosen[4:])
    np.testing.assert_allclose(coef[:4], coef[4:], rtol=1e-10, atol=1e-12)
    if model.claims_ridgecv and "cv" not in way.options:
        each = way.options.get("alpha_per_target", False)
        expected = RidgeCV(ALPHAS, alpha_per_target=each).fit(X, Y)
        np.testing.assert_array_equal(chosen[:4], np.broadcast_to(expected.alpha_, 4))


@all_ways
def test_penalties_that_score_alike_predict_the_mean(fit: Fit, way: Way) -> None:
    """Features without any spread tell no candidate from another: whichever is taken will do."""
    X = np.full((24, 5), 2.0)
    Y = np.random.default_rng(3).standard_normal((24, 4))
    if way.options.get("scoring") == "pearson":  # of predictions that do not vary: undefined
        with pytest.raises(InputError, match="pearson"):
            fit(way, X, Y)
        return
    model = fit(way, X, Y, alphas=(30.0, 0.1, 300.0))
    assert np.isin(model.chosen_alphas(), (30.0, 0.1, 300.0)).all()
    np.testing.assert_allclose(model.predict(X), np.broadcast_to(Y.mean(axis=0), Y.shape))


@all_ways
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_targets_of_very_different_scale(fit: Fit, way: Way, dtype: str, make_problem: Any) -> None:
    """Twelve orders of magnitude either way, by powers of two, which round nothing."""
    X, Y = make_problem(40, 12, 6, dtype)
    scale = 2.0 ** np.array([-40, -20, 0, 0, 20, 40], dtype)
    model, plain = fit(way, X, (Y * scale).astype(dtype)), fit(way, X, Y)
    tolerance = {"f8": 1e-8, "f4": 2e-4}[dtype]
    if plain.scope == "target" or by_r2(way):
        np.testing.assert_array_equal(model.chosen_alphas(), plain.chosen_alphas())
        np.testing.assert_allclose(model.coef_ / scale[:, None], plain.coef_, atol=tolerance)
        return
    if plain.scope == "all":  # squared errors are those of the largest target
        alone = fit(way, X, Y[:, 5:])
        np.testing.assert_array_equal(model.chosen_alphas(), np.repeat(alone.chosen_alphas(), 6))
    expected = Ridge(model.chosen_alphas(), solver="svd").fit(X.astype("f8"), Y.astype("f8"))
    np.testing.assert_allclose(model.coef_ / scale[:, None], expected.coef_, atol=tolerance)


def least_squares(X: NDArray, Y: NDArray, new: NDArray) -> NDArray:
    """Return predictions of the least-squares fit with the smallest coefficients."""
    mean, own = X.mean(axis=0), Y.mean(axis=0)
    return (new - mean) @ (linalg.pinv(X - mean, rtol=1e-10) @ (Y - own)) + own


SHAPES = {"tall": (40, 6, 6), "wide": (12, 30, 30), "dependent": (40, 3, 9)}


@all_ways
@pytest.mark.parametrize("kind", SHAPES)
def test_a_vanishing_penalty_is_the_limit_of_least_squares_or_no_valid_fit(
    fit: Fit, way: Way, kind: str
) -> None:
    """What is neither that limit nor refused disagrees with Ridge, so that no record is "ok"."""
    t, rank, p = SHAPES[kind]
    rng = np.random.default_rng(4)
    X = rng.standard_normal((t + 5, rank)) @ (
        np.eye(p) if rank == p else rng.standard_normal((rank, p))
    )
    Y = X @ rng.standard_normal((p, 4)) + 0.1 * rng.standard_normal((t + 5, 4))
    train, test = (Problem.from_arrays(X[rows], Y[rows]) for rows in (np.s_[:t], np.s_[t:]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = fit(way, train.X, train.Y, alphas=(1e-15,))
        except InputError:  # the kernel matrix of a banded fit cannot tell it from zero
            assert way.strategy.startswith("banded") or kind == "dependent"
            return
        found = model.predict(test.X)
        agreement = compare_with_ridge(
            train, test, found, model.chosen_alphas(), fit_intercept=True, seed=0
        )
    expected = least_squares(train.X, train.Y, test.X)
    limit = bool(np.allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max()))
    assert limit or not agreement.agrees
    if kind == "tall":
        assert limit
        assert agreement.agrees
