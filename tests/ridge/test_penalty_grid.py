"""The grid of penalties: its edges, its extension, and what is said of them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from bench_core.errors import InputError
from bench_core.ridge import GridEdgeWarning, MultiTargetRidgeCV
from bench_core.ridge.penalty_grid import at_edges, edge_message, make_grid, search


def planted(t: int, p: int, s: int, noise: float, seed: int = 0) -> tuple[NDArray, NDArray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((t, p))
    return X, X @ rng.standard_normal((p, s)) + noise * rng.standard_normal((t, s))


def searched_by_hand(scores: NDArray, first: int, last: int) -> tuple[int, int, int]:
    """Widen the window of one target until its best is inside, as a user would."""
    usable = [-np.inf if np.isnan(value) else value for value in scores]
    best = max(range(first, last + 1), key=lambda i: (usable[i], -i))
    while usable[best] > -np.inf:
        if best == first and first > 0:
            first -= 1
            if usable[first] > usable[best]:
                best = first
        elif best == last and last < len(scores) - 1:
            last += 1
            if usable[last] > usable[best]:
                best = last
        else:
            break
    return best, first, last


@settings(max_examples=200, deadline=None)
@given(
    count=st.integers(1, 4),
    decades=st.integers(0, 4),
    seed=st.integers(0, 2**31),
    levels=st.sampled_from([2, 4, 1000]),
    missing=st.booleans(),
)
def test_search_is_that_of_a_patient_user(
    count: int, decades: int, seed: int, levels: int, missing: bool
) -> None:
    rng = np.random.default_rng(seed)
    grid = make_grid(10.0 ** np.arange(count), decades)
    scores = rng.integers(0, levels, (len(grid.alphas), 6)) / 7.0
    if missing:
        scores[rng.random(scores.shape) < 0.3] = np.nan
        scores[:, 0] = np.nan
    found = search(grid, scores)
    for j in range(6):
        index, first, last = searched_by_hand(scores[:, j], grid.first, grid.last)
        if first == last and decades:  # both ends at once: the order of steps may differ
            continue
        assert found.index[j] == index
        if count > 1:
            assert (found.first[j], found.last[j]) == (first, last)


def test_grid_keeps_the_order_it_was_given_unless_it_is_extended() -> None:
    assert make_grid([3.0, 1.0, 2.0]).alphas.tolist() == [3.0, 1.0, 2.0]
    grid = make_grid([3.0, 1.0], 2)
    assert grid.alphas.tolist() == pytest.approx([0.01, 0.1, 1.0, 3.0, 30.0, 300.0], rel=1e-15)
    assert (grid.first, grid.last, grid.extended) == (2, 3, True)
    assert not make_grid([3.0, 1.0]).extended


@pytest.mark.parametrize("decades", [-1, 1.5, True, None, 400])
def test_decades_that_no_grid_has_are_refused(decades: object) -> None:
    with pytest.raises(InputError, match="extend_alphas"):
        make_grid([1.0, 10.0], decades)


def test_edges_are_counted_by_value_not_by_place() -> None:
    assert at_edges([10.0, 0.1, 1.0], [0.1, 10.0, 10.0, 1.0]) == (1, 2)
    assert at_edges([5.0], [5.0, 5.0]) == (0, 0)  # nothing was chosen
    assert edge_message([0.1, 1.0, 10.0], [1.0, 1.0], extended=False) is None


@pytest.mark.parametrize("extends", [True, False])
def test_a_remedy_is_named_where_there_is_one(extends: bool) -> None:
    text = edge_message([0.1, 1.0], [1.0], extended=False, extends=extends)
    assert text is not None
    assert ("extend_alphas" in text) == extends


@pytest.mark.parametrize("per_target", [False, True])
@pytest.mark.parametrize("cv", ["loo", "gcv", 4])
@pytest.mark.parametrize(("t", "p"), [(40, 25), (30, 60)])
def test_extended_fit_is_a_search_in_the_wide_fit(
    t: int, p: int, cv: object, per_target: bool
) -> None:
    X, Y = planted(t, p, 5, noise=6.0)
    decades, options = 5, {"cv": cv, "alpha_per_target": per_target}
    alphas = 10.0 ** np.arange(-1 - decades, 1 + decades)
    wide = MultiTargetRidgeCV(alphas, **options).fit(X, Y)
    narrow = MultiTargetRidgeCV([0.1, 1.0], extend_alphas=decades, **options).fit(X, Y)
    table = wide.cv_results_["scores"] if per_target else wide.cv_results_["mean_scores"][:, None]
    found = [searched_by_hand(column, decades, decades + 1) for column in table.T]
    chosen = alphas[[index for index, _, _ in found]]
    np.testing.assert_allclose(np.ravel(narrow.alpha_), chosen, rtol=1e-12)
    seen = slice(min(first for _, first, _ in found), max(last for _, _, last in found) + 1)
    np.testing.assert_allclose(narrow.cv_results_["alphas"], alphas[seen], rtol=1e-12)
    np.testing.assert_allclose(
        narrow.cv_results_["mean_scores"], wide.cv_results_["mean_scores"][seen], rtol=1e-9
    )
    plain = Ridge(narrow.alpha_, solver="svd").fit(X, Y)
    np.testing.assert_allclose(narrow.coef_, plain.coef_, rtol=1e-6, atol=1e-9)


def test_warning_says_how_many_targets_and_which_way() -> None:
    X, Y = planted(60, 5, 4, noise=0.01)
    Y[:, 0] = np.random.default_rng(1).standard_normal(60)  # wants a large penalty
    with pytest.warns(GridEdgeWarning, match=r"3 of 4 targets.*smallest.*1 of 4.*largest"):
        MultiTargetRidgeCV([1.0, 10.0, 100.0], alpha_per_target=True).fit(X, Y)
    with pytest.warns(GridEdgeWarning, match=r"all targets.*smallest.*limit"):
        MultiTargetRidgeCV([1.0, 10.0], extend_alphas=1).fit(X, Y[:, 1:])


def test_no_warning_where_the_best_is_inside() -> None:
    X, Y = planted(60, 5, 4, noise=5.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MultiTargetRidgeCV(10.0 ** np.arange(-3, 5)).fit(X, Y)


def test_constant_targets_do_not_run_to_the_limit() -> None:
    X, Y = planted(30, 5, 3, noise=1.0)
    Y[:, 1] = 4.0
    model = MultiTargetRidgeCV([1.0, 10.0], extend_alphas=5, alpha_per_target=True, scoring="r2")
    model.fit(X, Y)
    assert model.alpha_[1] == 1.0  # no score decides: the first candidate that was asked for
