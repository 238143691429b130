"""What is common to strategies: names, parameters, estimates, refusals."""

import re
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge

from bench_core import strategies
from bench_core.data import THESIS_ALPHAS
from bench_core.errors import InputError, UnknownNameError
from bench_core.strategies import Strategy, check_strategy

BUILT_IN = ["bmor", "mor", "ridgecv"]


def test_built_in_strategies_say_what_they_are():
    assert set(BUILT_IN) <= set(strategies.names())
    for name in strategies.names():
        cls = strategies.get(name)
        assert issubclass(cls, Strategy)
        if not cls.__module__.startswith("bench_core."):
            continue  # another test's, which may be odd
        assert cls.name == name
        assert cls.summary
        assert cls.penalty_scope in ("all", "batch", "target")


def test_unknown_strategy_offers_near_names():
    with pytest.raises(UnknownNameError, match=r"strategy 'bmro'.*'bmor'.*ridgecv"):
        strategies.get("bmro")


def documented_example() -> str:
    """Return the class that docs/own-strategy.md shows to whoever adds a strategy."""
    text = (Path(__file__).parents[2] / "docs" / "own-strategy.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    return next(block for block in blocks if "class Plain" in block)


def test_strategy_of_an_installed_package_is_found(tmp_path, monkeypatch, make_problem):
    (tmp_path / "my_package.py").write_text(documented_example(), encoding="utf-8")
    installed = tmp_path / "my_package-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(
        "[ridgebench.strategies]\nplain = my_package:Plain\n"
    )
    assert "plain" not in strategies.names()
    monkeypatch.syspath_prepend(tmp_path)
    try:
        assert "plain" in strategies.names()
        X, Y = make_problem(30, 5, 3)
        model = strategies.get("plain")((7.0, 8.0)).fit(X, Y)
        np.testing.assert_allclose(model.predict(X), Ridge(alpha=7.0).fit(X, Y).predict(X))
        assert model.bytes_needed(10, 2, 1, "f8", 1) > 0
        check_strategy(strategies.get("plain"))
        with pytest.raises(UnknownNameError, match="did you mean 'plain'"):
            strategies.get("plane")
    finally:
        sys.modules.pop("my_package", None)


def test_float32_is_fitted_in_the_precision_that_the_documentation_says(make_problem):
    X, Y = make_problem(60, 12, 4, "f4")
    cls = strategies.get("ridgecv")
    leave_one_out = cls((3.0, 30.0)).fit(X, Y).coef_
    doubled = cls((3.0, 30.0)).fit(X.astype("f8"), Y.astype("f8")).coef_
    np.testing.assert_array_equal(leave_one_out, doubled.astype("f4"))
    folds = cls((3.0, 30.0), cv=3).fit(X, Y).coef_
    doubled = cls((3.0, 30.0), cv=3).fit(X.astype("f8"), Y.astype("f8")).coef_
    assert (folds != doubled.astype("f4")).any()
    np.testing.assert_allclose(folds, doubled, atol=1e-4)


@pytest.mark.parametrize("name", BUILT_IN)
def test_parameters_are_scikit_learns(cluster_of, name):
    cls = strategies.get(name)
    cluster = cluster_of(1) if cls.distributed else None
    model = cls([1.0, 2.0], fit_intercept=False, cluster=cluster, gcv_mode="svd")
    assert model.get_params() == {
        "alphas": [1.0, 2.0],
        "fit_intercept": False,
        "cluster": cluster,
        "gcv_mode": "svd",
        "cv": None,
        "scoring": None,
        **({"alpha_per_target": False, "device": "cpu"} if name == "ridgecv" else {}),
    }
    copy = clone(model)
    assert copy is not model
    assert copy.get_params() == model.get_params()
    assert copy.cluster is cluster
    assert copy.set_params(cv=5, gcv_mode=None).cv == 5
    assert cls().alphas == THESIS_ALPHAS


def test_score_is_scikit_learns(make_problem):
    X, Y = make_problem(60, 12, 3)
    model = strategies.get("ridgecv")((1.0,)).fit(X, Y)
    residual = ((Y - model.predict(X)) ** 2).sum(axis=0) / ((Y - Y.mean(0)) ** 2).sum(axis=0)
    assert model.score(X, Y) == pytest.approx(np.mean(1 - residual))


def test_more_nodes_than_a_strategy_can_use_are_skipped_with_a_reason():
    parcels = 690, 163, 4
    assert strategies.get("ridgecv").skip(*parcels, 1, 32) is None
    reason = strategies.get("ridgecv").skip(*parcels, 2, 1)
    assert reason == "ridgecv runs in one process: nodes must be 1, not 2"
    for name in ("bmor", "mor"):
        assert strategies.get(name).skip(*parcels, 8, 32) is None


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize(
    ("t", "p", "s"), [(900, 300, 20), (300, 900, 20), (600, 100, 900), (100, 600, 900)]
)
def test_memory_estimate_covers_what_the_fit_allocates(make_problem, t, p, s, dtype):
    X, Y = make_problem(t, p, s, dtype)
    model = strategies.get("ridgecv")((1.0, 10.0, 100.0))
    tracemalloc.start()
    try:
        model.fit(X, Y)
        peak = tracemalloc.get_traced_memory()[1] + X.nbytes + Y.nbytes
    finally:
        tracemalloc.stop()
    # LAPACK's own workspace is not traced, so the estimate lies above, but not far.
    estimate = strategies.get("ridgecv").bytes_needed(t, p, s, dtype, 1)
    assert 0.95 * peak < estimate < 1.7 * peak


@pytest.mark.parametrize("name", ["bmor", "mor"])
def test_memory_estimate_grows_with_nodes(name):
    needed = [strategies.get(name).bytes_needed(1000, 200, 50, "f8", c) for c in (1, 2, 4, 8)]
    assert needed == sorted(set(needed))


def test_full_size_needs_what_it_needs():
    # 69,202 × 16,384 in float64 is 8.4 GiB; a fit holds several arrays of that size.
    needed = strategies.get("ridgecv").bytes_needed(69_202, 16_384, 444, "f8", 1)
    assert 30 * 2**30 < needed < 80 * 2**30


def bad(values, row, column, value):
    values = values.copy()
    values[row, column] = value
    return values


@pytest.mark.parametrize("name", BUILT_IN)
class TestBadInput:
    @pytest.fixture
    def fit(self, cluster_of, name):
        cls = strategies.get(name)
        cluster = cluster_of(2) if cls.distributed else None

        def fit(X, Y, alphas=(1.0, 10.0), **options):
            return cls(alphas, cluster=cluster, **options).fit(X, Y)

        return fit

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_not_finite_in_x(self, fit, make_problem, value):
        X, Y = make_problem(30, 5, 6)
        with pytest.raises(InputError, match=f"X.*{value}.*row 17.*column 3"):
            fit(bad(X, 17, 3, value), Y)

    def test_nan_in_y_names_the_target(self, fit, make_problem, tmp_path):
        X, Y = make_problem(30, 5, 6)
        np.save(tmp_path / "Y.npy", bad(Y, 4, 5, np.nan))
        with pytest.raises(InputError, match=r"Y.*nan.*row 4.*column 5"):
            fit(X, np.load(tmp_path / "Y.npy", mmap_mode="r"))

    def test_unequal_t(self, fit, make_problem):
        X, Y = make_problem(30, 5, 6)
        with pytest.raises(InputError, match=r"X\D+30\D+Y\D+29"):
            fit(X, Y[:29])

    def test_no_targets(self, fit, make_problem):
        X, Y = make_problem(30, 5, 6)
        with pytest.raises(InputError, match="no targets"):
            fit(X, Y[:, :0])

    def test_one_dimensional_y(self, fit, make_problem):
        X, Y = make_problem(30, 5, 6)
        with pytest.raises(InputError, match="two dimensions"):
            fit(X, Y[:, 0])

    @pytest.mark.parametrize(
        ("alphas", "message"),
        [
            ((), "no candidate penalty"),
            ((1.0, 0.0), "penalty 0 is not"),
            ((-2.0,), "penalty -2 is not"),
            ((1.0, np.nan), "penalty nan is not"),
            ((1.0, 3.0, 1.0), "penalty 1 is given more than once"),
        ],
    )
    def test_penalties(self, fit, make_problem, alphas, message):
        with pytest.raises(InputError, match=message):
            fit(*make_problem(30, 5, 6), alphas=alphas)

    def test_options(self, fit, make_problem):
        X, Y = make_problem(30, 5, 6)
        with pytest.raises(UnknownNameError, match=r"gcv_mode 'eign'.*'eigen'"):
            fit(X, Y, gcv_mode="eign")
        with pytest.raises(InputError, match=r"cv = 1\D+2"):
            fit(X, Y, cv=1)
        with pytest.raises(InputError, match=r"cv = 31\D+30"):
            fit(X, Y, cv=31)
        with pytest.raises(InputError, match=r"3 samples.*X\D+30"):
            fit(X, Y, cv=[1, 1, 2])
        with pytest.raises(InputError, match="every sample in one run"):
            fit(X, Y, cv=np.ones(30, int))
        with pytest.raises(InputError, match="leave it or cv out"):
            fit(X, Y, cv=5, gcv_mode="svd")

    def test_other_features_in_predict(self, fit, make_problem):
        X, Y = make_problem(30, 5, 6)
        model = fit(X, Y)
        with pytest.raises(InputError, match=r"X.*\(30, 4\).*5"):
            model.predict(X[:, :4])

    def test_predict_before_fit(self, fit, name):
        with pytest.raises(NotFittedError):
            strategies.get(name)().predict(np.ones((2, 2)))


def test_cluster_where_none_is_used_and_none_where_one_is(cluster_of, make_problem):
    X, Y = make_problem(30, 5, 6)
    with pytest.raises(InputError, match=r"bmor.*cluster=local"):
        strategies.get("bmor")().fit(X, Y)
    with pytest.raises(InputError, match=r"ridgecv.*cluster"):
        strategies.get("ridgecv")(cluster=cluster_of(1)).fit(X, Y)


@pytest.mark.parametrize("name", BUILT_IN)
def test_constant_targets_are_fitted_as_they_are(cluster_of, make_problem, name, recwarn):
    X, Y = make_problem(30, 5, 3)
    Y[:, 1] = 4.0
    cls = strategies.get(name)
    model = cls((1.0,), cluster=cluster_of(2) if cls.distributed else None).fit(X, Y)
    np.testing.assert_allclose(model.coef_[1], 0, atol=1e-12)
    assert model.intercept_[1] == pytest.approx(4.0)
    assert not recwarn.list
