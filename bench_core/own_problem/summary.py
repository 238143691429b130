"""Results of a sweep: its records among all that were collected, the answer, and the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from bench_core import strategies
from bench_core.blas.libraries import LIBRARIES
from bench_core.own_problem.cases import REFERENCE
from bench_core.own_problem.problem import OwnProblem
from bench_core.records import EnvironmentRun, Record, read_runs
from bench_core.records.runs import strategy_text
from bench_core.records.session import SessionRecord
from bench_core.report.answers import Answer, find_answers
from bench_core.report.own_results import SUITE
from bench_core.report.units import seconds_text


def session_runs(results: Path, machine: str, session: str) -> list[EnvironmentRun]:
    """Return the collected records of one session, by environment."""
    found = []
    for run in read_runs(results, machine):
        records = [one for one in run.records if _belongs(one, session)]
        if records:
            found.append(replace(run, records=records, problems=[]))
    return found


def own_answer(
    problem: OwnProblem,
    runs: Sequence[EnvironmentRun],
    *,
    current: str | None,
    expected: Iterable[str] = (),
) -> Answer | None:
    """Return the answer of a sweep, None where no valid fit was measured.

    Parameters
    ----------
    current : the BLAS of this environment, in which the command is to run.
    expected : lines about other machines.
    """
    answers = find_answers(runs, least=1)
    if not answers:
        return None
    answer = max(answers, key=lambda one: one.others)
    data = () if problem.named else problem.words
    notes = [
        *_over_reference(answer, runs),
        *_other_penalties(answer, runs),
        *_needed(answer, problem, current),
        *expected,
    ]
    return replace(answer, data=data, notes=tuple(notes))


def write_own_page(runs: list[EnvironmentRun], answer: Answer | None, path: Path) -> Path:
    """Write the pages of a sweep and return the first, which is the answer.

    Raises `ImportError` where the packages that draw it are not installed (the extra "report").
    """
    from bench_core.report.pages import write_site

    answers = [] if answer is None else [answer]
    return write_site(runs, path, answers=answers, beside_asv=False)[0]


def _belongs(record: object, session: str) -> bool:
    if isinstance(record, Record):
        return record.case.suite == SUITE and record.session == session
    return isinstance(record, SessionRecord) and record.case.session == session


def _over_reference(answer: Answer, runs: Iterable[EnvironmentRun]) -> list[str]:
    """Return how the fastest compares with scikit-learn's on one node and one thread."""
    best = answer.best.record
    found = [
        one
        for run in runs
        if run.environment == answer.best.place.environment
        for one in _valid(run)
        if (one.case.strategy, one.case.nodes, one.case.threads) == (REFERENCE, 1, 1)
    ]
    if not found or found[0].key == best.key:
        return []
    seconds = _seconds(found[0])
    return [
        f"{seconds / _seconds(best):.3g} times as fast as {REFERENCE} on one node and one thread "
        f"with the same BLAS ({seconds_text(seconds)})"
    ]


def _other_penalties(answer: Answer, runs: Iterable[EnvironmentRun]) -> list[str]:
    """Return the fastest with RidgeCV's answer, where the fastest chooses penalties otherwise."""
    if _claims(answer.best.record):
        return []
    name = answer.best.case.strategy
    text = f"{name} chooses penalties in another way than RidgeCV"
    same = [one for run in runs for one in _valid(run) if _claims(one)]
    if not same:
        return [text]
    one = min(same, key=_seconds)
    return [
        f"{text}; the fastest with RidgeCV's answer: {strategy_text(one.case)} on "
        f"{one.case.nodes} × {one.case.threads}, {_blas(one)}: {seconds_text(_seconds(one))}"
    ]


def _needed(answer: Answer, problem: OwnProblem, current: str | None) -> list[str]:
    """Return what the command needs that is not so here."""
    record, found = answer.best.record, []
    if record.case.blas not in (None, current):
        library = LIBRARIES.get(str(record.case.blas))
        found.append(
            f"The command needs {library.title} in this environment: {library.install_hint}; "
            f"ridgebench blas use {library.name}"
        )
    if not problem.named and record.case.problem.dtype != problem.dtype:
        found.append(
            f"The command fits in the data's own precision, {problem.dtype}: save X and Y as "
            f"{record.case.problem.dtype} for what was measured"
        )
    return found


def _valid(run: EnvironmentRun) -> list[Record]:
    return [one for one in run.fits if one.status == "ok" and one.times is not None]


def _claims(record: Record) -> bool:
    return strategies.get(record.case.strategy).claims_ridgecv


def _seconds(record: Record) -> float:
    assert record.times is not None
    return record.times.median_s


def _blas(record: Record) -> str:
    return "" if record.blas is None else record.blas.numpy.name
