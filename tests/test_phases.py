"""The timer of phases, against times added up by hand, with a clock that the tests set."""

from __future__ import annotations

import pickle
import threading
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_core.phases import NO_PHASES, PHASES, Phases


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def spent(phases: Phases) -> dict[str, float]:
    return {name: seconds for name, seconds in phases.seconds.items() if seconds}


def test_an_inner_phase_takes_its_time_from_the_outer_one(clock):
    phases = Phases(clock)
    with phases.whole():
        clock.pass_by(1)
        with phases("scores"):
            clock.pass_by(2)
            with phases("reading"):
                clock.pass_by(4)
            clock.pass_by(8)
            with phases("scores"):
                clock.pass_by(16)
        clock.pass_by(32)
    assert spent(phases) == {"scores": 26.0, "reading": 4.0, "other": 33.0}
    assert phases.total == 63.0
    assert phases.entered == 4


_trees = st.recursive(
    st.just([]),
    lambda inner: st.lists(
        st.tuples(st.sampled_from(PHASES), st.integers(0, 9), inner, st.integers(0, 9)), max_size=4
    ),
    max_leaves=12,
)


@given(_trees)
def test_the_phases_of_any_nesting_sum_to_the_whole(tree):
    clock, expected = Clock(), Counter()
    phases = Phases(clock)

    def run(items):
        for phase, before, inner, after in items:
            with phases(phase):
                clock.pass_by(before)
                run(inner)
                clock.pass_by(after)
            expected[phase] += before + after

    began = clock.now
    with phases.whole():
        run(tree)
        clock.pass_by(1)
    expected["other"] += 1
    assert phases.seconds == {name: float(expected[name]) for name in PHASES}
    assert phases.total == clock.now - began


def test_a_phase_that_is_interrupted_ends_and_the_sum_holds(clock):
    phases = Phases(clock)

    def work():
        with phases("gram"):
            clock.pass_by(3)
            with phases("transfers"):
                clock.pass_by(5)
                raise KeyboardInterrupt

    with phases.whole():
        with pytest.raises(KeyboardInterrupt):
            work()
        clock.pass_by(7)
    assert spent(phases) == {"gram": 3.0, "transfers": 5.0, "other": 7.0}


def test_a_phase_left_open_by_a_generator_ends_with_the_phase_around_it(clock):
    phases = Phases(clock)

    def leaky():
        with phases("reading"):
            yield

    with phases.whole():
        with phases("scores"):
            kept = leaky()
            next(kept)
            clock.pass_by(2)
        clock.pass_by(4)
    assert spent(phases) == {"reading": 2.0, "other": 4.0}


def test_a_fit_begins_anew_and_a_whole_within_it_does_not(clock):
    phases = Phases(clock)
    for _ in range(2):
        with phases.whole():
            clock.pass_by(1)
            with phases("gram"), phases.whole():
                clock.pass_by(2)
    assert spent(phases) == {"gram": 2.0, "other": 1.0}


def test_what_is_outside_of_a_fit_is_not_counted(clock):
    phases = Phases(clock)
    with phases("gram"):
        clock.pass_by(5)
    assert phases.total == 0
    with phases.whole():
        clock.pass_by(1)
    with phases("gram"):
        clock.pass_by(5)
    assert spent(phases) == {"other": 1.0}


def test_other_threads_take_none_of_the_fits_time(clock):
    phases = Phases(clock)

    def read_ahead():
        with phases("centring"):
            clock.pass_by(3)

    with phases.whole(), phases("scores"):
        thread = threading.Thread(target=read_ahead)
        thread.start()
        thread.join()
    assert spent(phases) == {"scores": 3.0}
    assert phases.entered == 2


def test_seconds_so_far_hold_the_phase_that_is_open(clock):
    phases = Phases(clock)
    with phases.whole():
        clock.pass_by(1)
        with phases("gram"):
            clock.pass_by(2)
            now, seconds = phases.so_far()
            clock.pass_by(4)
    assert now == 103.0
    assert {name: value for name, value in seconds.items() if value} == {"other": 1.0, "gram": 2.0}
    assert spent(phases) == {"other": 1.0, "gram": 6.0}


def test_work_of_a_device_belongs_to_the_phase_that_started_it(clock):
    phases, queued = Phases(clock), [0.0]

    def settle():
        clock.pass_by(queued[0])
        queued[0] = 0.0

    phases.settle_with(settle)
    with phases.whole():
        with phases("scores"):
            queued[0] = 8.0  # a product that runs on while Python goes on
            with phases("reading"):
                clock.pass_by(1)
        with phases("solution"):
            queued[0] = 2.0
    assert spent(phases) == {"scores": 8.0, "reading": 1.0, "solution": 2.0}


def test_work_that_failed_is_not_waited_for(clock):
    phases = Phases(clock)

    def work():
        with phases("gram"):
            phases.settle_with(lambda: pytest.fail("waited for a device that failed"))
            raise ZeroDivisionError

    with phases.whole():
        with pytest.raises(ZeroDivisionError):
            work()
        phases.settle_with(None)
        clock.pass_by(1)
    assert spent(phases) == {"other": 1.0}


def test_the_timer_that_takes_no_time_keeps_nothing(clock):
    assert not NO_PHASES.taken
    NO_PHASES.settle_with(lambda: pytest.fail("nothing is to be waited for"))
    with NO_PHASES.whole(), NO_PHASES("gram"):
        pass
    assert NO_PHASES.total == 0
    assert NO_PHASES.entered == 0


def test_timers_travel_with_what_holds_them():
    phases = Phases()
    with phases.whole(), phases("gram"):
        pass
    assert pickle.loads(pickle.dumps(phases)).seconds == phases.seconds
    assert not pickle.loads(pickle.dumps(NO_PHASES)).taken
