"""A complete valid record of no measurement, for tests to vary."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from unittest.mock import patch

from bench_core.records import Record, provenance
from bench_core.records.blas import BlasRecord, LibraryRecord
from bench_core.records.results import Accuracy, Agreement, NullAccuracy, PenaltyCounts
from bench_core.records.times import Memory, ProcessMemory, Times
from bench_core.runner.run import start_record
from bench_core.runner.spec import FitSpec, ProblemShape

#: git's answers about this checkout, asked once: two processes for every record take long.
_git = cache(provenance._git)


def valid_record(spec: FitSpec, shape: ProblemShape, seconds: float = 8.0) -> Record:
    """Return a record with status "ok" of a fit that took so many seconds."""
    library = LibraryRecord(
        "openblas", "0.3.30", "Haswell", "pthreads", 1, "libscipy_openblas.so", "lp64"
    )
    counts = {"defined": shape.s - 1, "undefined": 1}
    with patch.object(provenance, "_git", _git):
        started = start_record(spec, shape)
    return replace(
        started,
        status="ok",
        reason=None,
        times=Times((seconds,), seconds, (seconds * 0.9, seconds * 1.1), 0.5, 0.1, None),
        memory=Memory(
            3 * 1024**3, 1024**3, 4 * 1024**3, 50.0, 60.0, 9, 0.01, (ProcessMemory("main", 2, 1),)
        ),
        bytes_moved={"to_workers": 4, "total": 4},
        penalty=PenaltyCounts("all", (100.0,), (shape.s,)),
        accuracy=Accuracy(mean=0.25, median=0.2, p95=0.6, max=0.75, **counts),
        null=NullAccuracy(
            method="fit", targets=shape.s, mean=0.0, median=0.0, p95=0.04, max=0.05, **counts
        ),
        agreement=Agreement(1e-8, 1e-12, shape.s, "svd", True, 100.0, None, True),
        blas=BlasRecord("openblas", library, library, (), None),
    )
