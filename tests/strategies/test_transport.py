"""What strategies move between processes, what they leave behind, and how their nodes fail."""

import os
import signal

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from bench_core import strategies
from bench_core.cluster import NodeLostError, local

ALPHAS = (1.0, 100.0)
DISTRIBUTED = ["bmor", "mor"]


class Stubborn(np.memmap):
    """A mapped file that refuses to be pickled."""

    def __reduce__(self):
        raise AssertionError("the array was pickled")

    def __reduce_ex__(self, protocol):
        raise AssertionError("the array was pickled")


def stubborn(path, values):
    np.save(path, values)
    return np.load(path, mmap_mode="r").view(Stubborn)


@pytest.mark.parametrize("name", DISTRIBUTED)
def test_mapped_x_and_y_are_never_pickled(cluster_of, make_problem, tmp_path, name):
    X, Y = make_problem(60, 12, 5)
    cluster = cluster_of(2)
    files = stubborn(tmp_path / "X.npy", X), stubborn(tmp_path / "Y.npy", Y)
    before = sorted(os.listdir(cluster.scratch))
    model = strategies.get(name)(ALPHAS, cluster=cluster).fit(*files)
    assert sorted(os.listdir(cluster.scratch)) == before
    in_memory = strategies.get(name)(ALPHAS, cluster=cluster).fit(X, Y)
    np.testing.assert_array_equal(model.coef_, in_memory.coef_)


@pytest.mark.parametrize("name", DISTRIBUTED)
@pytest.mark.parametrize("kept", ["memory", "file"])
def test_bytes_moved_do_not_grow_with_x(cluster_of, make_problem, tmp_path, name, kept):
    cluster = cluster_of(2)
    t, p, s = 3000, 50, 12
    X, Y = make_problem(t, p, s)
    if kept == "file":
        X, Y = stubborn(tmp_path / "X.npy", X), stubborn(tmp_path / "Y.npy", Y)
    before = cluster.bytes_moved()["total"]
    strategies.get(name)(ALPHAS, cluster=cluster).fit(X, Y)
    moved = cluster.bytes_moved()["total"] - before
    # X has 1.2 MB, a column of Y 24 kB. What travels: a few kB of message for every task.
    assert moved < 12_000 * (s if name == "mor" else 2)
    assert moved < X.nbytes / 5


def test_bmor_sends_no_coefficients_through_the_scheduler(cluster_of, make_problem):
    cluster = cluster_of(2)
    X, Y = make_problem(40, 800, 60)
    before = cluster.bytes_moved()["total"]
    model = strategies.get("bmor")(ALPHAS, cluster=cluster).fit(X, Y)
    assert cluster.bytes_moved()["total"] - before < model.coef_.nbytes / 10
    assert isinstance(model.coef_, np.memmap)


def test_fits_leave_no_files_but_their_results_outlive_the_cluster(make_problem, tmp_path):
    X, Y = make_problem(40, 8, 5)
    with local(1, 1, scratch=tmp_path) as cluster:
        before = sorted(os.listdir(cluster.scratch))
        models = [strategies.get(name)(ALPHAS, cluster=cluster).fit(X, Y) for name in DISTRIBUTED]
        assert sorted(os.listdir(cluster.scratch)) == before
    assert list(tmp_path.iterdir()) == []
    for model in models:
        assert np.isfinite(model.predict(X)).all()
        with pytest.raises(NodeLostError, match="is closed: start another"):
            model.fit(X, Y)


class Folds:
    """A splitter that does something else than splitting, on the node."""

    def get_n_splits(self, X=None, y=None, groups=None):
        return 2


class Broken(Folds):
    def split(self, X, y=None, groups=None):
        raise KeyError("no folds for these samples")


class Tell(Folds):
    def split(self, X, y=None, groups=None):
        raise KeyError(f"in process {os.getpid()}")


class Deadly(Folds):
    def __init__(self):
        self.maker = os.getpid()

    def split(self, X, y=None, groups=None):
        assert os.getpid() != self.maker, "the fit runs in the test's own process"
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", DISTRIBUTED)
def test_error_on_a_node_is_raised_as_it_was(cluster_of, make_problem, name):
    X, Y = make_problem(40, 8, 5)
    cluster = cluster_of(2)
    with pytest.raises(KeyError, match="folds"):
        strategies.get(name)(ALPHAS, cluster=cluster, cv=Broken()).fit(X, Y)
    again = strategies.get(name)(ALPHAS, cluster=cluster).fit(X, Y)
    assert np.isfinite(again.coef_).all()


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("name", DISTRIBUTED)
def test_fits_run_on_nodes_even_if_there_is_one(cluster_of, make_problem, name, nodes):
    cluster = cluster_of(nodes)
    pids = "|".join(str(node.pid) for node in cluster.workers)
    with pytest.raises(KeyError, match=f"in process ({pids})"):
        strategies.get(name)(ALPHAS, cluster=cluster, cv=Tell()).fit(*make_problem(40, 8, 5))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", DISTRIBUTED)
def test_killed_node_ends_the_fit_with_its_name(make_problem, tmp_path, name):
    X, Y = make_problem(40, 8, 5)
    with local(1, 1, scratch=tmp_path) as cluster:
        pid = cluster.workers[0].pid
        with pytest.raises(NodeLostError, match=rf"node 0.*{pid}.*SIGKILL"):
            strategies.get(name)(ALPHAS, cluster=cluster, cv=Deadly()).fit(X, Y)
        remaining = [file for file in os.listdir(cluster.scratch) if file.endswith(".npy")]
        assert remaining == []
    assert list(tmp_path.iterdir()) == []


def test_number_of_nodes_does_not_change_mor(cluster_of, make_problem):
    X, Y = make_problem(60, 12, 7)
    models = [strategies.get("mor")(ALPHAS, cluster=cluster_of(c)).fit(X, Y) for c in (1, 2, 3)]
    for model in models[1:]:
        np.testing.assert_allclose(model.coef_, models[0].coef_, rtol=1e-12)
    plain = np.stack([RidgeCV(ALPHAS).fit(X, y).coef_ for y in Y.T])
    np.testing.assert_allclose(models[0].coef_, plain, rtol=1e-9)
