"""Series over commits: the figures of every case, and where a case gave none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench_core.comparison.cases import Case, case_of
from bench_core.comparison.noise import location
from bench_core.history import figures
from bench_core.history.figures import Figure
from bench_core.records import EnvironmentRun, KernelsRecord, Record
from bench_core.records.runs import environment_label, record_label


@dataclass(frozen=True)
class Trouble:
    """Why a commit gave no figure: invalid, skipped or failed, and the reason.

    Examples
    --------
    >>> str(Trouble("invalid", "another BLAS"))
    'invalid: another BLAS'
    """

    status: str
    reason: str

    def __str__(self) -> str:
        """Return both."""
        return f"{self.status}: {self.reason}"


@dataclass(frozen=True)
class Point:
    """One case at one commit.

    Parameters
    ----------
    values : on the scale of their figure, by the figure's name.
    trouble : why there are none; None where there are.
    label : library behind the products. ``versions`` : of packages. ``started`` : UTC.

    Examples
    --------
    >>> Point({"time": 0.0}, None, "openblas", {}, "2026-01-01T00:00:00Z").trouble is None
    True
    """

    values: Mapping[str, float]
    trouble: Trouble | None
    label: str
    versions: Mapping[str, str]
    started: str


@dataclass
class CaseHistory:
    """One case in one environment of one machine: its points by commit, and its figures.

    ``detail`` tells cases of the same text apart: seeds, split, subject, penalties.

    Examples
    --------
    >>> CaseHistory("here", "env-a", "parcels, ridgecv 1×2", "").points
    {}
    """

    machine: str
    environment: str
    case: str
    detail: str
    figures: dict[str, Figure] = field(default_factory=dict)
    points: dict[str, Point] = field(default_factory=dict)


def case_histories(runs: Iterable[EnvironmentRun]) -> list[CaseHistory]:
    """Return the history of every fit and of every kernel in ``runs``."""
    found: dict[tuple[str, ...], CaseHistory] = {}
    for (machine, environment, commit), together in _places(runs).items():
        label = environment_label(together[0])
        for case, detail, shown, point in [*_fits(together, label), *_kernels(together, label)]:
            key = (machine, environment, case, detail)
            history = found.setdefault(key, CaseHistory(*key))
            history.points[commit] = point
            history.figures |= {one.name: one for one in shown}
    return [found[key] for key in sorted(found)]


def _places(runs: Iterable[EnvironmentRun]) -> dict[tuple[str, str, str], list[EnvironmentRun]]:
    found: dict[tuple[str, str, str], list[EnvironmentRun]] = {}
    for run in runs:
        found.setdefault((run.machine, run.environment, run.commit[:8]), []).append(run)
    return found


Found = tuple[str, str, list[Figure], Point]


def _fits(runs: list[EnvironmentRun], label: str) -> Iterator[Found]:
    """Yield the fits of one environment at one commit, all its runs together."""
    by_case: dict[Case, dict[str, Record]] = {}
    for run in runs:
        for record in run.fits:
            by_case.setdefault(case_of(record), {})[record.id] = record
    times = {case: _log_seconds(list(records.values())) for case, records in by_case.items()}
    for case, records in by_case.items():
        valid = [one for one in records.values() if one.status == "ok"]
        last = max(records.values(), key=lambda one: one.started)
        values: dict[Figure, float | None] = {}
        if valid:
            values = {
                figures.TIME: times[case],
                figures.INVERSE_SU: _over(times, case, _one_thread(case)),
                figures.INVERSE_DSU: _over(times, case, _reference(case)),
                figures.MEMORY: _mean(figures.MEMORY, [_memory(one) for one in valid]),
                figures.R: _mean(figures.R, [_r(one) for one in valid]),
                figures.DISAGREEMENT: _mean(
                    figures.DISAGREEMENT, [_disagreement(one) for one in valid]
                ),
            }
        known = {figure: value for figure, value in values.items() if value is not None}
        trouble = None if valid else Trouble(last.status, str(last.reason))
        point = Point(
            {figure.name: value for figure, value in known.items()},
            trouble,
            record_label(last, label),
            last.versions,
            last.started,
        )
        yield str(case), case.rest, list(known), point


def _log_seconds(records: list[Record]) -> float | None:
    runs = tuple(one.times.fit_s for one in records if one.status == "ok" and one.times is not None)
    return location(runs) if runs and min(map(min, runs)) > 0 else None


def _one_thread(case: Case) -> Case | None:
    if case.threads == 1:
        return None
    return Case(case.problem, case.scale, case.dtype, case.strategy, case.nodes, 1, case.rest)


def _reference(case: Case) -> Case | None:
    reference = Case(case.problem, case.scale, case.dtype, "ridgecv", 1, 1, case.rest)
    return None if case == reference else reference


def _over(times: Mapping[Case, float | None], case: Case, other: Case | None) -> float | None:
    own, reference = times[case], None if other is None else times.get(other)
    return None if own is None or reference is None else own - reference


def _mean(figure: Figure, values: list[float | None]) -> float | None:
    scaled = [figure.to_scale(value) for value in values if value is not None]
    known = [value for value in scaled if value is not None]
    return float(np.mean(known)) if known else None


def _memory(record: Record) -> float | None:
    return None if record.memory is None else float(record.memory.peak_bytes)


def _r(record: Record) -> float | None:
    return None if record.accuracy is None else record.accuracy.mean


def _disagreement(record: Record) -> float | None:
    """Return the worst difference, or what is rounding where that is larger."""
    if record.agreement is None or record.agreement.worst is None:
        return None
    return max(record.agreement.worst, record.agreement.tolerance * figures.ROUNDING)


def _kernels(runs: list[EnvironmentRun], label: str) -> Iterator[Found]:
    """Yield a case for every kernel, precision, size and thread count."""
    records: list[KernelsRecord] = [one for run in runs for one in run.kernels]
    found: dict[str, list[float]] = {}
    troubles: dict[str, Trouble] = {}
    for record in records:
        end = f"n = {record.case.size}, threads = {record.case.threads}"
        if record.status != "ok" or record.rates is None:
            for operation in record.case.operations:
                for precision in ("float64", "float32"):
                    trouble = Trouble(record.status, str(record.reason))
                    troubles[f"kernel {operation} {precision}, {end}"] = trouble
            continue
        for precision, rates in record.rates.items():
            for operation, rate in rates.items():
                found.setdefault(f"kernel {operation} {precision}, {end}", []).append(
                    math.log(rate.gflops)
                )
    detail: dict[str, Any] = {}
    for case in sorted({*found, *troubles}):
        values = {"GFLOP/s": float(np.mean(found[case]))} if case in found else {}
        point = Point(values, None if values else troubles[case], label, detail, "")
        yield case, "", [figures.GFLOPS] if values else [], point
