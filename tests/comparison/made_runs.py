"""Runs of made records for comparisons: every time is chosen."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from bench_core.records import EnvironmentRun, Record, record_line
from bench_core.runner.spec import FitSpec, ProblemShape
from tests.valid_record import valid_record

_SHAPE = ProblemShape("whole-brain-bmor", 100, 64, 9, "float64", "sub-01", 0.0625)
_SPEC = FitSpec("whole-brain-bmor", "ridgecv", suite="nodes_bmor", scale=0.0625)


@cache
def _valid() -> Record:
    return valid_record(_SPEC, _SHAPE)


def make_record(
    *times: float,
    status: str = "ok",
    reason: str | None = None,
    started: str = "2026-01-01T00:00:00Z",
    library: str = "openblas",
    **case: Any,
) -> Record:
    """Return a record of the given times; further keywords are fields of its case."""
    made = _valid()
    problem = replace(made.case.problem, **case.pop("problem", {}))
    asked = replace(made.case, problem=problem, **case)
    assert made.times is not None
    assert made.blas is not None
    named = replace(made.blas.numpy, name=library)
    done = (
        replace(made.times, fit_s=times, median_s=sorted(times)[len(times) // 2]) if times else None
    )
    return replace(
        made,
        id=f"{started}-{asked.suite}",
        status=status,
        reason=reason,
        started=started,
        case=asked,
        times=done if status in ("ok", "invalid") else None,
        blas=replace(made.blas, numpy=named, scipy=named),
    )


def keep(results: Path, *runs: EnvironmentRun) -> Path:
    """Write runs where collected ones lie, and return the folder."""
    for run in runs:
        path = results / run.machine / f"{run.commit}-{run.environment}.records.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(map(record_line, run.records)) + "\n")
    return results
