"""The check against scikit-learn's Ridge, itself checked against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bench_core.accuracy import pearson_r, shuffled_rows, summary
from bench_core.data import Problem, random_split
from bench_core.records.results import Agreement, NullAccuracy, PenaltyCounts
from bench_core.runner import agreement
from bench_core.runner.agreement import (
    compare_with_ridge,
    count_penalties,
    sample_targets,
    solver_for,
)
from bench_core.runner.timing import null_accuracy, warmup_subset


def _split(
    s: int = 90, dtype: str = "float64", t: int = 120, p: int = 7
) -> tuple[Problem, Problem]:
    rng = np.random.default_rng(s)
    X = rng.standard_normal((t, p))
    Y = 3 + X @ rng.standard_normal((p, s)) + rng.standard_normal((t, s))
    problem = Problem.from_arrays(X.astype(dtype), Y.astype(dtype))
    return random_split(problem, test_fraction=0.25).apply(problem)


def _ridge(train: Problem, test: Problem, alphas: NDArray, *, intercept: bool = True) -> NDArray:
    """Return predictions of ridge by its normal equations, penalty by penalty."""
    X, Y = train.X.astype(float), train.Y.astype(float)
    x_mean = X.mean(axis=0) if intercept else np.zeros(train.p)
    y_mean = Y.mean(axis=0) if intercept else np.zeros(train.s)
    gram = (X - x_mean).T @ (X - x_mean)
    cross = (X - x_mean).T @ (Y - y_mean)
    B = np.column_stack(
        [np.linalg.solve(gram + a * np.eye(train.p), cross[:, j]) for j, a in enumerate(alphas)]
    )
    return (test.X - x_mean) @ B + y_mean


def _check(train: Problem, test: Problem, predictions: NDArray, alphas: NDArray) -> Agreement:
    return compare_with_ridge(train, test, predictions, alphas, fit_intercept=True, seed=0)


@pytest.mark.parametrize("s", [1, 5, 90])
@pytest.mark.parametrize("intercept", [True, False])
def test_the_right_answer_agrees(s: int, intercept: bool) -> None:
    train, test = _split(s)
    alphas = np.resize([0.1, 10.0, 1000.0], s)
    right = _ridge(train, test, alphas, intercept=intercept)
    found = compare_with_ridge(train, test, right, alphas, fit_intercept=intercept, seed=1)
    assert found.agrees
    assert found.worst < 1e-12
    assert found.targets == min(s, 64)
    assert found.tolerance == 1e-8


def test_cholesky_is_the_same_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    train, test = _split()
    alphas = np.resize([0.1, 10.0], train.s)
    right = _ridge(train, test, alphas)
    monkeypatch.setattr(agreement, "SVD_FLOPS", 0)
    found = _check(train, test, right, alphas)
    assert found.solver == "cholesky"
    assert found.worst < 1e-11


def test_worst_is_the_difference_in_units_of_the_predictions_spread() -> None:
    train, test = _split(3)
    right = _ridge(train, test, np.full(3, 10.0))
    wrong = right.copy()
    wrong[4, 1] += 0.25 * right[:, 1].std()
    found = _check(train, test, wrong, np.full(3, 10.0))
    assert not found.agrees
    assert found.worst == pytest.approx(0.25)


@pytest.mark.parametrize("slip", ["penalty of one target", "order of targets", "no intercept"])
def test_the_mistakes_a_strategy_may_make_are_seen(slip: str) -> None:
    train, test = _split(40)
    alphas = np.resize([1.0, 300.0], 40)
    if slip == "penalty of one target":
        answer = _ridge(train, test, np.where(np.arange(40) == 7, 2.0, alphas))
    elif slip == "order of targets":
        answer = np.roll(_ridge(train, test, alphas), 1, axis=1)
    else:
        answer = _ridge(train, test, alphas, intercept=False)
    assert not _check(train, test, answer, alphas).agrees


def test_float32_has_its_own_tolerance() -> None:
    train, test = _split(10, "float32")
    right = _ridge(train, test, np.full(10, 1.0)).astype("float32")
    found = _check(train, test, right, np.full(10, 1.0))
    assert found.tolerance == 1e-3
    assert found.agrees
    assert not _check(train, test, right * np.float32(1.01), np.full(10, 1.0)).agrees


def test_a_prediction_that_is_no_number_never_agrees() -> None:
    train, test = _split(5)
    answer = _ridge(train, test, np.ones(5))
    answer[0, 2] = np.nan
    found = _check(train, test, answer, np.ones(5))
    assert not found.agrees
    assert found.worst is None


@pytest.mark.parametrize("value", [0.0, 250.0])
def test_a_constant_target_is_no_division_by_zero(value: float) -> None:
    train, test = _split(4)
    for part in (train, test):
        part.Y[:, 2] = value
    right = _ridge(train, test, np.ones(4))
    assert _check(train, test, right, np.ones(4)).agrees
    right[:, 2] += 0.01 * max(value, 1)
    assert _check(train, test, right, np.ones(4)).worst == pytest.approx(0.01, rel=1e-6)


def test_the_sample_is_seeded_sorted_and_without_repetition() -> None:
    drawn = sample_targets(1000, 5)
    assert len(set(drawn)) == 64
    assert (np.diff(drawn) > 0).all()
    assert (drawn == sample_targets(1000, 5)).all()
    assert (drawn != sample_targets(1000, 6)).any()
    assert sample_targets(20, 1).tolist() == list(range(20))


def test_a_large_problem_is_not_decomposed_in_full() -> None:
    assert solver_for(62_281, 16_384) == "cholesky"
    assert solver_for(972, 256) == "svd"


def test_penalties_are_counted() -> None:
    chosen = count_penalties([100, 0.1, 100, 100], "target", tried=[0.1, 100, 1000])
    assert chosen == PenaltyCounts(
        "target", (0.1, 100.0), (1, 3), smallest=1, largest=0, tried=(0.1, 100.0, 1000.0)
    )


class _Recorder:
    """Ridge by its normal equations, which remembers what it was given."""

    def fit(self, X: NDArray, Y: NDArray) -> _Recorder:
        self.B = np.linalg.solve(X.T @ X + np.eye(X.shape[1]), X.T @ Y)
        return self

    def predict(self, X: NDArray) -> NDArray:
        return X @ self.B


def _null(train: Problem, test: Problem, method: str, seconds: float = 0.0) -> NullAccuracy | None:
    return null_accuracy(
        _Recorder,
        train,
        test,
        method=method,
        fit_seconds=seconds,
        alphas=(1.0, 10.0),
        fit_intercept=True,
        seed=3,
    )


@pytest.mark.parametrize("s", [3, 90])  # fewer targets than features, and more
def test_the_null_is_the_same_fit_on_shuffled_rows(s: int) -> None:
    train, test = _split(s, t=600)
    found = _null(train, test, "fit")
    assert found is not None
    rows = shuffled_rows(train.t, seed=3)
    X, Y = (train.X[rows], train.Y) if train.p <= s else (train.X, train.Y[rows])
    expected = summary(pearson_r(test.Y, _Recorder().fit(X, Y).predict(test.X)))
    assert found == NullAccuracy(method="fit", targets=s, **expected)
    # The planted response reaches r of about 0.9; nothing of it may be left.
    assert abs(found.mean) < 0.3


def test_long_fits_get_their_null_from_the_sample_targets() -> None:
    train, test = _split(90)
    assert _null(train, test, "auto", 59).method == "fit"
    found = _null(train, test, "auto", 61)
    assert found is not None
    assert (found.method, found.targets) == ("sample", 64)
    assert found.defined == 64
    assert _null(train, test, "skip") is None


def test_constant_targets_are_counted_without_warnings() -> None:
    train, test = _split(6)
    test.Y[:, 0] = 1.0
    found = _null(train, test, "fit")
    assert found is not None
    assert (found.defined, found.undefined) == (5, 1)


def test_the_warm_up_gets_a_corner_of_the_problem() -> None:
    train, _ = _split(90, t=400, p=30)
    small = warmup_subset(train, nodes=8)
    assert (small.t, small.p, small.s) == (64, 16, 16)
    assert (train.X[:64, :16] == small.X).all()
