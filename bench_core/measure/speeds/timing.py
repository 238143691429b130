"""Times of calls that are short against the spells in which others slow the machine down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter

ROUNDS = 3
"""Rounds over all calls: a spell of other work then slows one of a call's times, and not all."""

LONG_S = 0.1
"""A call that takes longer is timed in the first two rounds only."""

_MOST = 200

Call = Callable[[], object]


def call_seconds(call: Call, least: float) -> float:
    """Return the median time of a call, repeated for at least ``least`` seconds after a first."""
    call()  # starts the threads and touches the memory
    return median(_repeated(call, least))


def seconds_in_rounds(
    calls: Sequence[Call], least: float, rounds: int = ROUNDS
) -> list[list[float]]:
    """Return the time of every call in every round, for calls (k,) in their order.

    Parameters
    ----------
    least : seconds for which a call is repeated, in all rounds together.

    Returns
    -------
    Of every call the medians of its rounds. The shortest counts: others can only lengthen them. A
    long call has two.
    """
    found: list[list[float]] = [[] for _ in calls]
    for number in range(rounds):
        for call, times in zip(calls, found, strict=True):
            if number == 0:
                started = perf_counter()
                call()
                first = perf_counter() - started
                if first > LONG_S:
                    times.append(first)
                    continue
            elif number > 1 and min(times) > LONG_S:
                continue
            times.append(median(_repeated(call, least / rounds)))
    return found


def _repeated(call: Call, least: float) -> list[float]:
    times: list[float] = []
    while not times or (sum(times) < least and len(times) < _MOST):
        started = perf_counter()
        call()
        times.append(perf_counter() - started)
    return times
