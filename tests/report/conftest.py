"""Valid records of no measurement, with numbers chosen so that every ratio is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bench_core.records import AnyRecord, Record, write
from bench_core.records.record import (
    Accuracy,
    Agreement,
    BlasRecord,
    LibraryRecord,
    Memory,
    NullAccuracy,
    PenaltyCounts,
    Times,
)
from bench_core.runner.run import start_record
from bench_core.runner.spec import FitSpec, ProblemShape

_LIBRARY = LibraryRecord(
    "openblas", "0.3.30", "Haswell", "pthreads", 1, "libscipy_openblas.so", "lp64"
)
_SHAPE = ProblemShape("whole-brain-bmor", 100, 64, 9, "float64", "sub-01", 0.0625)
_SPEC = FitSpec("whole-brain-bmor", "ridgecv", suite="nodes_bmor", scale=0.0625)

Make = Callable[..., Record]


def _valid(seconds: float) -> Record:
    figures = {"mean": 0.25, "median": 0.2, "p95": 0.6, "max": 0.75, "defined": 9, "undefined": 0}
    null = {"mean": 0.0, "median": 0.0, "p95": 0.04, "max": 0.05, "defined": 9, "undefined": 0}
    record = start_record(_SPEC, _SHAPE)
    return replace(
        record,
        status="ok",
        reason=None,
        started="2026-01-01T00:00:00Z",
        times=Times((seconds,), seconds, (seconds * 0.9, seconds * 1.1), 0.5, 0.1, None),
        memory=Memory(3 * 1024**3, 1024**3, 3 * 1024**3, 50.0, 60.0, 9, 0.01, ()),
        bytes_moved={"total": 0},
        penalty=PenaltyCounts("all", (100.0,), (9,)),
        accuracy=Accuracy(**figures),
        null=NullAccuracy("fit", 9, **null),
        agreement=Agreement(1e-8, 1e-12, 9, "svd", True, 100.0, None, True),
        blas=BlasRecord("openblas", _LIBRARY, _LIBRARY, (), None),
        machine=replace(record.machine, cpu={"model": "A test's CPU"}),
    )


@pytest.fixture
def record() -> Make:
    """Return a function that makes a record: case fields by keyword, seconds and status apart."""

    def make(
        seconds: float = 8.0, status: str = "ok", reason: str | None = None, **case: Any
    ) -> Record:
        made = _valid(seconds)
        problem = replace(made.case.problem, **case.pop("problem", {}))
        asked = replace(made.case, problem=problem, **case)
        times = None if status in ("skipped", "failed") else made.times
        return replace(made, status=status, reason=reason, case=asked, times=times)

    return make


@pytest.fixture
def leave() -> Callable[[Path, str, str, list[AnyRecord]], None]:
    """Return a function that leaves records where the benchmarks do."""
    numbers = count()

    def leave(pending: Path, environment: str, commit: str, records: list[AnyRecord]) -> None:
        for one in records:
            write(one, pending / environment / commit / f"{next(numbers):03}.json")

    return leave
