"""Warm-up and number of repeats, on made times and in simulation."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import count

import numpy as np
import pytest

from bench_core.errors import InputError
from bench_core.records.case import Until
from bench_core.runner.processor import FitMeter
from bench_core.runner.repeats import MOST_WARM_UP, Repeats, half_width
from bench_core.runner.spec import FitSpec
from bench_core.runner.timing import timed_fits


def repeated(times: Iterable[float], least: int = 3, until: Until | None = None) -> Repeats:
    fits = Repeats(least, until)
    for seconds in times:
        if fits.stopped is not None:
            break
        fits.add(seconds)
    return fits


STEADY = Until(precision=0.05, budget_s=100.0, at_most=10)


@pytest.mark.parametrize(
    ("times", "warm_up", "repeats", "stopped"),
    [
        ([1.3, 1.0, 1.0, 1.0], 1, 3, "precision"),
        ([3.0, 2.0, 1.5, 1.0, 1.0, 1.0], 3, 3, "precision"),
        # What keeps falling is bounded: it is a drift, not a warm-up.
        ([0.9**n for n in range(30)], MOST_WARM_UP, 10, "at most"),
        ([1.0, 1.0, 2.0, 1.0, 2.0] * 4, 1, 10, "at most"),
        ([40.0, 40.0, 40.0], 1, 2, "budget"),
        ([60.0, 60.0, 60.0], 1, 2, "budget"),
        # It spends the budget alone, and counts.
        ([120.0, 1.0], 0, 1, "budget"),
    ],
)
def test_repeats_end_for_a_reason(
    times: list[float], warm_up: int, repeats: int, stopped: str
) -> None:
    fits = repeated(times, until=STEADY)
    assert (len(fits.warm_up), len(fits.repeats), fits.stopped) == (warm_up, repeats, stopped)
    assert fits.warm_up + fits.repeats == fits.times


def test_a_fixed_number_has_no_warm_up() -> None:
    fits = repeated([3.0, 1.0, 1.0, 1.0])
    assert (fits.warm_up, fits.repeats, fits.stopped) == ([], [3.0, 1.0, 1.0], "repeats")


def test_the_half_width_is_students() -> None:
    times = np.exp([0.0, 0.02, -0.02, 0.01, -0.01])
    sd = float(np.std(np.log(times), ddof=1))
    # 2.776445 is Student's t for 4 degrees of freedom, 1.2533 the price of the median.
    expected = 2.776445 * 1.253314 * sd / math.sqrt(5)
    assert half_width(list(times)) == pytest.approx(expected, rel=1e-6)
    assert half_width([1.0]) == math.inf


@pytest.mark.parametrize("sd", [0.01, 0.05, 0.1])
def test_choosing_when_to_begin_and_to_stop_leaves_the_median_right(sd: float) -> None:
    """A rule that looks at the times may prefer low ones: it does so by less than 1 %."""
    random = np.random.default_rng(0)
    found, covered = [], []
    for _ in range(800):
        times = np.exp(sd * random.standard_normal(40))
        times[0] *= 1.25
        fits = repeated(times, until=Until(0.05, 1e9, 30))
        middle = float(np.median(fits.repeats))
        found.append(middle)
        width = half_width(fits.repeats)
        covered.append(abs(math.log(middle)) <= width)
    assert abs(float(np.mean(np.log(found)))) < 0.01
    assert np.mean(covered) >= 0.90


def test_the_median_compares_unequal_numbers_of_repeats_and_the_least_does_not() -> None:
    """Why the median is what times are described by."""
    random = np.random.default_rng(1)
    few = np.exp(0.05 * random.standard_normal((4000, 3)))
    many = np.exp(0.05 * random.standard_normal((4000, 20)))
    medians = np.log(np.median(many, axis=1)) - np.log(np.median(few, axis=1))
    least = np.log(many.min(axis=1)) - np.log(few.min(axis=1))
    assert abs(medians.mean()) < 0.003
    assert least.mean() < -0.03


class Model:
    """Takes the time that it is told."""

    def fit(self, X: object, Y: object) -> None:
        pass


class Clock:
    """Goes on by the next of some times between two readings of a fit."""

    def __init__(self, times: Iterable[float]) -> None:
        self._times, self._calls, self._now = iter(times), count(), 0.0

    def __call__(self) -> float:
        if next(self._calls) % 2:
            self._now += next(self._times)
        return self._now


class Data:
    X = Y = None


def test_timed_fits_forget_the_warm_up() -> None:
    meter = FitMeter()
    made: list[Model] = []
    moved = iter(range(0, 1000, 10))

    def make() -> Model:
        made.append(Model())
        return made[-1]

    fits = timed_fits(
        make,
        Data,  # type: ignore[arg-type]
        3,
        until=STEADY,
        meter=meter,
        bytes_moved=lambda: {"total": next(moved)},
        clock=Clock([1.5, 1.0, 1.01, 0.99, 1.0]),
    )
    assert fits.warm_up == pytest.approx([1.5])
    assert fits.times == pytest.approx([1.0, 1.01, 0.99])
    assert fits.stopped == "precision"
    assert fits.moved == {"total": 10}
    assert fits.model is made[-1]
    assert len(made) == 4
    assert len(meter.cpu_s) == len(meter.wall_s) == 3


def test_keys_of_fixed_repeats_are_as_they_were() -> None:
    fixed = FitSpec("parcels", "ridgecv", repeats=3, split="random")
    assert fixed.key() == "1a1dd29db9296726f410"
    assert FitSpec("parcels", "ridgecv", repeats=3, until=Until()).key() != fixed.key()
    with pytest.raises(InputError, match="30"):
        FitSpec("parcels", "ridgecv", repeats=31, until=Until())
