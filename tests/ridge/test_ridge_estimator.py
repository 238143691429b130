"""MultiTargetRidgeCV against scikit-learn, over shapes, settings, forms and devices."""

from __future__ import annotations

import warnings
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import GridSearchCV, KFold, LeaveOneGroupOut, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from bench_core.errors import InputError
from bench_core.ridge import GridEdgeWarning, MultiTargetRidgeCV
from bench_core.ridge.planning import plan
from bench_core.ridge.solvers.tridiagonal import TridiagonalSolver

ALPHAS = [0.1, 1.0, 10.0, 100.0, 1000.0]


def planted(seed, t, p, s, *, rank=None, noise=1.0, mean=0.0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((t, rank or p)) @ rng.standard_normal((rank or p, p)) / np.sqrt(p)
    X += mean * rng.standard_normal(p)
    Y = X @ rng.standard_normal((p, s)) + noise * rng.standard_normal((t, s))
    return X, Y + mean * rng.standard_normal(s)


def reference(X, Y, alphas, intercept):
    """Scikit-learn's scores (r,) and fit; the SVD of X is its most exact way."""
    fitted = RidgeCV(alphas, fit_intercept=intercept, gcv_mode="svd", store_cv_results=True).fit(
        np.asarray(X, float), np.asarray(Y, float)
    )
    return -fitted.cv_results_.reshape(-1, len(alphas)).mean(axis=0), fitted


def same_choice(scores, expected):
    """The chosen score is the best one, to rounding: ties may fall either way."""
    return expected[int(np.argmax(scores))] >= expected.max() - 1e-9 * abs(expected.max())


FORCED = list(product(("dual", "primal"), ("shared", "each")))


@pytest.fixture(params=FORCED, ids="-".join)
def forced(request, monkeypatch):
    """Make every plan score in one way, and return the solver to ask for and that way."""
    solver, selection = request.param
    monkeypatch.setattr(MultiTargetRidgeCV, "_selection", selection)
    return solver, selection


@pytest.fixture(params=[*FORCED, ("primal", "each", "no eigenvectors")], ids="-".join)
def forced_loo(request, monkeypatch):
    """The same, and the primal form without eigenvectors, in blocks small enough for several."""
    solver, selection, *without = request.param
    monkeypatch.setattr(MultiTargetRidgeCV, "_selection", selection)
    monkeypatch.setattr(MultiTargetRidgeCV, "_tridiagonal", bool(without))
    monkeypatch.setattr(TridiagonalSolver, "block", 7)
    return solver, selection


@parametrize_with_checks([MultiTargetRidgeCV(), MultiTargetRidgeCV(cv=3, alpha_per_target=True)])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


shapes = st.tuples(
    st.integers(3, 60), st.integers(1, 80), st.one_of(st.just(1), st.integers(2, 120))
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    shape=shapes,
    seed=st.integers(0, 2**31),
    rank=st.one_of(st.none(), st.integers(1, 5)),
    intercept=st.booleans(),
    mean=st.sampled_from([0.0, 1.0, 300.0]),
    noise=st.sampled_from([0.1, 1.0, 10.0]),
    scale=st.sampled_from([1e-8, 1.0, 1e8]),
    order=st.sampled_from("CF"),
    special=st.booleans(),
    width=st.sampled_from([None, 1, 7]),
)
def test_equals_ridgecv(shape, seed, rank, intercept, mean, noise, scale, order, special, width):
    t, p, s = shape
    # Uncentred means square the condition number, which Gram matrices square again.
    mean = mean if intercept else min(mean, 1.0)
    X, Y = planted(seed, t, p, s, rank=rank, noise=noise, mean=mean)
    if special and p > 2 and s > 1:
        X[:, 1] = X[:, 0]
        X[:, 2] = 3.0
        Y[:, 0] = 5.0
    X, Y = np.array(X, order=order), np.array(Y * scale, order=order)
    alphas = np.array([1e-2, 1.0, 30.0, 1e3])
    expected, sk = reference(X, Y, alphas, intercept)
    found = MultiTargetRidgeCV(alphas, fit_intercept=intercept, batch_size=width).fit(X, Y)
    np.testing.assert_allclose(
        found.cv_results_["mean_scores"], expected, rtol=1e-9, atol=1e-26 * scale**2
    )
    assert same_choice(found.cv_results_["mean_scores"], expected)
    if found.alpha_ == sk.alpha_:
        tolerance = 1e-8 * (scale + np.abs(Y).max())
        np.testing.assert_allclose(
            found.predict(X), sk.predict(X).reshape(t, s), rtol=0, atol=tolerance
        )
        np.testing.assert_allclose(
            found.coef_, sk.coef_.reshape(s, p), rtol=0, atol=1e-7 * np.abs(Y).max()
        )


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("shape", [(50, 30, 20), (300, 40, 200), (31, 30, 7)])
def test_every_form_equals_ridgecv(forced_loo, device, shape, intercept):
    X, Y = planted(1, *shape, mean=50.0)
    expected, sk = reference(X, Y, ALPHAS, intercept)
    found = MultiTargetRidgeCV(
        ALPHAS, fit_intercept=intercept, device=device, batch_size=9, solver=forced_loo[0]
    ).fit(X, Y)
    assert (found.plan_.form, found.plan_.selection) == forced_loo
    np.testing.assert_allclose(found.cv_results_["mean_scores"], expected, rtol=1e-9)
    assert found.alpha_ == sk.alpha_
    atol = 1e-8 * np.abs(Y).std()
    np.testing.assert_allclose(found.predict(X), sk.predict(X), atol=atol)
    np.testing.assert_allclose(found.coef_, sk.coef_, atol=atol)
    np.testing.assert_allclose(found.intercept_, sk.intercept_, atol=atol)


@pytest.mark.parametrize("scoring", ["neg_mean_squared_error", "r2"])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("cv", [4, KFold(3, shuffle=True, random_state=0)])
def test_folds_equal_grid_search(forced, device, scoring, intercept, cv):
    t, p, s = 60, 25, 30
    X, Y = planted(2, t, p, s, mean=5.0)
    search = GridSearchCV(
        Ridge(fit_intercept=intercept), {"alpha": ALPHAS}, scoring=scoring, cv=cv
    ).fit(X, Y)
    found = MultiTargetRidgeCV(
        ALPHAS,
        fit_intercept=intercept,
        cv=cv,
        scoring=scoring,
        device=device,
        batch_size=11,
        solver=forced[0],
    ).fit(X, Y)
    np.testing.assert_allclose(
        found.cv_results_["mean_scores"], search.cv_results_["mean_test_score"], rtol=1e-8
    )
    assert found.alpha_ == search.best_params_["alpha"]
    np.testing.assert_allclose(found.predict(X), search.predict(X), atol=1e-8)


@pytest.mark.parametrize("shape", [(40, 90, 15), (90, 40, 15)])
def test_groups_reach_the_splitter(shape):
    X, Y = planted(3, *shape)
    groups = np.arange(shape[0]) % 4
    search = GridSearchCV(
        Ridge(), {"alpha": ALPHAS}, scoring="neg_mean_squared_error", cv=LeaveOneGroupOut()
    ).fit(X, Y, groups=groups)
    by_group = MultiTargetRidgeCV(ALPHAS, cv=LeaveOneGroupOut()).fit(X, Y, groups=groups)
    predefined = MultiTargetRidgeCV(ALPHAS, cv=PredefinedSplit(groups)).fit(X, Y)
    expected = search.cv_results_["mean_test_score"]
    np.testing.assert_allclose(by_group.cv_results_["mean_scores"], expected, rtol=1e-9)
    np.testing.assert_allclose(predefined.cv_results_["mean_scores"], expected, rtol=1e-9)
    with pytest.raises(InputError, match="groups"):
        MultiTargetRidgeCV(ALPHAS, cv=LeaveOneGroupOut()).fit(X, Y)


@pytest.mark.parametrize("intercept", [True, False])
def test_leave_one_out_r2_equals_ridgecv(intercept, forced_loo, device):
    X, Y = planted(4, 90, 40, 15, mean=2.0)
    for alpha in ALPHAS[1:]:
        sk = RidgeCV([alpha], fit_intercept=intercept, scoring="r2", gcv_mode="svd").fit(X, Y)
        found = MultiTargetRidgeCV(
            [alpha],
            fit_intercept=intercept,
            scoring="r2",
            device=device,
            batch_size=4,
            solver=forced_loo[0],
        ).fit(X, Y)
        assert found.best_score_ == pytest.approx(float(sk.best_score_), rel=1e-9)


@pytest.mark.parametrize("cv", ["loo", 4])
def test_constant_targets_are_left_out_of_the_mean_r2(forced_loo, cv):
    X, Y = planted(16, 90, 40, 15, mean=2.0)
    expected = MultiTargetRidgeCV(ALPHAS, scoring="r2", cv=cv, solver=forced_loo[0]).fit(X, Y)
    constant = np.full((90, 1), 0.1)
    found = MultiTargetRidgeCV(ALPHAS, scoring="r2", cv=cv, batch_size=4, solver=forced_loo[0])
    found.fit(X, np.hstack([Y[:, :6], constant, Y[:, 6:]]))
    np.testing.assert_allclose(
        found.cv_results_["mean_scores"], expected.cv_results_["mean_scores"], rtol=1e-9
    )
    np.testing.assert_allclose(found.coef_[6], 0, atol=1e-12)


@pytest.mark.parametrize("shape", [(40, 90, 15), (90, 40, 15), (90, 40, 15, "no eigenvectors")])
@pytest.mark.parametrize("cv", ["loo", 3])
def test_pearson_is_the_correlation_of_held_out_predictions(shape, cv, device, monkeypatch):
    without, shape = len(shape) > 3, shape[:3]
    monkeypatch.setattr(TridiagonalSolver, "block", 12)
    X, Y = planted(5, *shape)
    Y[:, 3] = 1.0
    found = MultiTargetRidgeCV(ALPHAS, scoring="pearson", cv=cv, device=device, batch_size=4)
    found._tridiagonal = without
    found.fit(X, Y)
    splits = list(KFold(shape[0] if cv == "loo" else 3).split(X))
    expected = []
    for alpha in ALPHAS:
        predictions = [
            Ridge(alpha).fit(X[train], Y[train]).predict(X[test]) for train, test in splits
        ]
        if cv == "loo":
            pairs = [(np.concatenate(predictions), Y)]
        else:
            pairs = [(a, Y[test]) for a, (_, test) in zip(predictions, splits, strict=True)]
        expected.append(
            np.mean(
                [
                    np.corrcoef(a[:, j], b[:, j])[0, 1]
                    for a, b in pairs
                    for j in range(shape[2])
                    if j != 3
                ]
            )
        )
    np.testing.assert_allclose(found.cv_results_["mean_scores"], expected, rtol=1e-8)


@pytest.mark.parametrize("shape", [(40, 90, 15), (90, 40, 15), (90, 40, 15, "no eigenvectors")])
@pytest.mark.parametrize("intercept", [True, False])
def test_penalty_per_target_equals_ridgecv(shape, intercept, device, monkeypatch):
    monkeypatch.setattr(MultiTargetRidgeCV, "_tridiagonal", len(shape) > 3)
    monkeypatch.setattr(TridiagonalSolver, "block", 13)
    X, Y = planted(6, *shape[:3], noise=3.0)
    sk = RidgeCV(ALPHAS, fit_intercept=intercept, alpha_per_target=True).fit(X, Y)
    found = MultiTargetRidgeCV(
        ALPHAS, fit_intercept=intercept, alpha_per_target=True, device=device, batch_size=4
    ).fit(X, Y)
    assert len(set(found.alpha_)) > 1
    np.testing.assert_array_equal(found.alpha_, sk.alpha_)
    np.testing.assert_allclose(found.best_score_, sk.best_score_, rtol=1e-9)
    np.testing.assert_allclose(found.coef_, sk.coef_, atol=1e-9)
    without = clone(found).set_params(coef=None).fit(X, Y)
    np.testing.assert_allclose(without.predict(X[:5]), sk.predict(X[:5]), atol=1e-9)


@pytest.mark.parametrize(
    "shape", [(60, 150, 80), (150, 60, 80), (150, 60, 400), (150, 60, 80, "no eigenvectors")]
)
@pytest.mark.parametrize("noise", [1.0, 1e-3])
@pytest.mark.parametrize("mean", [0.0, 1000.0])
def test_float32_chooses_as_float64(shape, noise, mean, device, monkeypatch):
    if len(shape) > 3:
        monkeypatch.setattr(MultiTargetRidgeCV, "_tridiagonal", True)
        monkeypatch.setattr(MultiTargetRidgeCV, "_selection", "each")
        monkeypatch.setattr(TridiagonalSolver, "block", 16)
    X, Y = planted(7, *shape[:3], noise=noise, mean=mean)
    X, Y = X.astype(np.float32), Y.astype(np.float32)
    alphas = np.logspace(-2, 4, 13)
    expected, _ = reference(X, Y, alphas, True)
    found = MultiTargetRidgeCV(alphas, device=device, batch_size=37).fit(X, Y)
    assert found.coef_.dtype == np.float32
    chosen = expected[alphas == found.alpha_][0]
    assert chosen >= expected.max() - 1e-4 * abs(expected.max())
    np.testing.assert_allclose(
        found.cv_results_["mean_scores"][np.argmax(expected)], expected.max(), rtol=1e-4
    )


def test_float32_gives_way_where_it_cannot_decide():
    rng = np.random.default_rng(8)
    X = rng.standard_normal((80, 30)).astype(np.float32)
    exact = (X @ rng.standard_normal((30, 10)).astype(np.float32)).astype(np.float32)
    noisy = exact + rng.standard_normal(exact.shape).astype(np.float32)
    assert MultiTargetRidgeCV().fit(X, noisy).plan_.shape.dtype == "float32"
    assert MultiTargetRidgeCV().fit(X, exact).plan_.shape.dtype == "float64"
    assert MultiTargetRidgeCV().fit(X, noisy * np.float32(1e-22)).plan_.shape.dtype == "float64"


@pytest.mark.parametrize("seed", range(5))
def test_sums_give_way_where_residuals_are_tiny(seed):
    # ‖Y‖² is 1e11 times the residuals': as differences of sums, scores are off by 1e-5.
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((90, 12))
    Y = X @ rng.standard_normal((12, 4000)) + 1e-5 * rng.standard_normal((90, 4000))
    alphas = (1e-9, 1e-4, 1.0)
    expected = RidgeCV(alphas, gcv_mode="svd").fit(X, Y)
    found = MultiTargetRidgeCV(alphas).fit(X, Y)
    assert found.plan_.selection == "each"
    assert found.alpha_ == expected.alpha_
    assert found.best_score_ == pytest.approx(expected.best_score_, rel=1e-9)
    # Where the memory for that is wanting, the fit is not lost.
    options = {"alphas": alphas, "coef": None, "batch_size": 16}
    work = MultiTargetRidgeCV(**options).plan(X, Y).shape
    needed = plan.make_plan(work, width=16, selection="shared").peak_bytes
    limited = MultiTargetRidgeCV(**options, memory_limit=needed).fit(X, Y)
    assert limited.plan_.selection == "shared"
    assert limited.best_score_ == pytest.approx(expected.best_score_, rel=1e-3)


@pytest.mark.parametrize("alphas", [[1e-300, 1e-12, 1.0], [1.0, 1e12, 1e300]])
def test_singular_kernel_and_extreme_penalties_stay_finite(alphas, device):
    rng = np.random.default_rng(9)
    X = np.repeat(rng.standard_normal((20, 3)), 12, axis=1)
    Y = rng.standard_normal((20, 6))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", GridEdgeWarning)
        found = MultiTargetRidgeCV(alphas, device=device).fit(X, Y)
    assert np.isfinite(found.cv_results_["mean_scores"]).all()
    assert np.isfinite(found.coef_).all()
    # The limit of a vanishing penalty is the fit by least squares on the three distinct columns.
    if alphas[0] < 1e-12:
        Z = X[:, ::12]
        errors = [
            Y[i] - Ridge(1e-12).fit(np.delete(Z, i, 0), np.delete(Y, i, 0)).predict(Z[i : i + 1])
            for i in range(20)
        ]
        assert found.cv_results_["mean_scores"][0] == pytest.approx(
            -np.mean(np.square(errors)), rel=1e-6
        )


def test_leverage_of_one_is_not_a_silent_nan(forced_loo):
    rng = np.random.default_rng(10)
    X = rng.standard_normal((30, 4))
    X[:, 3] = 0
    X[5, 3] = 1e9
    Y = rng.standard_normal((30, 40))
    model = MultiTargetRidgeCV([1e-3, 1e17, 1e19], solver=forced_loo[0])
    if forced_loo[0] == "primal":
        with pytest.warns(RuntimeWarning, match="leverage"):
            model.fit(X, Y)
    else:
        model.fit(X, Y)
    assert np.isfinite(model.best_score_)
    assert np.isfinite(model.coef_).all()


def test_constant_features_alone():
    Y = np.random.default_rng(11).standard_normal((12, 3))
    found = MultiTargetRidgeCV().fit(np.ones((12, 4)), Y)
    np.testing.assert_allclose(found.predict(np.ones((2, 4))), [Y.mean(axis=0)] * 2)
    np.testing.assert_array_equal(found.coef_, 0)


def test_all_targets_constant_has_no_r2():
    X = np.random.default_rng(12).standard_normal((12, 4))
    with pytest.raises(InputError, match="r2 score"):
        MultiTargetRidgeCV(scoring="r2").fit(X, np.ones((12, 2)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("options", [{}, {"alpha_per_target": True}, {"cv": 3}])
def test_bad_value_in_targets_is_named(value, options):
    X, Y = planted(13, 40, 20, 90)
    Y[17, 3] = value
    with pytest.raises(InputError, match="row 17, column 3"):
        MultiTargetRidgeCV(**options).fit(X, Y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alphas": [1.0, -1.0]}, "-1"),
        ({"alphas": []}, "no candidate"),
        ({"scoring": "pearsn"}, "did you mean 'pearson'"),
        ({"cv": "lou"}, "lou"),
        ({"cv": 1}, "cv 1"),
        ({"dtype": "int32"}, "int32"),
        ({"device": "tpu"}, "tpu"),
        ({"coef": "x.txt"}, ".npy"),
        ({"solver": "primel"}, "primal"),
    ],
)
def test_unusable_parameters_are_named(options, message):
    X, Y = planted(14, 20, 5, 4)
    with pytest.raises((InputError, LookupError), match=message):
        MultiTargetRidgeCV(**options).fit(X, Y)


def test_in_a_pipeline():
    X, Y = planted(15, 30, 10, 4)
    pipeline = make_pipeline(StandardScaler(), MultiTargetRidgeCV(ALPHAS)).fit(X, Y)
    assert pipeline.predict(X).shape == Y.shape
    assert clone(pipeline[-1]).get_params()["alphas"] == ALPHAS
