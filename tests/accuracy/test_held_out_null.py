"""Circular shifts of held-out responses: against shifts by hand, and rates of false positives."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from bench_core.accuracy import (
    HeldOutShifts,
    Permutations,
    held_out_null,
    pearson_r,
    refit_null,
    ridge_null,
)
from bench_core.errors import InputError
from tests.accuracy.autoregressive import autoregression, unrelated
from tests.accuracy.false_positives import RECORD

SEEDS, TARGETS = 100, 40


def shifted(Y, runs, by):
    """Return Y with the rows of every run shifted by hand."""
    found = Y.copy()
    for run, k in zip(np.unique(runs), by, strict=True):
        found[runs == run] = np.roll(Y[runs == run], -k, axis=0)
    return found


@settings(deadline=None, max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=3).filter(lambda x: max(x) > 1),
    n=st.integers(1, 30),
    seed=st.integers(0, 2**31),
)
def test_r_of_every_shift_is_that_of_rows_shifted_by_hand(lengths, n, seed):
    rng = np.random.default_rng(seed)
    runs = np.repeat(np.arange(len(lengths)) * 7, lengths)
    Y, P = rng.standard_normal((2, len(runs), 4)) * 1e6
    Y[:, 0] = 3.0  # constant: r is undefined
    shifts = HeldOutShifts(runs, n, seed=seed)
    null = held_out_null(Y, P, shifts)
    with np.errstate(all="ignore"):
        r = np.array([pearson_r(shifted(Y, runs, by), P) for by in shifts.table()])
        np.testing.assert_allclose(null.observed, pearson_r(Y, P), atol=1e-9)
    np.testing.assert_allclose(null.largest, r[:, 1:].max(axis=1), atol=1e-9)
    np.testing.assert_allclose(null.mean_abs, np.abs(r[:, 1:]).mean(axis=1), atol=1e-9)
    assert (null.exceed[1:] == (r[:, 1:] >= null.observed[1:] - 1e-9).sum(axis=0)).all()
    assert np.isnan(null.p_values()[0])
    if np.prod(lengths) - 1 <= n:
        every = {by for by in itertools.product(*map(range, lengths)) if any(by)}
        assert set(map(tuple, shifts.table().tolist())) == every
        assert null.n == len(every)
    else:
        assert null.n == n


def test_batches_of_targets_give_the_same(monkeypatch):
    made = unrelated(3, length=40)
    arguments = made.Y[made.test], made.predictions(), HeldOutShifts(made.runs[made.test], 30)
    whole = held_out_null(*arguments)
    monkeypatch.setattr("bench_core.accuracy.held_out._BATCH_BYTES", 8 * 4 * 120 * 3)
    parts = held_out_null(*arguments)
    for name in ("observed", "exceed", "largest", "mean_abs"):
        np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), atol=1e-12)


def test_shifts_are_seeded_and_all_targets_share_them():
    runs = np.repeat([4, 2], 50)
    tables = [HeldOutShifts(runs, 20, seed=seed).table() for seed in (0, 0, 1)]
    assert (tables[0] == tables[1]).all()
    assert (tables[0] != tables[2]).any()
    rng = np.random.default_rng(0)
    y, p = rng.standard_normal((2, 100, 1))
    twice = held_out_null(np.hstack([y, y]), np.hstack([p, p]), HeldOutShifts(runs, 20))
    assert (twice.p_max() == twice.p_values()).all()  # one target, twice: nothing to correct


def test_a_response_that_follows_its_prediction_is_significant():
    rng = np.random.default_rng(1)
    runs = np.repeat(np.arange(4), 300)
    P = np.vstack([autoregression(rng, 0.9, 300, 20) for _ in range(4)])
    Y = P + np.vstack([autoregression(rng, 0.9, 300, 20) for _ in range(4)])
    null = held_out_null(Y, P, HeldOutShifts(runs, 999))
    assert (null.p_values() <= 0.005).all()
    assert (null.p_max() <= 0.05).all()


def test_what_cannot_be_shifted():
    Y = np.ones((4, 2))
    with pytest.raises(InputError, match="one sample"):
        held_out_null(Y, Y, HeldOutShifts(np.arange(4), 9))
    with pytest.raises(InputError, match="0 permutations"):
        HeldOutShifts(np.ones(4), 0)
    with pytest.raises(InputError, match=r"\(4, 2\)"):
        held_out_null(Y, Y[:3], HeldOutShifts(np.ones(3), 9))


@pytest.fixture(scope="module")
def noise():
    """Return p and family-wise p (seeds, targets) of unrelated data, and p after other nulls."""
    found = {"shifts": [], "family-wise": [], "training rows": [], "held-out rows": []}
    for seed in range(SEEDS):
        made = unrelated(seed, s=TARGETS)
        Y, P, runs = made.Y[made.test], made.predictions(), made.runs[made.test]
        null = held_out_null(Y, P, HeldOutShifts(runs, 199, seed=seed))
        found["shifts"].append(null.p_values())
        found["family-wise"].append(null.p_max())
        if seed >= 10:
            continue
        rows = Permutations("rows", 99, made.runs[~made.test], seed=seed)
        parts = made.X[~made.test], made.Y[~made.test], made.X[made.test], Y
        found["training rows"].append(ridge_null(*parts, 100.0, rows).p_values())
        order = Permutations("rows", 99, runs, seed=seed)
        shuffled = refit_null(lambda each, P=P: P[each], Y, null.observed, order)
        found["held-out rows"].append(shuffled.p_values())
    return {name: np.array(p) for name, p in found.items()}


@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_false_positives_stay_at_the_stated_rate(noise, rate):
    p = noise["shifts"]
    low, high = binom.interval(0.999, p.size, rate)
    assert low <= (p <= rate).sum() <= high
    # Of one family per seed, at most the rate has any.
    families = (noise["family-wise"] <= rate).any(axis=1).sum()
    assert families <= binom.ppf(0.999, SEEDS, rate)


@pytest.mark.parametrize("null", ["training rows", "held-out rows"])
def test_shuffled_rows_do_not_hold_the_rate_on_the_same_data(noise, null):
    p = noise[null]
    assert (p <= 0.05).sum() > 2 * binom.ppf(0.999, p.size, 0.05)


def test_leaving_out_short_shifts_does_not_hold_the_rate():
    """Why `HeldOutShifts` has no least shift."""
    rng = np.random.default_rng(0)
    P, Y = (autoregression(rng, 0.9, 100, 3000) for _ in range(2))
    r = np.array([pearson_r(np.roll(Y, -k, axis=0), P) for k in range(100)])
    p = np.array(
        [(1 + (r[k : 101 - k or None] >= r[0]).sum(axis=0)) / (102 - 2 * k) for k in (1, 20)]
    )
    rates = (p <= 0.05).mean(axis=1)
    assert rates[1] > 0.1 > rates[0]


def test_the_page_has_the_recorded_rates():
    record = json.loads(RECORD.read_text())
    page = (Path(__file__).parents[2] / "docs/accuracy.md").read_text()
    rows = re.findall(r"^\| (\d+) × (\d+) \| (.+) \|$", page, re.MULTILINE)
    names = ("held-out", "held-out, largest r", "shifts", "shifts of 10 samples or more", "rows")
    assert rows == [
        (
            str(case["held_out_runs"]),
            str(case["samples"]),
            " | ".join(f"{100 * case[name]:.1f}" for name in names),
        )
        for case in record["cases"]
    ]
