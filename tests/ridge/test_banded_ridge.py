"""Banded ridge against scikit-learn on scaled features, explicit cross-validation, and himalaya."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import GroupKFold, KFold, PredefinedSplit

from bench_core.accuracy import pearson_r
from bench_core.errors import InputError, ResourceError, UnknownNameError
from bench_core.ridge.banded import BandedRidgeCV
from tests.ridge.planted_spaces import planted

ALPHAS = np.logspace(0, 4, 5)
WEIGHTS = [[0.5, 0.5], [0.95, 0.05], [0.05, 0.95], [1.0, 0.0]]
FEW = {"candidates": WEIGHTS, "refine": 0, "balanced": False}


def scaled_ridge(X, Y, X_test, alpha, weights, spaces, intercept=True):
    """Return scikit-learn's predictions with features scaled by the roots of the weights."""
    scale = np.sqrt(np.asarray(weights, float))[spaces]
    model = Ridge(alpha=alpha, fit_intercept=intercept, solver="svd").fit(X * scale, Y)
    return model.predict(X_test * scale)


def explicit_scores(data, folds, scoring, intercept=True):
    """Return scores (weights, alphas, targets): means over folds of explicit refits."""
    scores = np.zeros((len(WEIGHTS), len(ALPHAS), data.Y.shape[1]))
    for train, test in folds:
        for i, weights in enumerate(WEIGHTS):
            for j, alpha in enumerate(ALPHAS):
                found = scaled_ridge(
                    data.X[train],
                    data.Y[train],
                    data.X[test],
                    alpha,
                    weights,
                    data.spaces,
                    intercept,
                )
                if scoring == "pearson":
                    one = pearson_r(data.Y[test], found)
                elif scoring == "r2":
                    one = r2_score(data.Y[test], found, multioutput="raw_values")
                else:
                    one = -((data.Y[test] - found) ** 2).mean(axis=0)
                scores[i, j] += one / len(folds)
    return scores


@pytest.mark.parametrize("scoring", ["neg_mean_squared_error", "r2", "pearson"])
@pytest.mark.parametrize("intercept", [True, False])
def test_candidates_are_scored_and_chosen_as_by_explicit_refits(device, scoring, intercept):
    data = planted(t=60, sizes=(8, 90), s=9)
    folds = list(GroupKFold(5).split(data.X, groups=data.runs))
    expected = explicit_scores(data, folds, scoring, intercept)
    for per_target in (False, True):
        model = BandedRidgeCV(
            ALPHAS,
            spaces=data.spaces,
            cv=folds,
            scoring=scoring,
            fit_intercept=intercept,
            alpha_per_target=per_target,
            device=device,
            **FEW,
        ).fit(data.X, data.Y)
        assert np.allclose(model.cv_results_["mean_scores"], expected.mean(axis=2), rtol=1e-7)
        flat = expected.reshape(-1, data.Y.shape[1])
        best = flat.argmax(axis=0) if per_target else np.full(9, flat.mean(axis=1).argmax())
        alpha = np.broadcast_to(model.alpha_, 9)
        assert np.array_equal(alpha, ALPHAS[best % len(ALPHAS)])
        weights = model.weights_ if per_target else np.repeat(model.weights_[:, None], 9, 1)
        assert np.array_equal(weights.T, np.array(WEIGHTS)[best // len(ALPHAS)])


@pytest.mark.parametrize("per_target", [False, True])
@pytest.mark.parametrize(
    ("dtype", "coef", "permuted"),
    [
        ("float64", "memory", True),
        ("float32", "memory", False),
        ("float64", None, False),
        ("float32", "file", True),
    ],
)
def test_the_fit_is_ridge_on_scaled_features(device, per_target, dtype, coef, permuted, tmp_path):
    data = planted(t=90, sizes=(20, 70), s=20)
    train, test = data.split(70)
    X, Y = data.X.astype(dtype), data.Y.astype(dtype)
    cv = PredefinedSplit(np.arange(70) % 4 if permuted else np.arange(70) // 18)
    model = BandedRidgeCV(
        ALPHAS,
        spaces=data.spaces,
        candidates=8,
        refine=6,
        cv=cv,
        alpha_per_target=per_target,
        coef=tmp_path / "coef.npy" if coef == "file" else coef,
        device=device,
    ).fit(X[train], Y[train])
    found = model.predict(X[test])
    assert found.dtype == dtype
    for k in range(20):
        own = (slice(None), k) if per_target else slice(None)
        alpha = model.alpha_[k] if per_target else model.alpha_
        weights = model.weights_[own]
        expected = scaled_ridge(
            data.X[train], data.Y[train, k], data.X[test], alpha, weights, data.spaces
        )
        tolerance = 1e-9 if dtype == "float64" else 1e-4
        assert np.allclose(found[:, k], expected, rtol=tolerance, atol=tolerance)
        with np.errstate(divide="ignore"):
            assert np.allclose(model.penalties_[own], alpha / weights)
    if coef == "file":
        assert np.array_equal(np.load(tmp_path / "coef.npy"), model.coef_)


@pytest.mark.parametrize("per_target", [False, True])
def test_leave_one_out_of_one_space_is_ridge_cv(device, per_target):
    data = planted(t=60, sizes=(20, 60), s=9)
    plain = RidgeCV(ALPHAS, alpha_per_target=per_target, gcv_mode="svd").fit(data.X, data.Y)
    model = BandedRidgeCV(
        ALPHAS,
        cv="loo",
        scoring="neg_mean_squared_error",
        alpha_per_target=per_target,
        device=device,
    ).fit(data.X, data.Y)
    assert np.array_equal(model.alpha_, plain.alpha_)
    assert np.allclose(model.best_score_, plain.best_score_)
    assert np.allclose(model.predict(data.X), plain.predict(data.X))


def test_blocks_limits_and_files_change_nothing(tmp_path):
    data = planted(t=64, sizes=(20, 44), s=50)
    np.save(tmp_path / "Y.npy", data.Y)
    options = {"spaces": data.spaces, "candidates": 6, "refine": 4}
    for per_target in (False, True):
        whole = BandedRidgeCV(ALPHAS, alpha_per_target=per_target, **options).fit(data.X, data.Y)
        leanest = _least_memory(BandedRidgeCV(ALPHAS, alpha_per_target=per_target, **options), data)
        lean = BandedRidgeCV(
            ALPHAS, alpha_per_target=per_target, memory_limit=leanest, **options
        ).fit(data.X, np.load(tmp_path / "Y.npy", mmap_mode="r"))
        assert lean.plan_.width < 50 or not per_target
        assert lean.plan_.peak_bytes <= leanest
        assert np.array_equal(lean.alpha_, whole.alpha_)
        assert np.array_equal(lean.weights_, whole.weights_)
        assert np.allclose(lean.coef_, whole.coef_, rtol=1e-9, atol=1e-12)


def _least_memory(model, data):
    """Return the smallest limit that a plan fits, as the refusal of 1 byte names it."""
    model = model.set_params(memory_limit=1)
    with pytest.raises(ResourceError) as refusal:
        model.plan_shape(*data.X.shape, data.Y.shape[1], np.float64)
    return int(str(refusal.value).partition("(")[2].partition(" bytes")[0])


@pytest.mark.parametrize("per_target", [False, True])
def test_a_space_of_noise_is_penalised_and_the_planted_one_found(per_target):
    data = planted(t=150, sizes=(40, 400), s=60, noise=0.7)
    train, test = data.split(120)
    found = {}
    for name, spaces in (("banded", data.spaces), ("ridge", None)):
        model = BandedRidgeCV(
            np.logspace(-1, 5, 13), spaces=spaces, candidates=20, alpha_per_target=per_target
        ).fit(data.X[train], data.Y[train, :][:, data.follows == 0])
        r = pearson_r(data.Y[test][:, data.follows == 0], model.predict(data.X[test]))
        found[name] = r.mean(), model
    assert found["banded"][0] > found["ridge"][0] + 0.05
    penalties = found["banded"][1].penalties_
    assert np.median(penalties[1] / penalties[0]) > 5


def test_himalaya_chooses_the_same_for_every_target():
    ridge = pytest.importorskip("himalaya.ridge")
    data, weights, peer = _himalaya(local_alpha=True)
    train, test = data.split(120)
    model = _own(data, weights, train, alpha_per_target=True)
    group = ridge.GroupRidgeCV(groups=data.spaces, fit_intercept=True, cv=KFold(4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        group.set_params(solver_params=peer).fit(data.X[train], data.Y[train])
    own = pearson_r(data.Y[test], model.predict(data.X[test]))
    assert np.allclose(own, pearson_r(data.Y[test], group.predict(data.X[test])), atol=1e-6)


def test_himalaya_chooses_the_same_for_all_targets():
    ridge = pytest.importorskip("himalaya.kernel_ridge")
    data, weights, peer = _himalaya(local_alpha=False)
    train, test = data.split(120)
    model = _own(data, weights, train)
    parts = [data.X[:, data.spaces == g] for g in (0, 1)]
    kernels = np.stack([part @ part.T for part in parts])
    multiple = ridge.MultipleKernelRidgeCV(
        kernels="precomputed", solver="random_search", fit_intercept=True, cv=KFold(4)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        multiple.set_params(solver_params=peer).fit(kernels[:, :120, :120], data.Y[train])
    own = pearson_r(data.Y[test], model.predict(data.X[test]))
    found = multiple.predict(kernels[:, 120:, :120])
    assert np.allclose(own, pearson_r(data.Y[test], found), atol=1e-6)


def _himalaya(local_alpha):
    """Return a problem, candidate weights, and himalaya's options for the same candidates."""
    scoring = pytest.importorskip("himalaya.scoring")
    weights = np.random.default_rng(0).dirichlet([1, 1], 12)
    options = {
        "n_iter": weights,
        "alphas": ALPHAS,
        "local_alpha": local_alpha,
        "score_func": scoring.r2_score,
        "progress_bar": False,
    }
    return planted(t=160, sizes=(30, 200), s=90, seed=3), weights, options


def _own(data, weights, train, **options):
    model = BandedRidgeCV(
        ALPHAS,
        spaces=data.spaces,
        candidates=weights,
        refine=0,
        balanced=False,
        cv=KFold(4),
        **options,
    )
    return model.fit(data.X[train], data.Y[train])


def test_with_one_space_it_is_ridge_with_folds():
    data = planted(t=50, sizes=(10, 10), s=4)
    model = BandedRidgeCV(ALPHAS).fit(data.X, data.Y)
    assert model.weights_.tolist() == [1.0]
    assert model.plan_.shape.candidates == 1
    expected = Ridge(alpha=model.alpha_).fit(data.X, data.Y).predict(data.X)
    assert np.allclose(model.predict(data.X), expected)


def test_balanced_kernels_have_one_trace():
    data = planted(t=60, sizes=(5, 80), s=3)
    X = data.X * np.where(data.spaces, 100.0, 1.0)
    model = BandedRidgeCV(ALPHAS * 1e4, spaces=data.spaces, candidates=[[0.5, 0.5]], refine=0)
    weights = model.fit(X, data.Y).weights_
    Xc = X - X.mean(axis=0)
    traces = [(Xc[:, data.spaces == g] ** 2).sum() for g in (0, 1)]
    assert weights[0] * traces[0] == pytest.approx(weights[1] * traces[1])


def test_targets_that_sums_cannot_score_are_predicted():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 60))
    Y = X @ rng.standard_normal((60, 200)) * 1e-3
    X[:, :3] = Y[:, :3]  # explained to the last digits
    Y = np.tile(Y[:, :3] * 1e6, (1, 60))
    model = BandedRidgeCV([1e-9, 1e3], spaces=[0] * 3 + [1] * 57, **FEW).fit(X, Y)
    again = BandedRidgeCV([1e-9, 1e3], spaces=[0] * 3 + [1] * 57, alpha_per_target=True, **FEW).fit(
        X, Y
    )
    expected = again.cv_results_["mean_scores"]
    assert np.allclose(model.cv_results_["mean_scores"], expected, equal_nan=True)


def test_penalties_that_are_too_small_are_counted():
    data = planted(t=40, sizes=(3, 5), s=2)
    model = BandedRidgeCV([1e-20, 1.0], spaces=data.spaces, candidates=3, refine=0)
    with pytest.warns(RuntimeWarning, match=r"\b3 of 6\b"):
        model.fit(data.X * 1e3, data.Y)
    assert np.isnan(model.cv_results_["mean_scores"]).sum() == 3
    with pytest.raises(InputError):
        BandedRidgeCV([1e-20], spaces=data.spaces).fit(data.X * 1e3, data.Y)


def test_constant_targets_have_no_score_and_are_fitted():
    data = planted(t=50, sizes=(5, 8), s=4)
    data.Y[:, 1] = 3.0
    model = BandedRidgeCV(ALPHAS, spaces=data.spaces, candidates=4, alpha_per_target=True)
    model.fit(data.X, data.Y)
    assert np.isnan(model.best_score_).tolist() == [False, True, False, False]
    assert np.allclose(model.predict(data.X)[:, 1], 3.0)


def test_the_seed_fixes_the_answer():
    data = planted(t=50, sizes=(5, 8), s=4)
    fits = [
        BandedRidgeCV(ALPHAS, spaces=data.spaces, candidates=6, refine=4, seed=seed)
        .fit(data.X, data.Y)
        .cv_results_["weights"]
        for seed in (0, 0, 1)
    ]
    assert np.array_equal(fits[0], fits[1])
    assert not np.array_equal(fits[0], fits[2])
    assert fits[0].shape == (10, 2)
    assert np.allclose(fits[0].sum(axis=1), 1)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"cv": "gcv"}, InputError),
        ({"cv": 1}, InputError),
        ({"scoring": "r3"}, UnknownNameError),
        ({"spaces": [0, 1]}, InputError),
        ({"spaces": [0] * 12 + [2]}, InputError),
        ({"candidates": 0}, InputError),
        ({"candidates": [[1.0, -1.0]]}, InputError),
        ({"candidates": [[0.0, 0.0]]}, InputError),
        ({"candidates": [[1.0, 1.0, 1.0]]}, InputError),
        ({"refine": -1}, InputError),
        ({"alphas": [0.0]}, InputError),
        ({"dtype": "int8"}, InputError),
        ({"device": "gpu"}, InputError),
    ],
)
def test_parameters_that_no_fit_can_use_are_refused(options, error):
    data = planted(t=20, sizes=(5, 8), s=2)
    with pytest.raises(error):
        BandedRidgeCV(**{"spaces": data.spaces, **options}).fit(data.X, data.Y)


def test_values_that_are_not_finite_are_named():
    data = planted(t=20, sizes=(5, 8), s=2)
    data.Y[3, 1] = np.nan
    with pytest.raises(InputError, match="row 3, column 1"):
        BandedRidgeCV(spaces=data.spaces).fit(data.X, data.Y)
