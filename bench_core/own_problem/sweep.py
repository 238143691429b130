"""The sweep: which case is measured next, in which environments, and what is left out.

Every case is measured in all its environments in turn before the next one begins. After the first
pass, cases that may be the fastest are timed once more, in reverse order, in new processes.

A case is left out where the model's interval lies above the fastest time that was measured, where
its predicted time exceeds what is left, and where the time ends while it runs. All are named.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Protocol

from bench_core.errors import counted
from bench_core.measure.turns_worker import count_runs
from bench_core.own_problem.budget import Budget, CaseTimes
from bench_core.own_problem.cases import SweepCase
from bench_core.own_problem.model import Model
from bench_core.own_problem.request import RUNS
from bench_core.records import Record
from bench_core.records.session import NotMeasured
from bench_core.records.times import Times
from bench_core.report.units import seconds_text
from bench_core.scaling.prediction import Prediction

SETTLED = ("skipped", "invalid")
"""What a record says that is not measured again, beside valid ones; --again asks for that."""

MAYBE_FASTEST = 1.5
"""A case is timed once more if its time is within so many times the fastest."""


@dataclass(frozen=True)
class Side:
    """One environment of a sweep: its label, and the model that predicts it."""

    label: str
    model: Model


class Runs(Protocol):
    """Where cases are measured, by the numbers of side and case."""

    def record(self, side: int, case: int) -> Record | None:
        """Return the record that is there, None without one."""

    def measure(self, side: int, case: int, limit_s: float) -> Record | None:
        """Return the record after one run more; None if it did not end, or not in time."""

    def forget(self, side: int, case: int) -> None:
        """Remove the record."""


@dataclass
class Sweep:
    """One sweep of cases over sides.

    Parameters
    ----------
    cases : in the order to measure them (`bench_core.own_problem.cases.in_order`).
    runs : measures. say : is told a line for every case.

    Attributes
    ----------
    not_measured : what was left out so far. notes : what else its reader has to know.

    Examples
    --------
    >>> from bench_core.own_problem.request import UNTIL
    >>> sweep = Sweep([], [], None, Budget(None), CaseTimes(UNTIL), print)
    >>> sweep.run()
    >>> sweep.not_measured
    []
    """

    cases: Sequence[SweepCase]
    sides: Sequence[Side]
    runs: Runs
    budget: Budget
    times: CaseTimes
    say: Callable[[str], None]
    not_measured: list[NotMeasured] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _predicted: dict[tuple[int, int], Prediction | None] = field(default_factory=dict, repr=False)
    # What follows from all records, until one of them changes (`_run_more`).
    _fastest: dict[bool, float | None] = field(default_factory=dict, repr=False)
    _ratios: dict[int, float] = field(default_factory=dict, repr=False)

    def run(self) -> None:
        """Measure; `not_measured` and `notes` then say what was left out."""
        places = [(side, number) for side in self._all for number in range(len(self.cases))]
        if kept := sum(self._count(*one) > 0 for one in places):
            self.say(f"{counted(kept, 'valid record')} from before: not measured again")
        for number in range(len(self.cases)):
            self._first_run(number)
        again = [number for number in range(len(self.cases)) if self._once_more(number)]
        done = sum(self._run_again(number) for number in reversed(again))
        if done < len(again):
            self.notes.append(
                f"{counted(len(again) - done, 'case')} that may be the fastest were timed in one "
                "process only: no time was left for another"
            )

    def prediction(self, side: int, number: int) -> Prediction | None:
        """Return what the model of a side predicts for a case."""
        if (side, number) not in self._predicted:
            found = self.sides[side].model.prediction(self.cases[number])
            self._predicted[side, number] = found
        return self._predicted[side, number]

    def fastest_s(self, case: SweepCase) -> float | None:
        """Return the fastest time that a case has to beat, None if nothing was measured yet.

        One with RidgeCV's answer competes with its like alone; others with all.
        """
        like = case.ridgecv_answer
        if like not in self._fastest:
            rivals = [i for i, one in enumerate(self.cases) if one.ridgecv_answer or not like]
            found = [self._seconds(side, number) for side in self._all for number in rivals]
            self._fastest[like] = min((one for one in found if one is not None), default=None)
        return self._fastest[like]

    def too_slow(self, side: int, number: int) -> str | None:
        """Return why the model rules a case out in an environment, None if it does not."""
        case, model = self.cases[number], self.sides[side].model
        predicted, fastest = self.prediction(side, number), self.fastest_s(case)
        if case.reference or not model.trusted or predicted is None or fastest is None:
            return None
        # A model that found everything slower than it was rules out less.
        low = predicted.low * min(1.0, self._measured_over_predicted(side))
        if low <= fastest:
            return None
        return (
            f"too slow: predicted {seconds_text(low)} at the least, and {seconds_text(fastest)} "
            "was measured"
        )

    @property
    def _all(self) -> range:
        return range(len(self.sides))

    def _timed(self, side: int, number: int) -> bool:
        record = self.runs.record(side, number)
        return record is not None and record.status in ("ok", "disturbed")

    def _times(self, side: int, number: int) -> Times | None:
        """Return the times of a valid record, None without one."""
        record = self.runs.record(side, number)
        return None if record is None or record.status != "ok" else record.times

    def _seconds(self, side: int, number: int) -> float | None:
        times = self._times(side, number)
        return None if times is None else times.median_s

    def _count(self, side: int, number: int) -> int:
        times = self._times(side, number)
        return 0 if times is None else count_runs(times)

    def _measured_over_predicted(self, side: int) -> float:
        if side not in self._ratios:
            found = []
            for number in range(len(self.cases)):
                seconds, predicted = self._seconds(side, number), self.prediction(side, number)
                if seconds is not None and predicted is not None:
                    found.append(seconds / predicted.seconds)
            self._ratios[side] = median(found) if found else 1.0
        return self._ratios[side]

    def _expected_s(self, side: int, number: int) -> float:
        """Return what measuring a case takes, by its own time or by the corrected prediction."""
        seconds, predicted = self._seconds(side, number), self.prediction(side, number)
        if seconds is None and predicted is not None:
            seconds = predicted.seconds * self._measured_over_predicted(side) + predicted.start_s
        return self.times.expected(seconds)

    def _first_run(self, number: int) -> None:
        sides = []
        for side in self._all:
            record, reason = self.runs.record(side, number), self.too_slow(side, number)
            if record is not None and record.status in SETTLED:
                continue
            if reason is None or self._count(side, number):
                sides.append(side)
            else:
                self._leave_out(side, number, reason)
        counts = {self._count(side, number) for side in sides}
        if len(counts) <= 1 and counts != {0}:
            return  # kept from before, or nothing to measure
        expected = {side: self._expected_s(side, number) for side in sides}
        sides.sort(key=expected.__getitem__)
        late = []
        while sides and sum(expected[side] for side in sides) > self.budget.left():
            late.append(sides.pop())
        if late and any(counts):  # what is there stays: measured apart, it would not be in turn
            late, sides = [one for one in (*late, *sides) if not self._count(one, number)], []
        for side in late:
            self._leave_out(side, number, self._no_time(side, number))
        for side in sides:  # a record of an interrupted turn has no partner
            self.runs.forget(side, number)
        found = [self._measure(side, number) for side in sides]
        if sides:
            self._tell(number, sides, found)

    def _measure(self, side: int, number: int) -> Record | None:
        """Measure one run more, learn from it, and name it where it gave no record."""
        began = self.budget.clock()
        record = self._run_more(side, number)
        if record is None:
            over = self.budget.left() <= 0
            reason = "stopped: the time was over" if over else "its process died: see turns.log"
            self._leave_out(side, number, reason)
        elif record.times is not None:
            self.times.add(wall_s=self.budget.clock() - began, fit_s=record.times.median_s)
        return record

    def _run_more(self, side: int, number: int) -> Record | None:
        """Return the record after one run more; None if it did not end, or no time is left."""
        self._fastest.clear()
        self._ratios.clear()
        left = self.budget.left()
        return self.runs.measure(side, number, left) if left > 0 else None

    def _once_more(self, number: int) -> bool:
        case, fastest = self.cases[number], self.fastest_s(self.cases[number])
        for side in self._all:
            record, seconds = self.runs.record(side, number), self._seconds(side, number)
            if record is None or record.times is None or count_runs(record.times) >= RUNS:
                continue
            if record.status == "disturbed" or case.reference:
                return True
            if seconds is not None and fastest is not None and seconds <= MAYBE_FASTEST * fastest:
                return True
        return False

    def _run_again(self, number: int) -> bool:
        """Time a case once more in all environments that have it; return whether there was time."""
        sides = [side for side in reversed(self._all) if self._timed(side, number)]
        if sum(self._expected_s(side, number) for side in sides) > self.budget.left():
            return False
        for side in sides:
            if self._run_more(side, number) is None:
                return False  # the first run stands
        self.say(f"{self.cases[number].text}: timed in another process")
        return True

    def _no_time(self, side: int, number: int) -> str:
        left = max(0.0, self.budget.left())
        return (
            f"no time: it would take about {seconds_text(self._expected_s(side, number))}, and "
            f"{seconds_text(left)} was left"
        )

    def _leave_out(self, side: int, number: int, reason: str) -> None:
        predicted = self.prediction(side, number)
        bounds = None if predicted is None else (predicted.low, predicted.seconds, predicted.high)
        text, label = self.cases[number].text, self.sides[side].label
        self.not_measured.append(NotMeasured(text, label, reason, bounds))

    def _tell(self, number: int, sides: Sequence[int], found: Sequence[Record | None]) -> None:
        """Say what a case gave, and how much time is left."""
        parts = []
        for side, record in zip(sides, found, strict=True):
            predicted = self.prediction(side, number)
            text = "no record"
            if record is not None and record.times is not None:
                text = seconds_text(record.times.median_s)
            if record is not None and record.status != "ok":
                text = f"{record.status}: {record.reason}"
            if predicted is not None:
                text += f" (predicted {seconds_text(predicted.seconds)})"
            parts.append(f"{self.sides[side].label} {text}")
        left = f"about {_rough(self._left_s(number + 1))} left"
        place = f"[{number + 1}/{len(self.cases)}]"
        self.say(f"{place} {self.cases[number].text}: {', '.join(parts)}; {left}")

    def _left_s(self, start: int) -> float:
        """Return the seconds that the rest takes, by today's knowledge."""
        expected = [
            self._expected_s(side, number)
            for number in range(start, len(self.cases))
            for side in self._all
            if not self._count(side, number) and self.too_slow(side, number) is None
        ]
        again = [
            self._expected_s(side, number)
            for number in range(start)
            if self._once_more(number)
            for side in self._all
            if self._timed(side, number)
        ]
        return max(0.0, min(sum(expected) + sum(again), self.budget.left()))


def _rough(seconds: float) -> str:
    """Return a time as a person would say it.

    >>> _rough(44.2), _rough(130.0), _rough(9000.0)
    ('44 s', '2.2 min', '2.5 h')
    """
    if seconds < 90 or not math.isfinite(seconds):
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
