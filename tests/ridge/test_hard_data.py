"""Right numbers on data that rounding is hard on: repeated, dependent, badly scaled, off zero."""

from __future__ import annotations

import json
import re
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scipy import linalg
from sklearn.linear_model import Ridge, RidgeCV

from bench_core.ridge import MultiTargetRidgeCV
from bench_core.ridge.formulas import dual, primal, singular_values
from bench_core.ridge.formulas.eigensystem import verify_null_vectors
from bench_core.ridge.solvers.tridiagonal import TridiagonalSolver
from tests.ridge.hard_data import (
    KINDS,
    NOISES,
    PENALTIES,
    PER_TARGET,
    RECORD,
    SCALES,
    SCOPES,
    SHAPES,
    SOLVERS,
    Data,
    make_data,
    make_model,
    right_answer,
    share_of_allowed,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(KINDS),
    shape=st.sampled_from(SHAPES),
    scale=st.sampled_from(SCALES),
    noise=st.sampled_from(NOISES),
    alpha=st.sampled_from(PENALTIES),
    dtype=st.sampled_from(["float64", "float32"]),
    solver=st.sampled_from(SOLVERS),
    scope=st.sampled_from(sorted(SCOPES)),
    coef=st.sampled_from(["memory", None]),
    intercept=st.booleans(),
    cv=st.sampled_from([3, "loo"]),
    without=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_predictions_are_as_exact_as_the_data_allow(
    kind, shape, scale, noise, alpha, dtype, solver, scope, coef, intercept, cv, without, seed
):
    if solver == "primal" and shape[0] <= shape[1]:
        cv = 3  # samples of leverage 1 have no leave-one-out residual there, see docs/ridge.md
    data = make_data(kind, shape, scale, noise, dtype, seed)
    answer = right_answer(data, alpha, dtype, intercept=intercept)
    model = make_model([alpha], scope, solver=solver, coef=coef, fit_intercept=intercept, cv=cv)
    model._tridiagonal = without  # of eigenvectors, where that serves
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TridiagonalSolver, "block", 5)
        assert share_of_allowed(data, answer, model) <= 1


def left_out(data, alphas, dtype):
    """Mean squared errors (r, s) of explicit refits without each row, and what they may be off."""
    t = len(data.X)
    errors, allowed = np.zeros((2, len(alphas), data.Y.shape[1]))
    for (k, alpha), i in product(enumerate(alphas), range(t)):
        kept = np.arange(t) != i
        part = Data(data.X[kept], data.Y[kept], data.X[i : i + 1])
        answer = right_answer(part, alpha, dtype, intercept=True)
        errors[k] += (answer.predictions[0] - data.Y[i]) ** 2 / t
        allowed[k] += answer.allowed[0] ** 2 / t
    return errors, np.sqrt(allowed)


@example(
    kind="spectrum to 1e-12",
    shape=(20, 20),
    scale=100.0,
    noise=0.0,
    alphas=[100.0, 0.1],
    dtype="float32",
    scope=PER_TARGET,
    seed=222,  # samples lost what null vectors have of them
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(KINDS),
    shape=st.sampled_from([(12, 30), (20, 20), (15, 100)]),
    scale=st.sampled_from(SCALES),
    noise=st.sampled_from(NOISES),
    alphas=st.lists(st.sampled_from(PENALTIES), min_size=2, max_size=4, unique=True),
    dtype=st.sampled_from(["float64", "float32"]),
    scope=st.sampled_from(sorted(SCOPES)),
    seed=st.integers(0, 2**31),
)
def test_no_other_penalty_is_better_than_the_chosen_one(
    kind, shape, scale, noise, alphas, dtype, scope, seed
):
    data = make_data(kind, shape, scale, noise, dtype, seed)
    errors, allowed = left_out(data, alphas, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = make_model(alphas, scope).fit(data.X, data.Y)
    chosen = [alphas.index(alpha) for alpha in np.atleast_1d(model.alpha_)]
    if scope != PER_TARGET:
        errors, allowed = errors.mean(axis=1)[:, None], np.sqrt((allowed**2).mean(axis=1))[:, None]
    columns = np.arange(errors.shape[1])
    least = np.maximum(np.sqrt(errors) - allowed, 0)
    most = np.sqrt(errors) + allowed
    assert (least[chosen, columns] <= 1.001 * most.min(axis=0)).all()


def test_float32_with_a_penalty_per_target_where_x_has_few_dimensions():
    # Weights of samples, rounded to float32, were off by 97 standard deviations here.
    rng = np.random.default_rng(0)
    X = (100 * rng.standard_normal((130, 10)) @ rng.standard_normal((10, 300))).astype("f4")
    Y = rng.standard_normal((130, 20)).astype("f4")
    new = X[:40] + X[40:80]
    expected = Ridge(0.1, solver="svd").fit(X.astype(float), Y.astype(float)).predict(new)
    for coef in ("memory", None):
        model = MultiTargetRidgeCV([0.1], alpha_per_target=True, coef=coef).fit(X, Y)
        assert model.plan_.shape.dtype == "float32"
        error = np.abs(model.predict(new) - expected).max() / expected.std()
        assert error < 1e-5


@pytest.mark.parametrize("alpha", [0.1, 1e-15])
@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_film_that_was_shown_twice(solver, each, alpha):
    # Null vectors times 1 / λ made 7 % of the predictions' size at 0.1, 150 times it at 1e-15.
    rng = np.random.default_rng(1)
    X = 1e5 * np.repeat(rng.standard_normal((40, 300)), 2, axis=0)
    Y = rng.standard_normal((80, 5))
    Xc, Yc = X - X.mean(axis=0), Y - Y.mean(axis=0)
    expected = Xc @ (linalg.pinv(Xc, rtol=1e-12) @ Yc) + Y.mean(axis=0)  # λ is nothing to w here
    model = MultiTargetRidgeCV([alpha], alpha_per_target=each, solver=solver, cv=2).fit(X, Y)
    found = model.predict(X)
    assert np.abs(found - expected).max() < 1e-12 * np.sqrt(np.mean(expected**2))
    assert not model.plan_.shape.exact


def test_leave_one_out_of_a_sample_that_is_not_repeated():
    # Its residual has the size of λ / w: rounding in null vectors of the others outweighs that.
    rng = np.random.default_rng(2)
    X = rng.standard_normal((21, 60))
    X[1:20:2] = X[:20:2]
    Y = rng.standard_normal((21, 3))
    errors = []
    for i in range(21):  # scikit-learn's Ridge does not leave null vectors out
        part = Data(np.delete(X, i, axis=0), np.delete(Y, i, axis=0), X[[i]])
        refit = right_answer(part, 1e-12, "float64", intercept=True)
        errors.append(np.sum((refit.predictions - Y[i]) ** 2))
    Xc = X - X.mean(axis=0)
    eigen, _ = singular_values.dual(Xc.copy(), intercept=True)
    Yc = Y - Y.mean(axis=0)
    squares = dual.loo_squares(eigen, Yc @ Yc.T, np.array([1e-12]))
    np.testing.assert_allclose(squares[0], errors, rtol=1e-9)
    fitted = MultiTargetRidgeCV([1e-12]).fit(X, Y)
    assert not fitted.plan_.shape.exact
    assert -fitted.best_score_ == pytest.approx(np.sum(errors) / Y.size, rel=1e-9)


@pytest.mark.parametrize("scale", [1.0, 1e5])
def test_small_components_that_the_square_of_x_cannot_show(scale):
    # σ from 1 to 1e-12, so σ² is below rounding for half of them.
    data = make_data("spectrum to 1e-12", (30, 60), scale, 0.0, "float64", 3)
    alpha = 1e-18 * scale**2
    model = MultiTargetRidgeCV([alpha, 1e6 * scale**2], cv=3).fit(data.X, data.Y)
    assert model.plan_.shape.exact
    assert model.alpha_ == alpha
    expected = RidgeCV([alpha, 1e6 * scale**2], cv=3).fit(data.X, data.Y)
    assert model.alpha_ == expected.alpha_
    found = share_of_allowed(
        data, right_answer(data, alpha, "float64", intercept=True), MultiTargetRidgeCV([alpha])
    )
    assert found <= 1


def test_ordinary_data_keep_to_the_square_of_x():
    rng = np.random.default_rng(4)
    for t, p in ((200, 500), (500, 200)):
        X, Y = rng.standard_normal((t, p)), rng.standard_normal((t, 50))
        for dtype in ("f4", "f8"):
            model = MultiTargetRidgeCV([1e-3, 0.1, 1e3]).fit(X.astype(dtype), Y.astype(dtype))
            assert not model.plan_.shape.exact
            assert model.plan_.shape.dtype == np.dtype(dtype).name


def test_more_exact_work_that_does_not_fit_is_said():
    data = make_data("spectrum to 1e-12", (60, 200), 1.0, 1e-3, "float64", 5)
    plain = MultiTargetRidgeCV([1e-18, 1.0], coef=None)
    needed = plain.plan(data.X, data.Y).peak_bytes
    limited = MultiTargetRidgeCV([1e-18, 1.0], coef=None, memory_limit=needed)
    with pytest.warns(RuntimeWarning, match=r"decomposed|lose digits") as caught:
        limited.fit(data.X, data.Y)
    assert str(needed) in str(caught[0].message) or "MiB" in str(caught[0].message)
    assert not limited.plan_.shape.exact
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert plain.fit(data.X, data.Y).plan_.shape.exact


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("t", "p"), [(40, 15), (15, 40), (20, 20)])
def test_the_singular_value_decomposition_gives_both_forms(solver, t, p):
    X = np.random.default_rng(6).standard_normal((t, p))
    Xc = X - X.mean(axis=0)
    if solver == "dual":
        eigen, basis = singular_values.dual(Xc.copy(), intercept=True)
        assert eigen.V.shape == (t, t - 1)
        np.testing.assert_allclose(eigen.V.T @ eigen.V, np.eye(t - 1), atol=1e-13)
        np.testing.assert_allclose(eigen.V.sum(axis=0), 0, atol=1e-13)
        np.testing.assert_allclose(eigen.without_null().V.T @ Xc, basis, atol=1e-12)
        square = dual.factorise(dual.gram(Xc), intercept=True)
        np.testing.assert_allclose(square.w, eigen.w, atol=1e-10)
    else:
        eigen, Q = singular_values.primal(Xc.copy(), intercept=True)
        np.testing.assert_allclose(Xc @ eigen.V, Q, atol=1e-12)
        square = verify_null_vectors(primal.factorise(primal.covariance(Xc)), Xc.T)
        assert square.known
        np.testing.assert_allclose(square.without_null().w, eigen.w, atol=1e-10)


def test_null_vectors_that_only_look_so_are_found_out():
    data = make_data("spectrum to 1e-12", (30, 60), 1.0, 0.0, "float64", 7)
    Xc = data.X - data.X.mean(axis=0)
    eigen = dual.factorise(dual.gram(Xc), intercept=True)
    assert eigen.null > 0
    assert not verify_null_vectors(eigen, Xc).known
    repeated = np.repeat(np.random.default_rng(8).standard_normal((15, 60)), 2, axis=0)
    repeated -= repeated.mean(axis=0)
    eigen = dual.factorise(dual.gram(repeated), intercept=True)
    assert eigen.null == 15
    assert verify_null_vectors(eigen, repeated).known


def test_the_page_has_the_recorded_figures():
    record = json.loads(RECORD.read_text())
    page = (Path(__file__).parents[2] / "docs/ridge.md").read_text()
    cells = r"^\| ((?:dual|primal), [^|]+) \| (\d+) \| (\d+) \| ([\d.]+) \| ([^|]+) \|$"
    rows = {name: rest for name, *rest in re.findall(cells, page, re.MULTILINE)}
    assert rows == {
        name: [
            str(entry["fits"]),
            str(entry["decomposed_x"]),
            f"{100 * entry['share']:.2g}",
            f"{entry['kind']}, λ = {entry['penalty']:g}",
        ]
        for name, entry in record.items()
    }
