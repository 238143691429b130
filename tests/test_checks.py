"""Bad input is refused with its value; good input passes, cheaply."""

from __future__ import annotations

import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_core.checks import (
    check_alphas,
    check_memory,
    check_xy,
    constant_columns,
    row_blocks,
)
from bench_core.errors import InputError, ResourceError


def test_alphas_keep_their_order_and_become_float64():
    found = check_alphas(a for a in (10, 0.1, 1))
    assert found.dtype == np.float64
    assert found.tolist() == [10, 0.1, 1]
    assert check_alphas(3).tolist() == [3.0]


@pytest.mark.parametrize(
    ("alphas", "named"),
    [
        ([], "no candidate"),
        ([1, 0], "penalty 0 "),
        ([1, -2.5], "-2.5"),
        ([1, np.nan], "nan"),
        ([np.inf], "inf"),
        ([1, 100, 1.0], "penalty 1 .*more than once"),
        (["a"], "'a'"),
        ([[1, 2]], r"\(1, 2\)"),
    ],
)
def test_bad_alphas_are_named(alphas, named):
    with pytest.raises(InputError, match=named):
        check_alphas(alphas)


@pytest.mark.parametrize(
    ("X", "Y", "named"),
    [
        (np.ones((5, 2)), np.ones((4, 3)), "X has 5 samples and Y has 4"),
        (np.ones((5, 2)), np.ones((5, 0)), "s = 0"),
        (np.ones((5, 0)), np.ones((5, 2)), "p = 0"),
        (np.ones((1, 2)), np.ones((1, 2)), "1 samples"),
        (np.ones((5, 2)), np.ones(5), r"Y .*\(5,\).*Y\[:, None\]"),
        (np.ones((5, 2, 1)), np.ones((5, 1)), r"X .*\(5, 2, 1\)"),
        (np.ones((5, 2), complex), np.ones((5, 1)), "complex128"),
        (np.ones((5, 2)), np.full((5, 1), "a"), "<U1"),
    ],
)
def test_sizes_that_do_not_fit_are_named(X, Y, named):
    with pytest.raises(InputError, match=named):
        check_xy(X, Y)


@given(
    t=st.integers(2, 40),
    p=st.integers(1, 6),
    where=st.data(),
    value=st.sampled_from([np.nan, np.inf, -np.inf]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_the_first_bad_value_is_named(t, p, where, value, dtype):
    row = where.draw(st.integers(0, t - 1))
    column = where.draw(st.integers(0, p - 1))
    bad = np.ones((t, p), dtype)
    bad[row, column] = value
    good = np.ones((t, 2), dtype)
    for X, Y, name in ((bad, good, "X"), (good, bad, "Y")):
        with pytest.raises(InputError, match=f"{name}.*{value}.*row {row}, column {column} "):
            check_xy(X, Y)
        check_xy(X, Y, finite=False)


def test_a_bad_value_far_down_a_memory_map_is_found(tmp_path):
    Y = np.lib.format.open_memmap(tmp_path / "y.npy", "w+", "float32", (60_000, 100))
    Y[:] = 1
    Y[54_321, 77] = np.nan
    with pytest.raises(InputError, match=r"Y.*nan.*54321.*77"):
        check_xy(Y[:, :3], Y)


def test_opposite_infinities_and_overflowing_sums():
    X = np.ones((4, 2))
    both = X.copy()
    both[1, 0], both[1, 1] = np.inf, -np.inf
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match="inf at row 1, column 0"):
            check_xy(both, X)
        check_xy(np.full((4, 2), 3e38, np.float32), X)


def test_checks_allocate_nothing_the_size_of_the_data():
    Y = np.random.default_rng(0).standard_normal((4_000, 2_000), dtype=np.float32)  # 32 MB
    tracemalloc.start()
    check_xy(Y, Y)
    constant_columns(Y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@given(seed=st.integers(0, 2**32 - 1), t=st.integers(1, 60), s=st.integers(1, 8))
def test_constant_columns_against_their_range(seed, t, s):
    rng = np.random.default_rng(seed)
    Y = np.tile(rng.standard_normal(s), (t, 1))
    for column in np.flatnonzero(rng.random(s) < 0.5):
        Y[rng.integers(t), column] += 1  # often late, always once
    with np.errstate(invalid="ignore"):
        expected = np.ptp(Y, axis=0) == 0
    assert (constant_columns(Y) == expected).all()


def test_columns_of_nan_are_not_constant():
    Y = np.array([[np.nan, 1.0, 1.0], [np.nan, np.nan, 1.0]])
    assert constant_columns(Y).tolist() == [False, False, True]


def test_too_little_memory_says_both_numbers():
    check_memory(10, "a fit", available_bytes=10)
    with pytest.raises(ResourceError, match=r"2048 bytes.*1000 bytes"):
        check_memory(2048, "a fit", available_bytes=1000)


def test_memory_of_this_machine_is_finite():
    check_memory(1, "one byte")
    with pytest.raises(ResourceError, match="everything"):
        check_memory(2**60, "everything")


@given(t=st.integers(0, 100), row_bytes=st.integers(0, 50), block=st.integers(1, 300))
def test_row_blocks_cover_every_row_once(t, row_bytes, block):
    blocks = list(row_blocks(t, row_bytes, block))
    assert [i for rows in blocks for i in range(t)[rows]] == list(range(t))
    assert all((b.stop - b.start) * row_bytes <= max(block, row_bytes) for b in blocks)
