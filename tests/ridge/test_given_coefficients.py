"""Coefficients written into an array that the caller holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from bench_core.errors import InputError
from bench_core.ridge import MultiTargetRidgeCV

ALPHAS = [1.0, 10.0, 100.0]


def data(t: int = 60, p: int = 90, s: int = 40, dtype: str = "float64") -> Any:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((t, p))
    Y = X[:, :3] @ rng.standard_normal((3, s)) + rng.standard_normal((t, s))
    return X.astype(dtype), Y.astype(dtype)


@pytest.mark.parametrize("solver", ["dual", "primal"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("per_target", [False, True])
def test_coefficients_are_in_the_array_that_was_given(
    solver: str, dtype: str, per_target: bool
) -> None:
    X, Y = data(90, 60, dtype=dtype)
    out = np.full((40, 60), np.nan, dtype)
    model = MultiTargetRidgeCV(
        ALPHAS, solver=solver, alpha_per_target=per_target, batch_size=16
    ).fit(X, Y, out=out)
    assert model.coef_ is out or np.shares_memory(model.coef_, out)
    assert model.coef_.shape == out.shape
    expected = Ridge(model.alpha_).fit(X.astype(float), Y.astype(float))
    np.testing.assert_allclose(out, expected.coef_, atol=1e-10 if dtype == "float64" else 1e-5)
    again = MultiTargetRidgeCV(ALPHAS).fit(X + 1, Y[:, ::-1].copy(), out=out)
    np.testing.assert_allclose(again.coef_, out)


def test_targets_of_one_dimension_and_scores() -> None:
    X, Y = data()
    out = np.empty(90)
    model = MultiTargetRidgeCV(ALPHAS).fit(X, Y[:, 0], out=out)
    assert np.shares_memory(model.coef_, out)
    np.testing.assert_allclose(out, Ridge(model.alpha_).fit(X, Y[:, 0]).coef_, atol=1e-10)
    whole = np.empty((40, 90))
    scored = MultiTargetRidgeCV(ALPHAS)
    r = scored.fit_score(X, Y, X[:20], Y[:20], out=whole)
    assert r.shape == (40,)
    np.testing.assert_allclose(whole, Ridge(scored.alpha_).fit(X, Y).coef_, atol=1e-10)


def test_products_in_float64_of_float32_data_keep_the_type_of_the_array() -> None:
    X, Y = data(dtype="float32")
    out = np.empty((40, 90))
    MultiTargetRidgeCV(ALPHAS, dtype="float64").fit(X, Y, out=out)
    with pytest.raises(InputError, match="float64"):
        MultiTargetRidgeCV(ALPHAS, dtype="float64").fit(X, Y, out=out.astype("f4"))


@pytest.mark.parametrize(
    ("out", "named"),
    [
        (np.empty((40, 91)), "(40, 91)"),
        (np.empty((90, 40)), "(90, 40)"),
        (np.empty((40, 90), "f4"), "float32"),
        (np.empty((40, 90), order="F"), "C-contiguous"),
        (np.empty((40, 180))[:, ::2], "C-contiguous"),
        (np.broadcast_to(np.zeros(90), (40, 90)), "not C-contiguous"),
        ([[0.0] * 90] * 40, "list"),
    ],
)
def test_an_array_that_does_not_fit_is_refused_before_anything_is_computed(
    out: Any, named: str
) -> None:
    X, Y = data()
    model = MultiTargetRidgeCV(ALPHAS)
    with pytest.raises(InputError) as error:
        model.fit(X, Y, out=out)
    assert named in str(error.value)
    assert not hasattr(model, "alpha_")


def test_read_only_shared_or_second_places_are_refused(tmp_path: Any) -> None:
    X, Y = data(40, 90, 40)
    out = np.empty((40, 90))
    out.flags.writeable = False
    with pytest.raises(InputError, match="read-only"):
        MultiTargetRidgeCV(ALPHAS).fit(X, Y, out=out)
    with pytest.raises(InputError, match="shares memory"):
        MultiTargetRidgeCV(ALPHAS).fit(X, Y, out=X)
    path = str(tmp_path / "coef.npy")
    for coef in (path, None):
        with pytest.raises(InputError, match="coef"):
            MultiTargetRidgeCV(ALPHAS, coef=coef).fit(X, Y, out=np.empty((40, 90)))


def test_the_array_is_not_counted_as_memory_of_the_fit() -> None:
    X, Y = data(60, 400, 20_000)
    held = MultiTargetRidgeCV(ALPHAS, batch_size=500)
    needed = held.plan(X, Y).peak_bytes
    out = np.empty((20_000, 400))
    limited = MultiTargetRidgeCV(ALPHAS, batch_size=500, memory_limit=needed - out.nbytes // 2)
    limited.fit(X, Y, out=out)
    assert limited.plan_.peak_bytes < needed - out.nbytes // 2
    assert limited.plan_.slowdown is None
