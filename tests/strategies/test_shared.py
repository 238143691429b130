"""One factorisation for all targets, in one process and over nodes: RidgeCV's answer."""

import os
import shutil
from functools import cache

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.base import clone
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold, PredefinedSplit

from bench_core import strategies
from bench_core.errors import InputError, RidgebenchError
from bench_core.strategies.bmor_shared import SharedBatches
from tests.devices import torch_devices

ALPHAS = (0.1, 3.0, 30.0, 300.0, 3000.0)
TOLERANCE = {"f8": 1e-9, "f4": 2e-5}
SHARED = ["bmor-shared", "multitarget"]


def fitted(name, cluster_of, nodes, X, Y, **parameters):
    cls = strategies.get(name)
    cluster = cluster_of(nodes) if cls.distributed else None
    return cls(ALPHAS, cluster=cluster, **parameters).fit(X, Y)


def assert_ridgecv(model, X, Y, fit_intercept=True):
    """Compare coefficients, intercepts, penalty, score, predictions with plain RidgeCV's."""
    # gcv_mode="svd", as "eigen" loses digits of its own.
    plain = RidgeCV(ALPHAS, fit_intercept=fit_intercept, gcv_mode="svd")
    plain.fit(X.astype("f8"), Y.astype("f8"))
    s, p = Y.shape[1], X.shape[1]
    tolerance = TOLERANCE[X.dtype.str[1:]]
    coef = plain.coef_.reshape(s, p)
    assert model.alpha_ == plain.alpha_
    np.testing.assert_array_equal(model.chosen_alphas(), np.full(s, plain.alpha_))
    assert model.cv_results_["best_score"] == pytest.approx(plain.best_score_, rel=tolerance)
    assert model.cv_results_["mean_scores"].argmax() == ALPHAS.index(plain.alpha_)
    np.testing.assert_allclose(model.coef_, coef, atol=tolerance * np.abs(coef).max(), rtol=0)
    np.testing.assert_allclose(
        model.intercept_, np.broadcast_to(plain.intercept_, s), atol=tolerance * 10, rtol=0
    )
    assert model.coef_.dtype == model.intercept_.dtype == X.dtype
    predicted = model.predict(X)
    assert predicted.shape == Y.shape
    expected = plain.predict(X.astype("f8")).reshape(Y.shape)
    np.testing.assert_allclose(predicted, expected, atol=tolerance * 100, rtol=0)


@pytest.mark.parametrize(("dtype", "fit_intercept"), [("f8", True), ("f8", False), ("f4", True)])
@pytest.mark.parametrize("s", [6, 7, 2], ids=lambda s: f"s={s}")
@pytest.mark.parametrize(("t", "p"), [(60, 12), (25, 40)], ids=["tall", "wide"])
@pytest.mark.parametrize(
    ("name", "nodes"), [("multitarget", 1), *(("bmor-shared", c) for c in (1, 2, 3))]
)
def test_answer_is_ridgecvs(cluster_of, make_problem, name, nodes, t, p, s, dtype, fit_intercept):
    X, Y = make_problem(t, p, s, dtype)
    model = fitted(name, cluster_of, nodes, X, Y, fit_intercept=fit_intercept)
    assert_ridgecv(model, X, Y, fit_intercept)


@pytest.mark.parametrize("factorise", ["one", "each"])
@pytest.mark.parametrize("selection", ["shared", "each"])
@pytest.mark.parametrize(
    ("t", "p", "form"), [(60, 12, "primal"), (60, 12, "dual"), (30, 45, "dual")]
)
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_every_way_to_divide_the_work(
    cluster_of, make_problem, monkeypatch, t, p, form, selection, factorise, dtype
):
    monkeypatch.setattr(SharedBatches, "_selection", selection)
    X, Y = make_problem(t, p, 41, dtype)
    for fit_intercept in (True, False):
        model = fitted(
            "bmor-shared",
            cluster_of,
            3,
            X,
            Y,
            solver=form,
            factorise=factorise,
            fit_intercept=fit_intercept,
        )
        plan = model.plan_
        assert (plan.form, plan.selection, plan.factorise) == (form, selection, factorise)
        assert_ridgecv(model, X, Y, fit_intercept)


@pytest.mark.parametrize(("t", "p"), [(80, 12), (30, 45)])
def test_number_of_nodes_changes_nothing_but_rounding(cluster_of, make_problem, t, p):
    X, Y = make_problem(t, p, 50)
    one, two, three = (fitted("bmor-shared", cluster_of, c, X, Y) for c in (1, 2, 3))
    for other in (two, three):
        assert other.alpha_ == one.alpha_
        scores = other.cv_results_["mean_scores"]
        np.testing.assert_allclose(scores, one.cv_results_["mean_scores"], rtol=1e-12)
        scale = np.abs(one.coef_).max()
        np.testing.assert_allclose(other.coef_, one.coef_, atol=1e-13 * scale, rtol=0)


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("s", [5, 400])
def test_small_penalties_beside_large_singular_values(cluster_of, name, s):
    # Products with X instead of Q = X V would lose (w / λ)² ε, all digits here.
    rng = np.random.default_rng(1)
    U, V = (np.linalg.qr(rng.standard_normal((n, 12)))[0] for n in (90, 12))
    X = U * np.geomspace(3e4, 3e-2, 12) @ V.T
    Y = X @ rng.standard_normal((12, s)) + rng.standard_normal((90, s))
    alphas = (1e-3, 1e-1, 10.0)
    cls = strategies.get(name)
    model = cls(alphas, cluster=cluster_of(2) if cls.distributed else None).fit(X, Y)
    # Residuals are some 1e7 times smaller than targets: too small for differences of sums.
    assert (model.plan_.form, model.plan_.selection) == ("primal", "each")
    plain = RidgeCV(alphas, gcv_mode="svd").fit(X, Y)
    assert model.alpha_ == plain.alpha_
    assert model.cv_results_["best_score"] == pytest.approx(plain.best_score_, rel=1e-9)
    np.testing.assert_allclose(model.predict(X), plain.predict(X), atol=1e-8)


@pytest.mark.parametrize("name", SHARED)
def test_float32_gives_way_where_it_could_not_tell_penalties_apart(cluster_of, name):
    # Targets that X explains to the last digit: residuals are rounding errors in float32.
    rng = np.random.default_rng(2)
    X = rng.standard_normal((80, 10)).astype("f4")
    Y = X @ rng.standard_normal((10, 30)).astype("f4")
    alphas = (1e-3, 2e-3, 5.0)
    cls = strategies.get(name)
    model = cls(alphas, cluster=cluster_of(2) if cls.distributed else None).fit(X, Y)
    assert model.plan_.shape.dtype == "float64"
    assert model.alpha_ == RidgeCV(alphas, gcv_mode="svd").fit(X, Y).alpha_
    assert model.coef_.dtype == np.float32


@pytest.mark.parametrize("name", SHARED)
def test_precision_may_be_chosen(cluster_of, make_problem, name):
    X, Y = make_problem(60, 12, 9)
    model = fitted(name, cluster_of, 2, X, Y, dtype="float32")
    assert model.plan_.shape.dtype == "float32"
    assert model.alpha_ == RidgeCV(ALPHAS).fit(X, Y).alpha_
    difference = np.abs(model.coef_ - fitted(name, cluster_of, 2, X, Y).coef_).max()
    assert 0 < difference < 1e-4
    with pytest.raises(InputError, match="float16"):
        fitted(name, cluster_of, 2, X, Y, dtype="float16")


@pytest.mark.parametrize("nodes", [2, 3])
@pytest.mark.parametrize("selection", ["shared", "each"])
@pytest.mark.parametrize(("t", "p", "form"), [(150, 200, "dual"), (300, 80, "primal")])
def test_bytes_moved_are_the_plans(
    cluster_of, make_problem, monkeypatch, tmp_path, nodes, t, p, form, selection
):
    monkeypatch.setattr(SharedBatches, "_selection", selection)
    left = []

    def rmtree(folder, **_options):
        left.append(sum(entry.stat().st_size for entry in os.scandir(folder)))

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    X, Y = make_problem(t, p, 500)
    cluster = cluster_of(nodes)
    before = cluster.bytes_moved()
    plan = fitted("bmor-shared", cluster_of, nodes, X, Y, solver=form, factorise="one").plan_
    after = cluster.bytes_moved()
    moved = {way: after[way] - before[way] for way in after}
    # Besides the sums: messages of a few kB per task, and intercepts.
    assert plan.sum_bytes <= moved["between_workers"] < plan.sum_bytes * 1.02 + 20_000
    assert moved["to_workers"] + moved["from_workers"] < 60_000 * nodes
    assert plan.file_bytes <= left[0] < plan.file_bytes + 8 * p + 2000
    assert plan.file_bytes > 0


@pytest.mark.parametrize("nodes", [2, 3])
def test_each_node_factorising_moves_no_files(cluster_of, make_problem, monkeypatch, nodes):
    counted = []
    monkeypatch.setattr(shutil, "rmtree", lambda folder, **_: counted.append(os.listdir(folder)))
    X, Y = make_problem(40, 60, 30)
    plan = fitted("bmor-shared", cluster_of, nodes, X, Y, factorise="each").plan_
    assert plan.file_bytes == 0
    assert counted == [[]]


def test_plan_is_asked_before_anything_runs(cluster_of, make_problem):
    X, Y = make_problem(30, 45, 20)
    model = strategies.get("bmor-shared")(ALPHAS, cluster=cluster_of(2))
    asked = model.plan(30, 45, 20, nodes=2)
    done = model.fit(X, Y).plan_
    assert asked.text == str(done)
    assert (asked.strategy, asked.nodes, asked.form) == ("bmor-shared", 2, done.form)
    assert asked.node_bytes == done.node_bytes
    assert asked.peak_bytes == sum(done.node_bytes)
    assert asked.settings["sum_bytes"] == done.sum_bytes
    for part in ("5 nodes", "30 samples", "kernel X Xᵀ"):
        assert part in model.plan(30, 45, 20, nodes=5).text


class Stubborn(np.memmap):
    """A mapped file that refuses to be pickled."""

    def __reduce__(self):
        raise AssertionError("the array was pickled")

    def __reduce_ex__(self, protocol):
        raise AssertionError("the array was pickled")


def test_mapped_files_are_never_pickled_and_nothing_is_left(cluster_of, make_problem, tmp_path):
    X, Y = make_problem(60, 70, 25)
    files = []
    for name, values in (("X", X), ("Y", Y)):
        np.save(tmp_path / f"{name}.npy", values)
        files.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r").view(Stubborn))
    cluster = cluster_of(2)
    before = sorted(os.listdir(cluster.scratch))
    model = fitted("bmor-shared", cluster_of, 2, *files)
    assert sorted(os.listdir(cluster.scratch)) == before
    assert isinstance(model.coef_, np.memmap)
    assert_ridgecv(model, X, Y)
    Y[7, 24] = np.inf
    with pytest.raises(InputError, match=r"Y.*inf.*row 7.*column 24"):
        fitted("bmor-shared", cluster_of, 2, X, Y)
    assert sorted(os.listdir(cluster.scratch)) == before


@pytest.mark.parametrize("name", SHARED)
def test_coefficients_are_kept_where_asked(cluster_of, make_problem, tmp_path, name):
    X, Y = make_problem(40, 60, 30)
    path = tmp_path / "coef.npy"
    model = fitted(name, cluster_of, 2, X, Y, coef=str(path))
    np.testing.assert_array_equal(np.load(path), model.coef_)
    assert os.listdir(tmp_path) == ["coef.npy"]
    for wrong in (tmp_path / "coef.txt", tmp_path / "absent" / "coef.npy"):
        with pytest.raises(InputError, match=r"npy|does not exist"):
            fitted(name, cluster_of, 2, X, Y, coef=str(wrong))


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("where", ["X", "Y"])
@pytest.mark.parametrize(("t", "p"), [(60, 12), (25, 40)])
def test_not_finite_is_named_by_its_place(cluster_of, make_problem, name, where, t, p):
    arrays = dict(zip("XY", make_problem(t, p, 9), strict=True))
    arrays[where][17, 8] = np.nan
    with pytest.raises(InputError, match=f"{where}.*nan.*row 17.*column 8"):
        fitted(name, cluster_of, 2, arrays["X"], arrays["Y"])


@pytest.mark.parametrize("name", SHARED)
def test_constant_targets_and_large_means(cluster_of, make_problem, name):
    X, Y = make_problem(60, 12, 6)
    Y[:, 1] = 4.0
    Y[:, 2] += 1e6
    model = fitted(name, cluster_of, 2, X, Y)
    np.testing.assert_allclose(model.coef_[1], 0, atol=1e-12)
    assert model.intercept_[1] == pytest.approx(4.0)
    plain = Ridge(alpha=model.alpha_).fit(X, Y)
    np.testing.assert_allclose(model.predict(X), plain.predict(X), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", SHARED)
def test_parameters_are_scikit_learns(name):
    model = strategies.get(name)([1.0, 2.0], dtype="float32", fit_intercept=False)
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    assert copy.dtype == "float32"
    assert model.claims_ridgecv


@pytest.mark.parametrize("name", SHARED)
def test_progress_is_told_to_the_end(cluster_of, make_problem, name):
    told = []
    X, Y = make_problem(25, 40, 9)
    fitted(name, cluster_of, 2, X, Y, progress=lambda *words: told.append(words))
    assert {what for what, _, _ in told} >= {"solving"}
    for what in {what for what, _, _ in told}:
        done, total = [(done, total) for name, done, total in told if name == what][-1]
        assert done == total > 0


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize(("t", "p", "s"), [(900, 300, 20), (300, 900, 20), (100, 600, 900)])
def test_memory_estimate_is_of_the_right_size(name, t, p, s):
    needed = [strategies.get(name).bytes_needed(t, p, s, "f8", c) for c in (1, 2, 4)]
    held = 8 * (t * p + t * s + p * s)
    assert held < needed[0] < 20 * held
    assert (len(set(needed)) == 3) == strategies.get(name).distributed


class TestMultitarget:
    def test_without_coefficients(self, make_problem):
        X, Y = make_problem(40, 60, 30)
        cls = strategies.get("multitarget")
        model, with_coef = (cls(ALPHAS, coef=coef).fit(X[:30], Y[:30]) for coef in (None, "memory"))
        assert not hasattr(model, "coef_")
        np.testing.assert_allclose(model.predict(X[30:]), with_coef.predict(X[30:]), atol=1e-10)
        np.testing.assert_array_equal(model.chosen_alphas(), np.full(30, with_coef.alpha_))
        with pytest.raises(InputError, match=r"X.*\(40, 59\).*60"):
            model.predict(X[:, :59])

    @pytest.mark.parametrize("coef", [None, "memory"])
    def test_fit_and_r_in_one_pass(self, make_problem, coef):
        X, Y = make_problem(60, 80, 20)
        model = strategies.get("multitarget")(ALPHAS, coef=coef)
        r = model.fit_score(X[:40], Y[:40], X[40:], Y[40:])
        predicted = RidgeCV(ALPHAS).fit(X[:40], Y[:40]).predict(X[40:])
        expected = [pearsonr(a, b).statistic for a, b in zip(Y[40:].T, predicted.T, strict=True)]
        np.testing.assert_allclose(r, expected, atol=1e-9)
        assert model.n_features_in_ == 80

    @pytest.mark.parametrize("cv", [4, "runs"])
    def test_folds_as_ridgecv_has_them(self, make_problem, cv):
        X, Y = make_problem(60, 12, 5)
        runs = np.repeat([7, 1, 7, 4], 15)
        model = strategies.get("multitarget")(ALPHAS, cv=runs if cv == "runs" else cv).fit(X, Y)
        plain = RidgeCV(ALPHAS, cv=PredefinedSplit(runs) if cv == "runs" else cv).fit(X, Y)
        assert model.alpha_ == plain.alpha_
        assert model.cv_results_["best_score"] == pytest.approx(plain.best_score_)
        np.testing.assert_allclose(model.coef_, plain.coef_, atol=1e-10)

    def test_memory_limit_is_the_plans(self, make_problem):
        X, Y = make_problem(60, 12, 500)
        cls = strategies.get("multitarget")
        free = cls(ALPHAS, coef=None).plan(60, 12, 500)
        tight = cls(ALPHAS, coef=None, memory_limit=free.peak_bytes - 100_000).fit(X, Y).plan_
        assert tight.peak_bytes < free.peak_bytes
        assert tight.width < free.settings["width"]


RUNS = np.repeat([7, 1, 7, 4, 2], [13, 11, 12, 15, 12])
SCHEMES = {"loo": None, "4 folds": 4, "by run": RUNS}


def plainly(X, Y, cv, scoring):
    """Return every penalty's score (r,) by scikit-learn's Ridge and held-out predictions."""
    return np.array(_scores(scoring, cv, X.dtype.str, X.shape, Y.shape, X.tobytes(), Y.tobytes()))


@cache
def _scores(scoring, *data):
    return [np.mean([SCORERS[scoring](*pair) for pair in pairs]) for pairs in _held_out(*data)]


@cache
def _held_out(cv, dtype, x_shape, y_shape, x_bytes, y_bytes):
    """Return, for every penalty, what was held out and its prediction; once for the same data."""
    X = np.frombuffer(x_bytes, dtype).reshape(x_shape).astype("f8")
    Y = np.frombuffer(y_bytes, dtype).reshape(y_shape).astype("f8")
    splits = {
        "loo": lambda: KFold(len(X)),
        "4 folds": lambda: KFold(4),
        "by run": lambda: PredefinedSplit(np.unique(RUNS, return_inverse=True)[1]),
    }[cv]().split(X)
    pairs = list(splits)
    found = []
    for alpha in ALPHAS:
        held_out = [
            (
                Y[test],
                Ridge(alpha=alpha, solver="cholesky").fit(X[train], Y[train]).predict(X[test]),
            )
            for train, test in pairs
        ]
        if cv == "loo":
            held_out = [tuple(np.concatenate(part) for part in zip(*held_out, strict=True))]
        found.append(held_out)
    return found


SCORERS = {
    "neg_mean_squared_error": lambda y, z: -np.mean((y - z) ** 2),
    "r2": lambda y, z: r2_score(y, z),
    "pearson": lambda y, z: np.mean(
        [pearsonr(a, b).statistic for a, b in zip(y.T, z.T, strict=True)]
    ),
}


@pytest.mark.parametrize(("s", "dtype"), [(7, "f8"), (200, "f8"), (200, "f4")])
@pytest.mark.parametrize("scoring", list(SCORERS))
@pytest.mark.parametrize("cv", list(SCHEMES))
@pytest.mark.parametrize(("p", "solver"), [(12, "primal"), (12, "dual"), (90, "dual")])
def test_every_validation_and_score_on_any_number_of_nodes(
    cluster_of, make_problem, cv, scoring, p, solver, dtype, s
):
    X, Y = make_problem(63, p, s, dtype)
    options = {"cv": SCHEMES[cv], "scoring": scoring, "solver": solver}
    alone = fitted("multitarget", cluster_of, 1, X, Y, **options)
    expected = plainly(X, Y, cv, scoring)
    rtol = {"f8": 1e-8, "f4": 2e-4}[dtype]
    scores = alone.cv_results_["mean_scores"]
    np.testing.assert_allclose(scores, expected, rtol=rtol, atol=rtol / 10)
    assert alone.alpha_ == ALPHAS[int(np.argmax(expected))]
    plain = Ridge(alpha=alone.alpha_).fit(X.astype("f8"), Y.astype("f8"))
    for nodes in (1, 2, 3) if dtype == "f8" else (3,):
        model = fitted("bmor-shared", cluster_of, nodes, X, Y, **options)
        assert model.plan_.form == solver
        assert model.alpha_ == alone.alpha_
        np.testing.assert_allclose(
            model.cv_results_["mean_scores"],
            scores,
            rtol={"f8": 1e-11, "f4": 1e-5}[dtype],
            atol={"f8": 1e-14, "f4": 1e-6}[dtype],  # r2 and r may be near 0
        )
        atol = TOLERANCE[dtype] * np.abs(plain.coef_).max()
        np.testing.assert_allclose(model.coef_, plain.coef_, atol=atol, rtol=0)
        atol = TOLERANCE[dtype] * 10 * (1 + np.abs(plain.intercept_).max())
        np.testing.assert_allclose(model.intercept_, plain.intercept_, atol=atol, rtol=0)


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("scoring", [None, "r2", "neg_mean_squared_error"])
@pytest.mark.parametrize("cv", list(SCHEMES))
def test_penalty_is_ridgecvs_for_its_own_scores(cluster_of, make_problem, name, scoring, cv):
    X, Y = make_problem(63, 12, 9)
    model = fitted(name, cluster_of, 2, X, Y, cv=SCHEMES[cv], scoring=scoring)
    folds = SCHEMES[cv]
    if cv == "by run":
        folds = PredefinedSplit(np.unique(RUNS, return_inverse=True)[1])
    plain = RidgeCV(ALPHAS, cv=folds, scoring=scoring).fit(X, Y)
    assert model.alpha_ == plain.alpha_
    assert model.cv_results_["best_score"] == pytest.approx(float(plain.best_score_), rel=1e-9)


@pytest.mark.parametrize("factorise", ["one", "each"])
@pytest.mark.parametrize("selection", ["shared", "each"])
@pytest.mark.parametrize("solver", ["dual", "primal"])
@pytest.mark.parametrize("scoring", ["neg_mean_squared_error", "r2"])
def test_folds_in_every_division(
    cluster_of, make_problem, monkeypatch, factorise, selection, solver, scoring
):
    monkeypatch.setattr(SharedBatches, "_selection", selection)
    X, Y = make_problem(63, 20, 11)
    Y[:, 3] = 2.5
    options = {"cv": 3, "scoring": scoring, "solver": solver, "factorise": factorise}
    model = fitted("bmor-shared", cluster_of, 3, X, Y, **options)
    assert (model.plan_.form, model.plan_.selection) == (solver, selection)
    alone = fitted("multitarget", cluster_of, 1, X, Y, cv=3, scoring=scoring)
    np.testing.assert_allclose(
        model.cv_results_["mean_scores"], alone.cv_results_["mean_scores"], rtol=1e-10
    )
    np.testing.assert_allclose(model.coef_, alone.coef_, atol=1e-9)


@torch_devices
def test_nodes_compute_with_torch(cluster_of, make_problem, device):
    for t, p, cv in ((40, 60, None), (60, 20, 3)):
        X, Y = make_problem(t, p, 30)
        model = fitted("bmor-shared", cluster_of, 2, X, Y, device=device, cv=cv)
        alone = fitted("multitarget", cluster_of, 1, X, Y, cv=cv)
        assert model.alpha_ == alone.alpha_
        np.testing.assert_allclose(model.coef_, alone.coef_, atol=1e-10)


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize(
    ("options", "value"), [({"scoring": "r3"}, "r3"), ({"solver": "dua"}, "dua"), ({"cv": 1}, "1")]
)
def test_unusable_options_are_named(cluster_of, make_problem, name, options, value):
    with pytest.raises(RidgebenchError, match=value):
        fitted(name, cluster_of, 1, *make_problem(20, 5, 4), **options)
