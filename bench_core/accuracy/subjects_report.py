"""Accuracy of several subjects' fits: a report beside each, tables and pictures of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench_core.accuracy.report import FOLDER, AccuracyRequest, accuracy_report
from bench_core.accuracy.result import FitResult
from bench_core.accuracy.subjects import (
    SubjectsComparison,
    compare_subjects,
    open_subjects,
    write_subjects,
)
from bench_core.data.problem import Problem
from bench_core.disk import check_writable
from bench_core.errors import InputError
from bench_core.files import new_folder
from bench_core.progress import Progress, silent


def subjects_report(
    folder: Path,
    results: Mapping[str, Path],
    request: AccuracyRequest | None = None,
    *,
    progress: Progress = silent,
    open_problem: Callable[[FitResult], Problem] = FitResult.open_problem,
) -> tuple[SubjectsComparison, dict[str, dict[str, Any]], list[str]]:
    """Write every subject's report, and tables and pictures of all into ``folder``/accuracy.

    Parameters
    ----------
    results : folders of fits by subject, of `bench_core.accuracy.subjects.result_folders`.

    Returns the comparison, the figures of every subject's report, and the names of the files of
    all subjects.

    Raises what `accuracy_report` does, and `InputError` where a map to compare with is asked for:
    the subjects are compared with each other.
    """
    request = request or AccuracyRequest()
    if request.against:
        raise InputError(
            f"--against {request.against[0]}: the subjects in {folder} are compared with each "
            "other; leave it out"
        )
    check_writable(folder)
    figures = {}
    for done, (name, place) in enumerate(results.items()):
        progress(f"subject {name}", done, len(results))
        figures[name] = accuracy_report(
            place, request, progress=progress, open_problem=open_problem
        )
    comparison = compare_subjects(open_subjects(dict(results), open_problem), request.regions)
    further = {name: _columns(found) for name, found in figures.items()}
    with new_folder(folder / FOLDER, replace=True) as part:
        files = write_subjects(comparison, part, figures=request.figures, further=further)
    return comparison, figures, files


def _columns(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of a subject's row that its report has."""
    null, ceiling = found["null"], found["ceiling"]
    return {
        "significant": None if null is None else null["significant"],
        "threshold_r": None if null is None else null["threshold_r"],
        "ceiling_p95": None if ceiling is None else ceiling["r"]["p95"],
    }
