"""Samples from features: the definition, written out, and the harness's own delays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_core.data.delays import delayed
from bench_core.errors import InputError
from encoders.alignment import Alignment, align, usable_volumes


def test_the_defaults_are_the_thesis_s() -> None:
    features = np.arange(10)[:, None] * 10 + np.arange(2)
    found = align(features, np.arange(10), 10)
    assert Alignment().tr == 1.49
    assert Alignment().delays == (1, 2, 3, 4)
    assert found.X.shape == (6, 8)
    # Volume 4 sees TRs 3, 2, 1, 0: the four before it, the nearest first.
    np.testing.assert_array_equal(found.X[0], [30, 31, 20, 21, 10, 11, 0, 1])
    np.testing.assert_array_equal(found.volumes, [4, 5, 6, 7, 8, 9])
    assert found.dropped == 4
    assert align(np.zeros((5, 4096)), np.arange(5), 5).X.shape == (1, 16_384)


@given(
    present=st.sets(st.integers(0, 25)),
    volumes=st.integers(0, 30),
    window=st.integers(1, 5),
    start=st.integers(0, 4),
    first=st.integers(-3, 3),
)
def test_each_sample_is_its_window_and_no_other(
    present: set[int], volumes: int, window: int, start: int, first: int
) -> None:
    trs = np.array(sorted(present), dtype=np.int64)
    features = trs[:, None] * 10.0 + np.arange(3)
    alignment = Alignment(window=window, start=start, first=first)
    rows, kept = [], []
    for volume in range(volumes):
        wanted = [volume + first - start - k for k in range(window)]
        if all(tr in present for tr in wanted):
            kept.append(volume)
            rows.append(np.concatenate([tr * 10.0 + np.arange(3) for tr in wanted]))
    found = align(features, trs, volumes, alignment)
    np.testing.assert_array_equal(found.volumes, kept)
    np.testing.assert_array_equal(found.X, np.reshape(rows, (len(kept), 3 * window)))
    assert found.dropped == volumes - len(kept)
    np.testing.assert_array_equal(usable_volumes(trs, volumes, alignment), kept)


def test_columns_are_in_the_order_of_the_harness_s_delays() -> None:
    features = np.random.default_rng(0).normal(size=(20, 3))
    found = align(features, np.arange(20), 20)
    expected = delayed(features, np.zeros(20, dtype=int), Alignment().delays)
    np.testing.assert_array_equal(found.X, expected[found.volumes])


def test_x_can_be_written_where_it_belongs(tmp_path) -> None:
    features = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float16)
    plain = align(features, np.arange(12), 12)
    assert plain.X.dtype == np.float16
    out = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float64, (20, 8))
    found = align(features, np.arange(12), 12, out=out[3:11])
    np.testing.assert_array_equal(out[3:11], plain.X.astype(np.float64))
    np.testing.assert_array_equal(out[11:], 0)
    assert np.shares_memory(found.X, out)
    with pytest.raises(InputError, match=r"\(20, 8\).* \(8, 8\)"):
        align(features, np.arange(12), 12, out=out)


@pytest.mark.parametrize(
    "wrong",
    [{"tr": 0.0}, {"tr": float("nan")}, {"window": 0}, {"start": -1}, {"phase": 2.0}],
)
def test_parameters_that_cannot_be_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        Alignment(**wrong)


def test_trs_must_ascend_and_fit_the_features() -> None:
    with pytest.raises(InputError, match="0, 2, 1"):
        align(np.zeros((3, 1)), np.array([0, 2, 1]), 3)
    with pytest.raises(InputError, match=r"0\., 1\."):
        usable_volumes(np.array([0.0, 1.0]), 3)
    with pytest.raises(InputError, match=r"\(2,\).* \(3,\)"):
        align(np.zeros((3, 1)), np.arange(2), 3)
    with pytest.raises(InputError, match="-1 volumes"):
        usable_volumes(np.arange(3), -1)
