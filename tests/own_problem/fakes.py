"""Measurements of a sweep that take no time: seconds by a function, on a clock that is set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from bench_core.own_problem.cases import SweepCase
from bench_core.own_problem.environments import BlasEnvironment
from bench_core.own_problem.model import Model
from bench_core.records import Record, read, write
from bench_core.records.times import RunTimes, Times
from bench_core.runner.problem_cache import problem_shape
from bench_core.runner.spec import FitSpec
from bench_core.scaling.calibration import read_calibration
from tests.valid_record import valid_record

OVERHEAD_S = 4.0
Seconds = Callable[[FitSpec], float]


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@cache
def shipped(blas: str = "openblas", *, trusted: bool = True) -> Model:
    """Return the model of the thesis's machine: one, which keeps the rates that it worked out."""
    return Model(read_calibration(f"xeon-6130-{blas}"), trusted, f"{blas}: a table")


def modelled(blas: str = "openblas", factor: float = 1.0) -> Seconds:
    """Return a function that gives the model's own seconds, times a factor."""

    def seconds(spec: FitSpec) -> float:
        from bench_core import strategies

        size = problem_shape(spec)
        kind = strategies.get(spec.strategy)
        t = size.t - -(-size.t // 10)
        cost = kind(spec.penalties).cost(t, size.p, size.s, spec.dtype, spec.nodes)
        found = shipped(blas).prediction(SweepCase(spec, cost))
        assert found is not None
        return factor * found.seconds

    return seconds


def repeated(seconds: float, number: int) -> RunTimes:
    """Return a run of five repeats, 1 % apart."""
    fits = tuple(seconds * one for one in (0.99, 0.995, 1.0, 1.005, 1.01))
    return RunTimes(number, f"2026-01-01T00:00:{number:02}Z", (), fits, "precision")


class FakeRuns:
    """Measures in no time, as `bench_core.own_problem.measuring.EnvironmentRuns` does in some."""

    def __init__(
        self,
        environments: list[BlasEnvironment],
        cases: list[SweepCase],
        folder: Path,
        pending: Path,
        session: str,
        variables: Any = None,
        *,
        seconds: Seconds,
        clock: Clock,
    ) -> None:
        self.session, self.pending, self.folder = session, pending, folder
        self.environments, self.cases = environments, cases
        self.seconds, self.clock = seconds, clock
        self.asked: list[tuple[str, str]] = []
        self.published: list[Any] = []
        self.known: dict[tuple[int, int], Record | None] = {}
        self.interrupt_after: int | None = None

    def __enter__(self) -> FakeRuns:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def _spec(self, side: int, case: int) -> FitSpec:
        return replace(self.cases[case].spec, blas=self.environments[side].blas)

    def _path(self, side: int, case: int) -> Path:
        return self.folder / self.environments[side].name / f"{self._spec(side, case).stem}.json"

    def record(self, side: int, case: int) -> Record | None:
        if (side, case) not in self.known:
            path = self._path(side, case)
            self.known[side, case] = read(Record, path) if path.is_file() else None
        return self.known[side, case]

    def measure(self, side: int, case: int, limit_s: float) -> Record | None:
        if self.interrupt_after is not None and len(self.asked) >= self.interrupt_after:
            raise KeyboardInterrupt
        spec = self._spec(side, case)
        self.asked.append((self.environments[side].label, self.cases[case].text))
        seconds = self.seconds(spec)
        took = OVERHEAD_S + 5 * seconds
        if took > limit_s:
            self.clock.now += limit_s
            return None
        self.clock.now += took
        before = self.record(side, case)
        made = replace(valid_record(spec, problem_shape(spec), seconds), session=self.session)
        number = 0 if before is None or before.times is None else len(before.times.runs)
        earlier = () if before is None or before.times is None else before.times.runs
        all_runs = (*earlier, repeated(seconds, number))
        fits = tuple(one for run in all_runs for one in run.fit_s)
        ends = (0.99 * seconds, 1.01 * seconds)
        times = Times(fits, seconds, ends, 0.5, 0.1, None, all_runs)
        described = replace(made.machine, cpu={"model": "A test's processor"})
        made = replace(made, times=times, machine=described)
        write(made, self._path(side, case))
        self.known[side, case] = made
        write(made, self._published(side) / f"own-{made.key}.json")
        return made

    def forget(self, side: int, case: int) -> None:
        self._path(side, case).unlink(missing_ok=True)
        self.known[side, case] = None

    def forget_all(self) -> None:
        for side in range(len(self.environments)):
            for case in range(len(self.cases)):
                self.forget(side, case)

    def publish(self, record: Any) -> None:
        self.published.append(record)
        for side in range(len(self.environments)):
            write(record, self._published(side) / f"session-{record.case.session}.json")

    def _published(self, side: int) -> Path:
        return self.pending / self.environments[side].name / "unknown"
