"""Reducers against scikit-learn, closed forms and their own promises."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA as Reference

from bench_core.errors import InputError, UnknownNameError
from encoders.reducers import FittedReducer, check_order, label, parse
from encoders.reducers.none import NoReduction
from encoders.reducers.pca import PCA
from encoders.reducers.pool import Pooling
from encoders.reducers.project import SparseProjection, projection_matrix


def test_none_keeps_every_value_in_order() -> None:
    features = np.random.default_rng(0).normal(size=(3, 2, 4, 5))
    np.testing.assert_array_equal(NoReduction().reduce(features, 1), features.reshape(3, 40))


@pytest.mark.parametrize("axis", [1, 2, 3, -1, -3])
def test_pooling_averages_all_but_samples_and_channels(axis: int) -> None:
    features = np.random.default_rng(0).normal(size=(3, 4, 5, 6))
    moved = np.moveaxis(features, axis, 1)
    expected = moved.reshape(3, moved.shape[1], -1).mean(-1)
    np.testing.assert_allclose(Pooling().reduce(features, axis), expected, rtol=1e-6)


def test_pooling_leaves_vectors_and_keeps_precision() -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 7))
    np.testing.assert_array_equal(Pooling().reduce(vectors, 1), vectors)
    large = np.full((1, 2, 300, 300), 10, dtype=np.float16)  # the sum is beyond float16
    np.testing.assert_array_equal(Pooling().reduce(large, 1), [[10, 10]])
    with pytest.raises(InputError, match="axis 0"):
        Pooling().reduce(vectors, 0)


@pytest.mark.parametrize(("n", "q"), [(200, 12), (12, 200), (30, 30)])
def test_pca_is_scikit_learns(n: int, q: int) -> None:
    rng = np.random.default_rng(0)
    # A mean far from zero: what is lost to cancellation would show.
    training = rng.normal(size=(n, 8)) @ rng.normal(size=(8, q)) + 1000.0
    training += 0.1 * rng.normal(size=(n, q))
    other = training[:5] + rng.normal(size=(5, q))
    ours, theirs = PCA(6), Reference(6, svd_solver="full").fit(training)
    ours.fit(np.array_split(training, 4), (n, q))
    expected = theirs.transform(other)
    found = ours.reduce(other, 1)
    signs = np.sign((found * expected).sum(0))
    np.testing.assert_allclose(found * signs, expected, rtol=1e-4, atol=1e-4)
    directions = ours.state()["directions"]
    assert (directions[np.arange(6), np.abs(directions).argmax(1)] > 0).all()


def test_pca_restored_is_the_same() -> None:
    training = np.random.default_rng(0).normal(size=(40, 5))
    one, other = PCA(2), PCA(2)
    one.fit([training], training.shape)
    other.restore(one.state())
    np.testing.assert_array_equal(one.reduce(training, 1), other.reduce(training, 1))


def test_pca_refuses_what_it_cannot_do() -> None:
    training = np.random.default_rng(0).normal(size=(6, 9))
    with pytest.raises(InputError, match="5 or fewer"):
        PCA(6).fit([training], (6, 9))
    with pytest.raises(InputError, match="fitted"):
        PCA(2).reduce(training, 1)
    with pytest.raises(InputError, match="fitted"):
        PCA(2).state()
    fitted = PCA(2)
    fitted.fit([training], (6, 9))
    with pytest.raises(InputError, match=r"8 features.* 9"):
        fitted.reduce(training[:, :8], 1)
    with pytest.raises(InputError, match="3 directions"):
        PCA(3).fit([np.outer(np.arange(6.0), np.ones(9))], (6, 9))
    with pytest.raises(InputError, match="0 principal components"):
        PCA(0)


@settings(max_examples=20, deadline=None)
@given(d=st.integers(1, 3000), components=st.integers(1, 60), seed=st.integers(0, 99))
def test_the_projection_is_sparse_signed_and_seeded(d: int, components: int, seed: int) -> None:
    matrix = projection_matrix(components, d, seed)
    assert matrix.shape == (components, d)
    scale = np.sqrt(np.sqrt(d) / components)
    np.testing.assert_allclose(np.abs(matrix.data), scale, rtol=1e-6)
    size = d * components
    expected = size / np.sqrt(d)
    deviation = 6 * np.sqrt(expected) + 1
    assert abs(matrix.nnz - expected) <= deviation
    assert abs(np.sign(matrix.data).sum()) <= 6 * np.sqrt(matrix.nnz) + 1
    again = projection_matrix(components, d, seed)
    assert (matrix != again).nnz == 0
    if size > 2000:
        assert (matrix != projection_matrix(components, d, seed + 1)).nnz > 0


def test_projection_keeps_distances() -> None:
    points = np.random.default_rng(0).normal(size=(20, 2, 40, 50)).astype(np.float32)
    found = SparseProjection(3000, seed=1).reduce(points, 1)
    assert found.shape == (20, 3000)
    flat = points.reshape(20, -1)
    before = np.linalg.norm(flat[:, None] - flat, axis=-1)[np.triu_indices(20, 1)]
    after = np.linalg.norm(found[:, None] - found, axis=-1)[np.triu_indices(20, 1)]
    ratio = after / before
    # Standard deviation of a ratio about 1/√(2 · 3000).
    assert abs(ratio.mean() - 1) < 0.02
    assert ratio.std() < 0.03


def test_projection_matrix_is_frozen() -> None:
    """Features stored years ago must meet the same matrix: these numbers may never change."""
    matrix = projection_matrix(3, 16, 0)
    assert matrix.indices.tolist() == [2, 3, 11, 13, 15, 4, 5, 0, 14]
    assert np.sign(matrix.data).astype(int).tolist() == [1, -1, 1, -1, 1, 1, 1, 1, -1]


def test_reducers_are_named_in_order_on_one_line() -> None:
    found = parse("pool, project=20,pca=5")
    assert [type(each) for each in found] == [Pooling, SparseProjection, PCA]
    assert label(found) == "pool-project-pca"
    assert [isinstance(each, FittedReducer) for each in found] == [False, False, True]
    assert json.loads(json.dumps(found[1].identity())) == {
        "name": "project",
        "components": 20,
        "seed": 0,
    }


@pytest.mark.parametrize("text", ["pca", "pool=3", "pca=x", "project=2.5"])
def test_a_count_too_few_or_too_many_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=re.escape(repr(text))):
        parse(text)


def test_a_reducer_that_is_not_there_or_not_in_place_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="'project'"):
        parse("projekt=3")
    with pytest.raises(InputError, match="pca"):
        parse("pca=3,pool")
    with pytest.raises(InputError, match="-1 projected features"):
        parse("project=-1")
    check_order([])
