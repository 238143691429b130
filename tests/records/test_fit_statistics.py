"""The bootstrap interval of the median, against scipy and against distributions with known ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench_core.records.statistics import median_interval, ratio_interval, time_summary


def test_the_interval_covers_the_true_median_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(20)
    true = np.log(2)  # of the standard exponential distribution
    trials = 400
    covered = 0
    for trial in range(trials):
        interval = median_interval(rng.exponential(size=25), seed=trial, resamples=1000)
        assert interval is not None
        covered += interval[0] <= true <= interval[1]
    # 95 %; the percentile interval of a median of 25 is a little wide, chance is ± 2 %.
    assert 0.92 <= covered / trials <= 0.99


def test_the_interval_is_scipys_percentile_bootstrap() -> None:
    times = np.random.default_rng(3).gamma(5, size=15)
    ours = median_interval(times, resamples=20_000)
    theirs = stats.bootstrap(
        (times,),
        np.median,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(4),
    ).confidence_interval
    # Both jump between the same few order statistics.
    assert ours == pytest.approx((theirs.low, theirs.high), rel=0.03)


def test_a_single_time_has_no_interval() -> None:
    assert median_interval([1.5]) is None
    assert time_summary([1.5]) == {"fit_s": (1.5,), "median_s": 1.5, "ci95_s": None}


@given(st.lists(st.floats(1e-6, 1e6), min_size=2, max_size=12), st.integers(0, 2**31))
def test_the_interval_holds_the_median_and_depends_on_its_seed_only(
    times: list[float], seed: int
) -> None:
    interval = median_interval(times, seed=seed, resamples=300)
    assert interval is not None
    assert min(times) <= interval[0] <= np.median(times) <= interval[1] <= max(times)
    assert interval == median_interval(times, seed=seed, resamples=300)


def test_paired_ratios_are_not_disturbed_by_what_hits_both_of_a_pair() -> None:
    rng = np.random.default_rng(5)
    disturbance = rng.lognormal(sigma=2, size=30)
    ratio, low, high = ratio_interval(1.01 * disturbance, disturbance)
    assert ratio == pytest.approx(1.01)
    assert (low, high) == pytest.approx((1.01, 1.01))


def test_a_ratio_interval_covers_the_ratio() -> None:
    rng = np.random.default_rng(6)
    covered = 0
    for trial in range(200):
        top = 1.3 * rng.lognormal(sigma=0.1, size=21)
        below = rng.lognormal(sigma=0.1, size=21)
        _, low, high = ratio_interval(top, below, seed=trial, resamples=500)
        covered += low <= 1.3 <= high
    assert covered >= 180
