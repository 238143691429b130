"""Penalties that can be read once, masked values, and too few samples to correlate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench_core import strategies
from bench_core.data import Problem
from bench_core.errors import InputError
from bench_core.ridge import MultiTargetRidgeCV

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((30, 10)), RNG.standard_normal((30, 4))
MAKERS = [MultiTargetRidgeCV, strategies.get("ridgecv"), strategies.get("multitarget")]


@pytest.mark.parametrize("make", MAKERS)
def test_a_generator_of_penalties_is_read_once_and_kept(make: Callable[..., Any]) -> None:
    model = make(10.0**k for k in range(-1, 3)).fit(X, Y)
    again = make([0.1, 1.0, 10.0, 100.0]).fit(X, Y)
    assert np.all(model.alpha_ == again.alpha_)
    assert np.all(model.fit(X, Y).alpha_ == again.alpha_)


@pytest.mark.parametrize("make", [*MAKERS, None])
@pytest.mark.parametrize("which", ["X", "Y"])
def test_masked_values_are_named(make: Callable[..., Any] | None, which: str) -> None:
    data = {"X": np.ma.array(X), "Y": np.ma.array(Y)}
    fit = Problem.from_arrays if make is None else make([1.0]).fit
    fit(*data.values())  # nothing is masked
    data[which][7, 2] = np.ma.masked
    with pytest.raises(InputError, match=r"1 masked .*\(7, 2\)"):
        fit(*data.values())


@pytest.mark.parametrize("make", MAKERS)
def test_new_rows_must_not_be_masked(make: Callable[..., Any]) -> None:
    model = make([1.0]).fit(X, Y)
    new = np.ma.array(X[:5])
    np.testing.assert_array_equal(model.predict(new), model.predict(X[:5]))
    new[1, 1] = np.ma.masked
    with pytest.raises(InputError, match=r"\(1, 1\)"):
        model.predict(new)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_than_three_held_out_samples_have_no_correlation(
    make: Callable[..., Any], n: int
) -> None:
    with pytest.raises(InputError, match=f"{n} held-out"):
        make([1.0]).fit_score(X, Y, X[:n], Y[:n])
    assert np.abs(make([1.0]).fit_score(X, Y, X[:3], Y[:3])).max() < 1 - 1e-9


def test_a_penalty_too_small_to_leave_a_sample_out_is_never_chosen() -> None:
    rows = np.vstack([X, 1e9 * np.eye(10)[:1]])  # the last row alone knows its direction
    targets = np.vstack([Y, Y[:1]])
    for each in (False, True):
        model = MultiTargetRidgeCV([1e-3, 1e20], solver="primal", alpha_per_target=each)
        with pytest.warns(RuntimeWarning, match="leverage"):
            model.fit(rows, targets)
        assert np.all(model.alpha_ == 1e20)
        with pytest.raises(InputError, match="larger penalties"), pytest.warns(RuntimeWarning):
            MultiTargetRidgeCV([1e-3], solver="primal", alpha_per_target=each).fit(rows, targets)
