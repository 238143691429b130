"""The process of a cell: ``python -m bench_core.study.worker JOB.json OUT.json``."""

from __future__ import annotations

import sys

from bench_core.errors import RidgebenchError
from bench_core.progress import Progress
from bench_core.runner.protocol import Keep, serve
from bench_core.study.process import CellJob, CellResult


def _work(job: CellJob, progress: Progress, keep: Keep) -> CellResult:
    from bench_core.study.cell_runner import compute

    try:
        return CellResult("ok", cell=compute(job.settings, job.cell, progress))
    except RidgebenchError as error:
        return CellResult("failed", str(error), type(error).__name__)


if __name__ == "__main__":
    serve(_work, CellJob, CellResult, *sys.argv[1:3])
