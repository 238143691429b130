"""Pearson's r against scipy's, its edges, and the summary."""

from __future__ import annotations

import json
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr

from bench_core.accuracy import pearson_r, shuffled_rows, summary
from bench_core.errors import InputError


def scipy_r(a, b):
    return np.array([pearsonr(a[:, j], b[:, j]).statistic for j in range(a.shape[1])])


@given(
    seed=st.integers(0, 2**32 - 1),
    t=st.integers(3, 80),
    s=st.integers(1, 5),
    offset=st.floats(-1e3, 1e3),
    scale=st.sampled_from([1e-180, 1e-3, 1.0, 1e180]),
)
def test_equals_scipy(seed, t, s, offset, scale):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((t, s))
    b = (rng.uniform(-1, 1) * a + rng.standard_normal((t, s)) + offset) * scale
    np.testing.assert_allclose(pearson_r(a, b), scipy_r(a, b), rtol=0, atol=1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_many_blocks_and_float32_lose_no_digits(dtype, order):
    rng = np.random.default_rng(1)
    # 40,000 × 60 float64 are several blocks; an offset of 1000 ruins float32 sums of squares.
    a = rng.standard_normal((40_000, 60)).astype(dtype)
    b = (0.3 * a + rng.standard_normal(a.shape) + 1_000).astype(dtype)
    a, b = np.asarray(a, order=order), np.asarray(b, order=order)
    r = pearson_r(a, b)
    assert r.dtype == np.float64
    np.testing.assert_allclose(
        r, scipy_r(a.astype("float64"), b.astype("float64")), rtol=0, atol=1e-10
    )


def test_undefined_is_nan_without_warnings():
    rng = np.random.default_rng(2)
    good = rng.standard_normal((7, 5))
    bad = good.copy()
    bad[:, 0] = 0.1  # its mean over 7 samples is not exactly 0.1
    bad[:, 1] = 0
    bad[3, 2] = np.nan
    bad[4, 3] = np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for r in (pearson_r(good, bad), pearson_r(bad, good), pearson_r(bad, bad)):
            assert np.isnan(r[:4]).all()
            assert r[4] == pytest.approx(1)


def test_never_beyond_one():
    rng = np.random.default_rng(3)
    a = rng.standard_normal((3, 2_000))
    assert pearson_r(a, 3 * a).max() <= 1
    assert pearson_r(a, -a).min() >= -1
    assert pearson_r(a[:2], np.sort(a[:2], axis=0)) == pytest.approx(np.sign(a[1] - a[0]))


def test_temporaries_are_bounded():
    a = np.random.default_rng(4).standard_normal((4_000, 4_000), dtype=np.float32)  # 64 MB
    tracemalloc.start()
    pearson_r(a, a[::-1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < a.nbytes * 2 / 3


@pytest.mark.parametrize(
    ("a", "b"), [((4, 2), (4, 3)), ((4, 2), (5, 2)), ((4,), (4,)), ((1, 2), (1, 2))]
)
def test_shapes_that_do_not_fit(a, b):
    with pytest.raises(InputError, match=str(a[0])):
        pearson_r(np.ones(a), np.ones(b))


def test_summary_counts_and_skips_undefined():
    found = summary([0.1, np.nan, 0.5, 0.3])
    assert found["mean"] == pytest.approx(0.3)
    assert found["median"] == pytest.approx(0.3)
    assert found["max"] == 0.5
    assert found["p95"] == pytest.approx(0.48)
    assert (found["defined"], found["undefined"]) == (3, 1)


def test_summary_of_nothing_is_none_and_fits_json():
    found = summary([np.nan, np.nan])
    assert found["mean"] is None
    assert found["max"] is None
    assert found["undefined"] == 2
    json.dumps(found, allow_nan=False)


@given(t=st.integers(1, 200), seed=st.integers(0, 2**31))
def test_shuffled_rows_is_a_seeded_permutation(t, seed):
    rows = shuffled_rows(t, seed=seed)
    assert sorted(rows) == list(range(t))
    assert (rows == shuffled_rows(t, seed=seed)).all()


def test_shuffles_differ_between_seeds():
    assert (shuffled_rows(100, seed=0) != shuffled_rows(100, seed=1)).any()
