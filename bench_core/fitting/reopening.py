"""The problem of a finished fit, opened again from where it came."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench_core.accuracy.result import FitResult
from bench_core.data import Problem
from bench_core.errors import InputError
from bench_core.fitting.sources import ProblemSource
from bench_core.progress import Progress, silent


def source_values(source: ProblemSource) -> dict[str, Any] | None:
    """Return a source as JSON values, its files by absolute path; None for a problem folder."""
    if source.problem is not None and not source.named:
        return None
    x, y, runs = map(_absolute, (source.x, source.y, source.runs))
    return asdict(replace(source, x=x, y=y, runs=runs))


def open_fitted(result: FitResult, scratch: Path, progress: Progress = silent) -> Problem:
    """Return the problem of a fit: its folder, or the same name or files that were fitted.

    A named problem is made again; files that cannot be mapped are copied to ``scratch``, which is
    the caller's to remove.

    Raises
    ------
    InputError : the folder or a file is gone, or has another size than was fitted.
    """
    values = result.meta.get("source")
    if values is None or Path(result.problem).is_dir():
        return result.open_problem()
    source = ProblemSource(**values)
    missing = [path for path in _files(source) if not Path(path).is_file()]
    if missing:
        raise InputError(
            f"the data of this fit are gone: {', '.join(missing)}. Put them back, or fit again "
            "with --keep-problem, which keeps a copy beside the results"
        )
    # Of its own: a report opens the problems of several fits.
    problem = source.open(Path(tempfile.mkdtemp(dir=scratch)), progress)
    return result.checked(problem, source.problem or str(source.y))


def _absolute(text: str | None) -> str | None:
    """Return the name of an array file, or FILE:DATASET, with an absolute path."""
    return None if text is None else str(Path(text).absolute())


def _files(source: ProblemSource) -> list[str]:
    given = filter(None, (source.x, source.y, source.runs))
    # FILE.h5:DATASET names a file and what is in it.
    return [text if Path(text).is_file() else text.rpartition(":")[0] or text for text in given]
