"""Fits of several subjects: one result folder each, and tables and pictures of all of them.

A folder that holds problem folders is several subjects. Their results lie in one folder, each under
the name of its problem's folder, so that what is there is not fitted again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench_core import strategies
from bench_core.accuracy.subjects import (
    SubjectsComparison,
    compare_subjects,
    folders_in,
    open_subjects,
    write_subjects,
)
from bench_core.data import names as problem_names
from bench_core.data.folder import DESCRIPTION
from bench_core.disk import check_writable
from bench_core.errors import InputError, RidgebenchError
from bench_core.fitting.request import FitRequest
from bench_core.fitting.run import fit
from bench_core.progress import Progress, silent
from bench_core.records import Record, codec


@dataclass(frozen=True, eq=False)
class SubjectsOutcome:
    """Fits of several subjects.

    Parameters
    ----------
    records : of the fits that there are, by subject. failed : reasons of the others.
    kept : subjects that were fitted before.
    comparison : None where no fit is there. files : in ``folder``, of all subjects.
    """

    folder: Path
    records: dict[str, Record]
    failed: dict[str, str]
    kept: list[str]
    comparison: SubjectsComparison | None
    files: list[str]

    @property
    def valid(self) -> bool:
        """True where every subject has a valid fit."""
        return not self.failed and all(one.status == "ok" for one in self.records.values())


def subject_problems(problem: str | None) -> dict[str, str]:
    """Return the problem folders in the folder ``problem`` by their names.

    {} for the name of a problem, and for a folder that is a problem itself or holds none.
    """
    if problem is None or problem in problem_names():
        return {}
    inner = folders_in(Path(problem), DESCRIPTION)
    return {name: str(path) for name, path in inner.items()}


def fit_subjects(
    request: FitRequest,
    problems: Mapping[str, str],
    *,
    regions: Path | None = None,
    scratch: Path | None = None,
    progress: Progress | None = None,
    show_plan: Callable[[str], None] | None = None,
) -> SubjectsOutcome:
    """Fit every problem as asked into ``request.out``/NAME, and compare the subjects.

    A subject that cannot be fitted does not end the others. With ``request.resume`` results that
    are there are kept.

    Parameters
    ----------
    problems : folders by name, of `subject_problems`.
    regions : atlas image whose regions are compared; see `compare_subjects`.

    Raises
    ------
    InputError : the folder of results is there and ``request.resume`` is not set, or holds results
        of another strategy or of other penalties.
    """
    report = progress or silent
    out = request.out
    _check_out(request, out)
    made = not out.is_dir()
    out.mkdir(parents=True, exist_ok=True)
    records: dict[str, Record] = {}
    failed: dict[str, str] = {}
    kept: list[str] = []
    distributed = strategies.get(request.strategy).distributed
    try:
        for done, (name, problem) in enumerate(problems.items()):
            report(f"subject {name}", done, len(problems))
            own = replace(
                request,
                source=replace(request.source, problem=problem),
                out=out / name,
                resume=request.resume and distributed,
            )
            if own.out.is_dir():
                records[name] = _same_fit(own)
                kept.append(name)
                continue
            try:
                outcome = fit(own, scratch=scratch, progress=progress, show_plan=show_plan)
            except RidgebenchError as error:
                failed[name] = str(error)
            else:
                records[name] = outcome.record
    finally:
        if made and not any(out.iterdir()):
            out.rmdir()
    if not records:
        return SubjectsOutcome(out, records, failed, kept, None, [])
    report("comparing subjects")
    folders = {name: out / name for name in records}
    comparison = compare_subjects(open_subjects(folders), regions)
    columns = {name: _columns(record) for name, record in records.items()}
    files = write_subjects(comparison, out, figures=request.figures, further=columns)
    return SubjectsOutcome(out, records, failed, kept, comparison, files)


def _check_out(request: FitRequest, out: Path) -> None:
    if out.exists() and not request.resume:
        raise InputError(
            f"{out} exists already: choose another folder or remove it, or --resume to keep the "
            "subjects that are fitted"
        )
    replace(request, out=out / ".new", resume=False).check()
    check_writable(out.absolute().parent)


def _same_fit(request: FitRequest) -> Record:
    """Return the record of a result that is there; raise `InputError` for one of another fit."""
    record: Record = codec.read(Record, request.out / "record.json")
    case = record.case
    asked = (request.strategy, [float(one) for one in request.alphas])
    there = (case.strategy, [float(one) for one in case.alphas or ()])
    if asked != there:
        raise InputError(
            f"{request.out} was fitted by {case.strategy} with penalties {list(there[1])}, not by "
            f"{request.strategy} with {list(asked[1])}: choose another --out"
        )
    return record


def _columns(record: Record) -> dict[str, Any]:
    """Return the columns of a subject's row that its record has."""
    times, memory, problem = record.times, record.memory, record.case.problem
    return {
        "status": record.status,
        "samples_train": problem.t_train,
        "samples_test": problem.t_test,
        "fit_s": None if times is None else times.median_s,
        "peak_bytes": None if memory is None else memory.peak_bytes,
    }
