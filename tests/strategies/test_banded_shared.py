"""``banded-shared``: the answer of ``banded``, whatever the number of nodes."""

from __future__ import annotations

import os

import numpy as np
import pytest

from bench_core import strategies
from bench_core.cli import cli
from bench_core.cluster import Ledger, Recovery
from bench_core.data import FeatureSpaces, Problem
from bench_core.errors import InputError, ResourceError
from bench_core.records import Record, read
from tests.ridge.planted_spaces import planted

ALPHAS = (1.0, 10.0, 100.0, 1000.0)
SPACES = {"small": 10, "large": 50}


def data(s=9, **options):
    return planted(t=80, sizes=(10, 50), s=s, **options)


def both(cluster, X, Y, **options):
    common = {"spaces": SPACES, "candidates": 6, "refine": 4, **options}
    one = strategies.get("banded")(ALPHAS, **common).fit(X, Y)
    return one, strategies.get("banded-shared")(ALPHAS, cluster=cluster, **common).fit(X, Y)


@pytest.mark.parametrize("nodes", [1, 2, 3])
@pytest.mark.parametrize("per_target", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cv": None},
        {"scoring": "pearson"},
        {"scoring": "neg_mean_squared_error", "fit_intercept": False},
        {"balanced": False, "cv": "runs"},
    ],
    ids=["r2", "loo", "pearson", "squares", "runs"],
)
def test_the_answer_is_that_of_one_process(cluster_of, nodes, per_target, options):
    found = data(seed=nodes)
    X, Y = found.X[:60], found.Y[:60]
    options = dict(options)
    if options.get("cv") == "runs":
        # Not in the order of the rows.
        options["cv"] = (np.arange(60) % 4).tolist()
    one, many = both(cluster_of(nodes), X, Y, alpha_per_target=per_target, **options)
    assert np.array_equal(one.chosen_alphas(), many.chosen_alphas())
    assert np.allclose(one.penalties_, many.penalties_)
    assert np.allclose(one.cv_results_["weights"], many.cv_results_["weights"])
    scores = one.cv_results_["mean_scores"]
    assert np.allclose(scores, many.cv_results_["mean_scores"], equal_nan=True)
    assert np.allclose(one.cv_results_["best_score"], many.cv_results_["best_score"])
    assert np.allclose(one.coef_, many.coef_, atol=1e-10)
    assert np.allclose(one.intercept_, many.intercept_)
    assert np.allclose(one.predict(found.X[60:]), many.predict(found.X[60:]))
    scales = one.feature_scales(np.array([0, 8]))
    assert np.allclose(scales, many.feature_scales(np.array([0, 8])))


@pytest.mark.parametrize("per_target", [False, True])
def test_what_spaces_explain_is_found_on_the_nodes(cluster_of, per_target):
    found = data(seed=5)
    one, many = both(cluster_of(2), found.X[:60], found.Y[:60], alpha_per_target=per_target)
    X, Y = found.X[60:], found.Y[60:]
    ours, theirs = many.held_out_results(X, Y), one.held_out_results(X, Y)
    assert list(ours) == list(theirs)
    for name, values in theirs.items():
        assert np.allclose(ours[name], values, atol=1e-8), name


def test_fewer_targets_than_nodes_and_a_constant_one(cluster_of):
    found = data(s=2)
    found.Y[:, 1] = 3.0
    one, many = both(cluster_of(3), found.X, found.Y, alpha_per_target=True)
    assert np.array_equal(one.chosen_alphas(), many.chosen_alphas())
    assert np.allclose(one.predict(found.X), many.predict(found.X))


def test_single_precision_stays_single(cluster_of):
    found = data(seed=2)
    X, Y = found.X.astype("f4"), found.Y.astype("f4")
    one, many = both(cluster_of(2), X, Y)
    assert many.coef_.dtype == many.predict(X).dtype == np.float32
    assert np.allclose(one.predict(X), many.predict(X), atol=1e-4)


def test_explained_completely_every_target_is_predicted_instead(cluster_of):
    found = data(noise=0.0)
    one, many = both(cluster_of(2), found.X, found.Y - 2.0)
    assert np.array_equal(one.chosen_alphas(), many.chosen_alphas())


@pytest.mark.parametrize("per_target", [False, True])
def test_finished_work_is_used_and_not_done_again(cluster_of, tmp_path, monkeypatch, per_target):
    """An interruption after every step; the next process begins with what is on the disk."""
    found, cluster = data(), cluster_of(2)
    X, Y = found.X[:60], found.Y[:60]
    _, expected = both(cluster, X, Y, alpha_per_target=per_target)

    class Interrupting(Ledger):
        def keep(self, name, result):
            super().keep(name, result)
            raise KeyboardInterrupt

    times, resumed = {}, []
    for kind in (Interrupting, Interrupting, Interrupting, Ledger):
        ledger = kind(tmp_path)
        monkeypatch.setattr(cluster, "recovery", Recovery(2, ledger))
        if kind is Interrupting:
            with pytest.raises(KeyboardInterrupt):
                both(cluster, X, Y, alpha_per_target=per_target)
        else:
            _, again = both(cluster, X, Y, alpha_per_target=per_target)
        resumed.append(ledger.resumed)
        now = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("batch-*")}
        assert now | times == now  # none was written anew
        times = now
    assert resumed == [0, 1, 2, 3]
    assert set(times) == {"batch-scores.npz", "batch-0.npz", "batch-1.npz"}
    for name in ("alpha_", "penalties_", "coef_", "intercept_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(expected, name))
    scores = expected.cv_results_["mean_scores"]
    np.testing.assert_array_equal(again.cv_results_["mean_scores"], scores)


def test_the_plan_keeps_every_node_within_its_part_of_the_memory(cluster_of):
    kind = strategies.get("banded-shared")
    wide = {"spaces": SPACES, "alpha_per_target": True}
    free = kind(ALPHAS, **wide).plan(1000, 60, 20_000, nodes=4)
    assert len(free.node_bytes) == 4
    assert free.peak_bytes == sum(free.node_bytes)
    limit = int(free.peak_bytes * 0.8)
    lean = kind(ALPHAS, memory_limit=limit, **wide).plan(1000, 60, 20_000, nodes=4)
    assert max(lean.node_bytes) <= limit // 4
    with pytest.raises(ResourceError):
        kind(ALPHAS, memory_limit=10**6, **wide).plan(1000, 60, 20_000, nodes=4)
    found = data()
    model = kind(ALPHAS, spaces=SPACES, candidates=4, refine=0, cluster=cluster_of(2))
    planned = model.plan(80, 60, 9, nodes=2)
    assert model.fit(found.X, found.Y).carried_out() == planned


def test_coefficients_are_kept_where_asked_and_nothing_is_left(cluster_of, tmp_path):
    found, cluster = data(), cluster_of(2)
    before = sorted(os.listdir(cluster.scratch))
    path = tmp_path / "coef.npy"
    _, many = both(cluster, found.X, found.Y)
    model = strategies.get("banded-shared")(
        ALPHAS, spaces=SPACES, candidates=6, refine=4, coef=str(path), cluster=cluster
    ).fit(found.X, found.Y)
    assert np.array_equal(np.load(path), many.coef_)
    assert np.array_equal(model.coef_, many.coef_)
    assert sorted(os.listdir(cluster.scratch)) == before
    found.Y[3, 2] = np.nan
    with pytest.raises(InputError, match="row 3"):
        both(cluster, found.X, found.Y)
    assert sorted(os.listdir(cluster.scratch)) == before


def test_a_fit_over_two_nodes_from_command_to_record(tmp_path):
    found = planted(t=120, sizes=(10, 50), s=9, runs=6)
    Problem.from_arrays(found.X, found.Y, found.runs, feature_spaces=FeatureSpaces.of(SPACES)).save(
        tmp_path / "problem"
    )
    out = tmp_path / "out"
    words = ["fit", "banded-shared", str(tmp_path / "problem"), "--out", str(out)]
    words += ["--nodes", "2", "--threads", "1", "--hardware-threads", "--split", "run"]
    words += ["--cv", "run", "--alphas", "1,10,100,1000", "--option", "candidates=6"]
    words += ["--option", "refine=0", "--scratch", str(tmp_path / "s"), "--no-figures"]
    with pytest.raises(SystemExit) as ended:
        cli.main(words, standalone_mode=False)
    assert ended.value.code == 0
    record = read(Record, out / "record.json")
    assert record.status == "ok"
    assert record.agreement.agrees
    assert len(record.plan.node_bytes) == 2
    arrays = {path.stem: np.load(path) for path in out.glob("*.npy")}
    assert np.allclose(arrays["space_r"].sum(axis=0), arrays["r"])
    assert arrays["coef"].shape == (9, 60)
