"""Histories from asv's own result files: suites that leave no records, and dates of commits."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench_core.history.figures import Figure, asv_figure
from bench_core.history.series import CaseHistory, Point, Trouble
from bench_core.records import EnvironmentRun, Record


@dataclass
class AsvResults:
    """What asv's result files hold beside the records.

    Parameters
    ----------
    histories : of benchmarks whose suites left no records.
    dates, full : name of a commit → seconds since 1970, and its whole hash.
    problems : a line for every file, or benchmark, that could not be read.

    Examples
    --------
    >>> AsvResults().histories
    []
    """

    histories: list[CaseHistory] = field(default_factory=list)
    dates: dict[str, float] = field(default_factory=dict)
    full: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_asv_results(folder: Path, runs: Iterable[EnvironmentRun]) -> AsvResults:
    """Return what the files ``MACHINE/COMMIT-ENVIRONMENT.json`` of ``folder`` hold.

    A benchmark whose suite has records of the same run in ``runs`` is left out: the records say
    more.
    """
    found = AsvResults()
    histories: dict[tuple[str, ...], CaseHistory] = {}
    recorded = {
        (run.machine, run.commit[:8], run.environment, suite)
        for run in runs
        for suite in _suites(run)
    }
    units = _units(folder / "benchmarks.json", found)
    for own in sorted({path.parent for path in folder.glob("*/[!.]*.json*")}):
        if not (own / "machine.json").is_file():
            found.problems.append(
                f"{own.name} has no machine.json: asv shows nothing of it; `asv machine` writes one"
            )
    for path in sorted(folder.glob("*/[!.]*.json")):
        if path.name == "machine.json":
            continue
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            commit, environment = str(values["commit_hash"]), str(values["env_name"])
            found.dates[commit[:8]] = float(values["date"]) / 1000
            found.full[commit[:8]] = commit
            results, columns = dict(values["results"]), list(values["result_columns"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            reason = f"{type(error).__name__}: {error}"
            found.problems.append(
                f"skipped: {path.parent.name}/{path.name} is no asv result ({reason})"
            )
            continue
        place = path.parent.name, commit[:8], re.sub(r"[^A-Za-z0-9._-]+", "_", environment)
        for benchmark, entry in sorted(results.items()):
            if (*place, benchmark.partition(".")[0]) in recorded:
                continue
            try:
                points = list(_points(dict(zip(columns, entry, strict=False))))
            except (TypeError, ValueError, AttributeError):
                found.problems.append(f"skipped: {path.name}, {benchmark} is no asv result")
                continue
            figure = asv_figure(benchmark, units.get(benchmark, ""))
            for case, value in points:
                _keep(histories, place, case, figure, value)
    measured = (one for one in histories.values() if any(p.values for p in one.points.values()))
    found.histories = list(measured)
    return found


def _suites(run: EnvironmentRun) -> set[str]:
    found = {one.case.suite for one in run.fits}
    return found | ({"kernels"} if run.kernels else set())


def _units(path: Path, found: AsvResults) -> dict[str, str]:
    try:
        values = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        items = [(name, one) for name, one in values.items() if isinstance(one, dict)]
        return {name: str(one.get("unit", "")) for name, one in items}
    except (OSError, ValueError, AttributeError) as error:
        found.problems.append(f"skipped: {path.name} cannot be read ({error}): units are unknown")
        return {}


def _points(entry: dict[str, Any]) -> Iterator[tuple[str, float | None]]:
    """Yield parameters and value of a benchmark; None where it failed, NaN where it was skipped."""
    sets = list(itertools.product(*(entry.get("params") or [])))
    values = entry.get("result")
    values = [None] * len(sets) if values is None else values
    for parameters, value in zip(sets, values, strict=True):
        text = ", ".join(str(one).strip("'") for one in parameters)
        yield text, None if value is None else float(value)


def _keep(
    histories: dict[tuple[str, ...], CaseHistory],
    place: tuple[str, str, str],
    case: str,
    figure: Figure,
    value: float | None,
) -> None:
    machine, commit, environment = place
    if value is not None and math.isnan(value):
        return  # what does not run here has no history
    key = machine, environment, f"{figure.name}({case})", ""
    history = histories.setdefault(key, CaseHistory(*key))
    history.figures[figure.name] = figure
    scaled = None if value is None else figure.to_scale(value)
    trouble = Trouble("failed", "asv says that it failed") if value is None else None
    values = {} if scaled is None else {figure.name: scaled}
    history.points[commit] = Point(values, trouble, environment, {}, "")


def full_hashes(runs: Iterable[EnvironmentRun]) -> dict[str, str]:
    """Return the whole hash of every commit that a record names."""
    records: list[Record] = [one for run in runs for one in run.fits]
    return {one.commit[:8]: one.commit for one in records if one.commit is not None}
