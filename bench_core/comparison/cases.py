"""Cases of collected runs: what was measured where, with all repeats of all its runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bench_core.comparison.noise import Runs
from bench_core.records import EnvironmentRun, Record
from bench_core.records.runs import environment_label, record_label, scale_text, strategy_text
from bench_core.records.session import CLOCK_SUITE


@dataclass(frozen=True, order=True)
class Case:
    """What was fitted, wherever it ran: equal cases are comparable.

    ``rest`` holds seeds, split, subject, penalties, intercept and use of hardware threads as JSON.

    Examples
    --------
    >>> case = Case("parcels", "1/24", "float64", "ridgecv", 1, 2, "{}")
    >>> print(case)
    parcels 1/24, ridgecv 1×2
    """

    problem: str
    scale: str
    dtype: str
    strategy: str
    nodes: int
    threads: int
    rest: str

    def __str__(self) -> str:
        """Return the case in words; double precision is not mentioned."""
        precision = "" if self.dtype == "float64" else self.dtype
        problem = " ".join(word for word in (self.problem, self.scale, precision) if word)
        return f"{problem}, {self.strategy} {self.nodes}×{self.threads}"


@dataclass(frozen=True, order=True)
class Place:
    """Where a case was measured: machine, commit, environment.

    Examples
    --------
    >>> Place("here", "c0ffee00", "env-a").commit
    'c0ffee00'
    """

    machine: str
    commit: str
    environment: str


@dataclass(frozen=True)
class Measured:
    """One case in one place.

    Parameters
    ----------
    label : the BLAS that answered there, or torch's own, with version and kernels.
    runs : times of every valid measurement, in seconds; empty if there is none.
    rounds : of every session of `ridgebench bench`, by its name, the times of every run of this
        case; runs of equal number were measured in turn.
    trouble : why there is none, such as "invalid: another BLAS"; None where there is one.
    record : of its last run; of the last valid one where there is one.

    Examples
    --------
    >>> from bench_core.runner.run import start_record
    >>> from bench_core.runner.spec import FitSpec, ProblemShape
    >>> shape = ProblemShape("parcels", 1081, 256, 6, "float64")
    >>> record = start_record(FitSpec("parcels", "bmor"), shape)
    >>> place = Place("here", "c0ffee00", "env-a")
    >>> Measured(case_of(record), place, "mkl", ((1.0,),), None, record).trouble is None
    True
    """

    case: Case
    place: Place
    label: str
    runs: Runs
    trouble: str | None
    record: Record
    rounds: Mapping[str, Mapping[int, tuple[float, ...]]] = field(default_factory=dict)

    @property
    def started(self) -> str:
        """UTC time at which its last run began."""
        return self.record.started


def case_of(record: Record) -> Case:
    """Return the case of a fit's record, without suite, BLAS and kernels."""
    case, problem = record.case, record.case.problem
    rest = {
        "subject": problem.subject,
        "seed": problem.seed,
        "split": [case.split.kind, case.split.seed],
        "alphas": case.alphas,
        "intercept": case.fit_intercept,
        "hardware_threads": case.hardware_threads,
    }
    return Case(
        problem.name,
        scale_text(problem.scale),
        problem.dtype,
        strategy_text(case),
        case.nodes,
        case.threads,
        json.dumps(rest),
    )


def measured_cases(runs: Iterable[EnvironmentRun]) -> list[Measured]:
    """Return every case of every place once, with all its runs.

    Records of one case and place are runs of it: two suites that measured it, or two folders of
    results. The machine's clock is no case. A case is in trouble only where none of its records is
    valid.
    """
    found: dict[tuple[Place, Case], list[Record]] = {}
    labels: dict[Place, str] = {}
    for run in runs:
        place = Place(run.machine, run.commit, run.environment)
        label = environment_label(run)
        if labels.get(place, run.environment) == run.environment:
            labels[place] = label
        for record in run.fits:
            if record.case.suite == CLOCK_SUITE:
                continue
            own = place
            if record.case.cluster != "local":  # fits of another cluster are no runs of these
                own = replace(place, machine=f"{run.machine}, {record.case.cluster}")
                labels.setdefault(own, label)
            found.setdefault((own, case_of(record)), []).append(record)
    return [
        _measured(place, case, labels[place], records)
        for (place, case), records in sorted(found.items())
    ]


def commits_in_time(measured: Iterable[Measured]) -> list[str]:
    """Return the commits that have valid times, that of the earliest record first."""
    started: dict[str, str] = {}
    for one in measured:
        if one.runs:
            name = one.place.commit
            started[name] = min(started.get(name, one.started), one.started)
    return sorted(started, key=lambda name: (started[name], name))


def _measured(place: Place, case: Case, label: str, records: list[Record]) -> Measured:
    unique = list({record.id: record for record in records}.values())
    valid = [one for one in unique if one.status == "ok" and one.times is not None]
    runs = tuple(one.times.fit_s for one in valid if one.times is not None)
    last = max(valid or unique, key=lambda one: one.started)
    trouble = None if valid else f"{last.status}: {last.reason}"
    rounds = {
        one.session: {run.number: run.fit_s for run in one.times.runs if run.counted}
        for one in valid
        if one.times is not None and one.session is not None
    }
    return Measured(case, place, record_label(last, label), runs, trouble, last, rounds)


def in_turn(first: Measured, second: Measured) -> tuple[Runs, Runs] | None:
    """Return the runs that both were measured in turn, of the last session of both, None if none.

    Only runs that count on both sides are there, in the order of their numbers.
    """
    shared = sorted(set(first.rounds) & set(second.rounds))
    if not shared:
        return None
    sides = first.rounds[shared[-1]], second.rounds[shared[-1]]
    numbers = sorted(set(sides[0]) & set(sides[1]))
    if not numbers:
        return None
    return tuple(sides[0][one] for one in numbers), tuple(sides[1][one] for one in numbers)
