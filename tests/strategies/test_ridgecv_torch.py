"""scikit-learn's RidgeCV on torch arrays: numpy's answers, torch's library in the record."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import get_config
from sklearn.linear_model import RidgeCV

from bench_core import strategies
from bench_core.errors import InputError
from bench_core.strategies import _array_api
from tests.devices import needs_torch, torch_devices, usable_device

ALPHAS = (0.1, 1.0, 10.0, 100.0, 1000.0)


@pytest.fixture
def device(request, monkeypatch):
    for name, value in _array_api.VARIABLE.items():
        monkeypatch.setenv(name, value)
    return usable_device(request.param)


def fitted(device, *data, **options):
    return strategies.get("ridgecv")(ALPHAS, device=device, **options).fit(*data)


@torch_devices
@pytest.mark.parametrize("gcv_mode", [None, "svd", "eigen"])
@pytest.mark.parametrize("alpha_per_target", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize(("t", "p", "s"), [(60, 12, 5), (30, 45, 1)])
def test_answers_are_those_of_numpy(
    make_problem, device, t, p, s, fit_intercept, alpha_per_target, gcv_mode
):
    X, Y = make_problem(t, p, s)
    options = {"alpha_per_target": alpha_per_target, "gcv_mode": gcv_mode}
    model = fitted(device, X, Y, fit_intercept=fit_intercept, **options)
    expected = RidgeCV(ALPHAS, fit_intercept=fit_intercept, **options).fit(X, Y)
    np.testing.assert_array_equal(model.alpha_, expected.alpha_)
    scores = model.cv_results_["best_score"]
    np.testing.assert_allclose(scores, expected.best_score_, rtol=1e-9)
    np.testing.assert_allclose(model.coef_, expected.coef_.reshape(s, p), atol=1e-10)
    np.testing.assert_allclose(model.predict(X), expected.predict(X).reshape(t, s), atol=1e-9)
    assert type(model.coef_) is type(model.intercept_) is np.ndarray
    assert model.chosen_alphas().shape == (s,)
    assert not get_config()["array_api_dispatch"]


@torch_devices
@pytest.mark.parametrize("scoring", ["r2", "neg_mean_squared_error"])
def test_scores_by_name(make_problem, device, scoring):
    X, Y = make_problem(60, 12, 5)
    model, expected = (fitted(place, X, Y, scoring=scoring) for place in (device, "cpu"))
    assert model.alpha_ == expected.alpha_
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-10)


@torch_devices
@pytest.mark.parametrize("dtype", ["float32", "int64"])
def test_types_are_those_of_numpy(make_problem, device, dtype):
    X, Y = (np.round(10 * one).astype(dtype) for one in make_problem(60, 12, 5))
    model, expected = (fitted(place, X, Y) for place in (device, "cpu"))
    assert model.coef_.dtype == expected.coef_.dtype
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-5)


@needs_torch
def test_a_process_without_the_variable_is_told(make_problem, monkeypatch):
    for name in _array_api.VARIABLE:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="SCIPY_ARRAY_API=1"):
        fitted("torch", *make_problem(20, 5, 2))


def test_folds_are_refused_before_anything_runs():
    model = strategies.get("ridgecv")(ALPHAS, device="torch", cv=3)
    with pytest.raises(InputError, match="device = 'torch'"):
        model.check_options(60)
    strategies.get("ridgecv")(ALPHAS, cv=3).check_options(60)


def test_an_estimator_without_arrays_of_the_standard_is_refused():
    class Old:
        pass

    _array_api.check_dispatch(Old(), "cpu")
    with pytest.raises(InputError, match="scikit-learn"):
        _array_api.check_dispatch(Old(), "torch")


def test_a_process_is_given_what_it_needs_and_no_more():
    assert strategies.get("ridgecv")(device="torch").variables == {"SCIPY_ARRAY_API": "1"}
    for name in ("ridgecv", "multitarget", "himalaya"):
        assert strategies.get(name)().variables == {}
