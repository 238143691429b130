"""Delayed features never come from another run."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_core.data import delayed
from bench_core.errors import InputError


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    delays=st.lists(st.integers(0, 7), min_size=1, max_size=4, unique=True),
    q=st.integers(1, 3),
)
def test_every_entry_against_the_definition(lengths, delays, q):
    runs = np.repeat(np.arange(len(lengths))[::-1], lengths)
    t = len(runs)
    base = 1.0 + np.arange(t * q).reshape(t, q)  # all different, none zero
    X = delayed(base, runs, delays)
    assert X.shape == (t, q * len(delays))
    for i in range(t):
        for k, d in enumerate(delays):
            same_run = i >= d and runs[i - d] == runs[i]
            expected = base[i - d] if same_run else np.zeros(q)
            assert (X[i, k * q : (k + 1) * q] == expected).all()


def test_dtype_is_kept():
    assert delayed(np.ones((3, 1), np.float32), np.zeros(3, int), [1]).dtype == np.float32


@pytest.mark.parametrize("delays", [[], [-1], [1, 1]])
def test_delays_that_mean_nothing(delays):
    with pytest.raises(InputError, match="delays"):
        delayed(np.ones((3, 1)), np.zeros(3, int), delays)


def test_a_run_in_pieces_is_refused():
    with pytest.raises(InputError, match="in pieces"):
        delayed(np.ones((3, 1)), np.array([1, 2, 1]), [1])
    with pytest.raises(InputError, match=r"\(3,\)"):
        delayed(np.ones((3, 1)), np.array([1, 2]), [1])
