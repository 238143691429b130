"""himalaya's ridge as a strategy; where it is not installed, the tests say so."""

import tracemalloc

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from bench_core import strategies
from bench_core.errors import InputError, UnknownNameError, install_command
from bench_core.ridge import GridEdgeWarning
from bench_core.strategies import _himalaya as strategy
from tests.devices import usable_device
from tests.strategies.peers import needs_himalaya

ALPHAS = (0.1, 3.0, 30.0, 300.0, 3000.0)
TOLERANCE = {"f8": 1e-9, "f4": 2e-3}


@pytest.fixture(params=["numpy", "torch", "torch_cuda"])
def backend(request):
    usable_device({"numpy": "cpu", "torch": "torch", "torch_cuda": "cuda"}[request.param])
    return request.param


def k_fold_scores(X, Y, cv, fit_intercept):
    """Return minus the mean squared error on held-out folds, by plain Ridge, for each penalty."""
    X, Y = X.astype("f8"), Y.astype("f8")
    scores = np.zeros((len(ALPHAS), cv))
    for fold, (train, test) in enumerate(KFold(cv).split(X)):
        for row, alpha in enumerate(ALPHAS):
            ridge = Ridge(alpha=alpha, fit_intercept=fit_intercept).fit(X[train], Y[train])
            scores[row, fold] = -np.mean((Y[test] - ridge.predict(X[test])) ** 2)
    return scores.mean(axis=1)


@needs_himalaya
@pytest.mark.parametrize("solver", ["ridge", "kernel"])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["intercept", "no intercept"])
@pytest.mark.parametrize(("t", "p"), [(60, 12), (30, 45)])
def test_k_fold_ridge_by_scikit_learn(make_problem, t, p, fit_intercept, dtype, solver, backend):
    X, Y = make_problem(t, p, 5, dtype)
    if dtype == "f4" and solver == "kernel":
        X -= X.mean(axis=0)  # himalaya forms X Xᵀ first and centres it then: means cost digits
    model = strategies.get("himalaya")(
        ALPHAS, fit_intercept=fit_intercept, solver=solver, backend=backend
    ).fit(X, Y)
    scores = k_fold_scores(X, Y, 5, fit_intercept)
    assert model.alpha_ == ALPHAS[int(np.argmax(scores))]
    assert model.cv_results_["best_score"] == pytest.approx(scores.max(), rel=1e-4)
    assert model.cv_results_["solver"] == solver
    ridge = Ridge(alpha=model.alpha_, fit_intercept=fit_intercept)
    ridge.fit(X.astype("f8"), Y.astype("f8"))
    atol = TOLERANCE[dtype]
    np.testing.assert_allclose(model.coef_, ridge.coef_, atol=atol)
    np.testing.assert_allclose(model.intercept_, ridge.intercept_, atol=atol)
    np.testing.assert_allclose(model.predict(X), ridge.predict(X), atol=atol)
    assert type(model.coef_) is np.ndarray
    assert model.coef_.dtype == model.intercept_.dtype == model.predict(X).dtype == X.dtype


@needs_himalaya
def test_penalties_at_a_time_change_memory_only(make_problem):
    X, Y = make_problem(60, 12, 5)
    one, all_five = (strategies.get("himalaya")(ALPHAS, alphas_batch=n).fit(X, Y) for n in (1, 5))
    assert one.alpha_ == all_five.alpha_
    np.testing.assert_allclose(one.coef_, all_five.coef_, rtol=1e-10)


@needs_himalaya
@pytest.mark.parametrize(("t", "p", "solver"), [(60, 12, "ridge"), (12, 60, "kernel")])
def test_solver_that_himalaya_recommends(make_problem, recwarn, t, p, solver):
    model = strategies.get("himalaya")(ALPHAS).fit(*make_problem(t, p, 3))
    assert model.cv_results_["solver"] == solver
    assert [one for one in recwarn.list if one.category is not GridEdgeWarning] == []


@needs_himalaya
def test_global_backend_is_put_back(make_problem, backend):
    from himalaya.backend import get_backend, set_backend

    before = get_backend().name
    set_backend("numpy")
    try:
        strategies.get("himalaya")(ALPHAS, backend=backend).fit(*make_problem(20, 4, 2))
        assert get_backend().name == "numpy"
    finally:
        set_backend(before)


@needs_himalaya
@pytest.mark.parametrize(("t", "p", "s"), [(600, 500, 30), (600, 100, 900), (300, 900, 20)])
def test_memory_estimate_covers_what_the_fit_allocates(make_problem, t, p, s):
    X, Y = make_problem(t, p, s)
    cls = strategies.get("himalaya")
    tracemalloc.start()
    try:
        cls(ALPHAS).fit(X, Y)
        peak = tracemalloc.get_traced_memory()[1] + X.nbytes + Y.nbytes
    finally:
        tracemalloc.stop()
    assert peak < cls.bytes_needed(t, p, s, "f8", 1) < 2.2 * peak


@needs_himalaya
def test_bad_options(make_problem):
    X, Y = make_problem(20, 4, 2)
    cls = strategies.get("himalaya")
    with pytest.raises(UnknownNameError, match=r"backend 'nump'.*'numpy'"):
        cls(backend="nump").fit(X, Y)
    with pytest.raises(UnknownNameError, match=r"solver 'kernels'.*'kernel'"):
        cls(solver="kernels").fit(X, Y)
    for cv in (1, 21):
        with pytest.raises(InputError, match=rf"cv = {cv}\D+20\D+2\D+20"):
            cls(cv=cv).fit(X, Y)
    with pytest.raises(InputError, match="alphas_batch = 0"):
        cls(alphas_batch=0).fit(X, Y)
    X[3, 2] = np.nan
    with pytest.raises(InputError, match=r"X.*nan.*row 3.*column 2"):
        cls().fit(X, Y)


def test_not_installed_is_a_reason_and_an_error_not_a_crash(monkeypatch, make_problem):
    monkeypatch.setattr(strategy, "find_spec", lambda _name: None)
    cls = strategies.get("himalaya")
    assert cls.skip(690, 163, 4, 1, 1) == (f"himalaya is not installed: {install_command('peers')}")
    with pytest.raises(InputError, match=r"himalaya.*pip install"):
        cls().fit(*make_problem(20, 4, 2))


@needs_himalaya
def test_torch_backend_without_torch(monkeypatch, make_problem):
    monkeypatch.setattr(strategy, "find_spec", lambda name: None if name == "torch" else name)
    with pytest.raises(InputError, match="torch is not installed"):
        strategies.get("himalaya")(backend="torch").fit(*make_problem(20, 4, 2))


def test_more_than_one_node_is_a_reason(monkeypatch):
    monkeypatch.setattr(strategy, "find_spec", lambda name: name)
    reason = strategies.get("himalaya").skip(690, 163, 4, 2, 1)
    assert reason == "himalaya runs in one process: nodes must be 1, not 2"
