"""Steps in made series, against closed forms, scipy, and the committed table."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_ind

from bench_core.errors import InputError
from bench_core.history import find_steps
from bench_core.history.segments import difference_sd, propose_changes
from bench_core.history.steps import Spread
from tests.history import step_table
from tests.history.made_series import KINDS, thousand

RECORD = json.loads(step_table.RECORD.read_text())
LEAST = math.log(1.05)


def test_a_tenth_of_the_table_holds_what_the_table_says() -> None:
    made = list(thousand(count=100))
    counts = step_table.by_kind(step_table.ours, made)
    assert sum(one["flat"] for one in counts.values()) == 50
    assert counts["noise 5 %"]["found"] == counts["noise 5 %"]["steps"] == 10
    assert sum(one["false alarms"] for one in counts.values()) <= 1


def test_the_table_reaches_what_was_asked_for() -> None:
    ours = RECORD["ways"]["ridgebench"]
    assert RECORD["series"] == 1000
    assert RECORD["commits"] == 40
    noise = ours["noise 5 %"]
    assert noise["found"] >= 0.95 * noise["steps"]
    flat = sum(ours[kind]["flat"] for kind in KINDS)
    assert flat == 500
    assert sum(ours[kind]["false alarms"] for kind in KINDS) <= 0.01 * flat


def test_the_page_has_the_tables_figures() -> None:
    page = (Path(step_table.__file__).parents[2] / "docs" / "regressions.md").read_text("utf-8")
    assert step_table.as_markdown(RECORD) in page


@given(place=st.integers(0, 39), factor=st.floats(1.2, 50))
@settings(max_examples=15, deadline=None)
def test_one_spike_is_no_step(place: int, factor: float) -> None:
    y = 0.02 * (-1.0) ** np.arange(40)
    y[place] += math.log(factor)
    assert find_steps(y) == []


@given(slope=st.floats(-0.005, 0.005), seed=st.integers(0, 20))
@settings(max_examples=10, deadline=None)
def test_a_clean_line_is_no_step(slope: float, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(0, 1e-4, 40)
    assert find_steps(slope * np.arange(40) + noise, known=Spread(0.01, 20)) == []


@given(
    seed=st.integers(0, 100),
    shift=st.floats(-5, 5),
    at=st.integers(8, 32),
    size=st.floats(0.3, 2),
)
@example(seed=52, shift=0.0, at=21, size=1.0)  # a value far out is just before the step
@settings(max_examples=10, deadline=None)
def test_steps_do_not_depend_on_level_or_direction(
    seed: int, shift: float, at: int, size: float
) -> None:
    y = np.random.default_rng(seed).normal(0, 0.03, 40) + size * (np.arange(40) >= at)
    found, moved, turned = find_steps(y), find_steps(y + shift), find_steps(-y)
    assert [step.position for step in found] == [step.position for step in moved]
    assert [step.position for step in found] == [step.position for step in turned]
    assert [step.size for step in turned] == pytest.approx([-step.size for step in found])
    assert at in [step.position for step in found]
    for step in found:
        assert step.first <= step.position <= step.last
        assert step.interval[0] <= step.size <= step.interval[1]


def test_p_is_students_times_the_positions() -> None:
    """Segments of five have no line in their residuals, so it is the plain two-sample t."""
    rng = np.random.default_rng(3)
    before, after = rng.normal(0, 1, 5), rng.normal(9, 1, 5)
    (step,) = find_steps(np.concatenate([before, after]), spikes=False, drift=0.0)
    assert step.position == 5
    assert step.p == pytest.approx(9 * ttest_ind(before, after).pvalue)
    assert step.size == pytest.approx(after.mean() - before.mean())
    assert step.before == pytest.approx(before.mean())


def test_two_steps_that_undo_each_other_are_both_found() -> None:
    y = np.random.default_rng(0).normal(0, 0.03, 40)
    y[12:24] += 0.4
    assert [step.position for step in find_steps(y)] == [12, 24]


def test_two_commits_tell_nothing_without_known_noise() -> None:
    assert find_steps([0.0, 1.0]) == []
    (step,) = find_steps([0.0, 1.0], known=Spread(0.02, 100))
    assert step.position == 1
    assert find_steps([0.0, 0.02], known=Spread(0.02, 100)) == []
    assert find_steps([]) == find_steps([1.0]) == find_steps([1.0, 1.0, 1.0]) == []


def test_a_noisier_value_counts_less() -> None:
    y = np.random.default_rng(4).normal(0, 0.05, 12)
    y[9:] += 0.3
    assert [step.position for step in find_steps(y)] == [9]
    assert find_steps(y, weights=[1.0] * 9 + [0.01] * 3) == []


def test_no_step_is_smaller_than_the_least() -> None:
    y = np.random.default_rng(1).normal(0, 0.001, 40) + 0.02 * (np.arange(40) >= 20)
    assert len(find_steps(y)) == 1
    assert find_steps(y, least=LEAST) == []


def test_proposals_are_the_cheapest_of_all_segmentations() -> None:
    """Every segmentation of a short series, with the same levels, by hand."""
    y = np.array([0.0, 0.2, -0.1, 4.0, 4.1, 3.9, 9.0, 4.0])
    penalty, most = 2.5 * math.log(8), 9.0
    values = np.unique(y)
    levels = np.concatenate([values, (values[1:] + values[:-1]) / 2])

    def cost(changes: list[int]) -> float:
        edges = [0, *changes, len(y)]
        parts = [y[a:b] for a, b in itertools.pairwise(edges)]
        best = [min(np.minimum((p - m) ** 2, most).sum() for m in levels) for p in parts]
        return sum(best) + penalty * len(changes)

    every = [
        [i + 1 for i in range(len(y) - 1) if bits >> i & 1] for bits in range(2 ** (len(y) - 1))
    ]
    assert cost(propose_changes(y, 1.0)) == pytest.approx(min(map(cost, every)))


def test_noise_of_differences_is_that_of_normal_values() -> None:
    y = np.random.default_rng(0).normal(0, 0.3, 20_000) + 5 * (np.arange(20_000) > 7000)
    assert difference_sd(y) == pytest.approx(0.3, rel=0.03)


def test_noise_is_moderated_by_degrees_of_freedom() -> None:
    assert Spread(3.0, 1).moderated(1.0, 3) == pytest.approx((math.sqrt(3), 4))
    assert Spread(0.0, 0, least=0.5).moderated(0.1, 10) == (0.5, 10)


@pytest.mark.parametrize("values", [[1.0, math.nan], [1.0, math.inf]])
def test_values_that_are_none_are_refused(values: list[float]) -> None:
    with pytest.raises(InputError):
        find_steps(values)
    with pytest.raises(InputError):
        find_steps([1.0, 2.0], weights=[1.0, 0.0])
