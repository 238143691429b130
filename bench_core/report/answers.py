"""The answer of a report: for each problem the fastest valid configuration, and how sure that is.

Configurations of a problem differ in strategy, precision, BLAS, nodes and threads. The fastest is
the one with the smallest median. The others are judged against it by the same intervals as in
`bench_core.comparison`, at one false-discovery rate over all problems of the report.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from bench_core.comparison.cases import Measured, measured_cases
from bench_core.comparison.compare import judge_pairs
from bench_core.comparison.noise import location
from bench_core.comparison.verdicts import CaseVerdict
from bench_core.errors import counted
from bench_core.records import EnvironmentRun, Record
from bench_core.records.fit_words import option_words
from bench_core.records.statistics import few_samples
from bench_core.report.units import seconds_text

DEFAULT = "ridgecv"
"""Strategy that users run who choose nothing: scikit-learn's RidgeCV on all cores, in float64."""

_MAKERS = {"AuthenticAMD": "AMD", "HygonGenuine": "Hygon", "CentaurHauls": "Zhaoxin"}
"""Makers of processors, by what the processor answers."""

_NAMED = 3
"""Configurations that a sentence names; it counts the others."""


@dataclass(frozen=True)
class Answer:
    """The fastest configuration of one problem on one machine.

    Parameters
    ----------
    best : the fastest valid one. ``times`` : its interval in seconds; None for a single time.
    others : number of further configurations that were measured.
    alike : those of them that noise does not tell from the best, nearest first. ``unsure`` : those
        that nothing can be said of, since they or the best were measured once, nearest first.
    default : what runs where nothing is chosen (`DEFAULT`); None where it was not measured.
    saving : time of the default over that of the best, with its verdict; None without a default,
        or where the default is the best.
    data : words of the command that name the data; empty for the problem's name.
    notes : further lines, such as what a model expects elsewhere.

    Examples
    --------
    >>> find_answers([])
    []
    """

    best: Measured
    times: tuple[float, float] | None
    others: int
    alike: tuple[Measured, ...]
    unsure: tuple[Measured, ...]
    default: Measured | None
    saving: CaseVerdict | None
    data: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def problem(self) -> str:
        """Name of the problem, with its scale where it has one."""
        case = self.best.case
        return f"{case.problem} at scale {case.scale}" if case.scale else case.problem

    @property
    def fastest(self) -> str:
        """The fastest configuration and its time."""
        spread = ""
        if self.times is not None:
            low, high = map(seconds_text, self.times)
            spread = f" (95 %: {low} to {high})"
        return f"{_configuration(self.best)}: {seconds_text(_seconds(self.best))}{spread}"

    @property
    def sureness(self) -> str:
        """How sure it is that nothing else of what was measured is as fast."""
        if not self.others:
            return "nothing else was measured"
        if not self.alike and not self.unsure:
            return f"faster than the other {counted(self.others, 'configuration')}"
        parts = []
        if self.alike:
            named = "; ".join(_configuration(one) for one in self.alike[:_NAMED])
            more = len(self.alike) - _NAMED
            parts.append(
                f"within the noise of {named}" + (f"; and {more} more" if more > 0 else "")
            )
        if self.unsure:
            nearest = self.unsure[0]
            times = _seconds(nearest) / _seconds(self.best)
            which = counted(len(self.unsure), "configuration")
            parts.append(
                f"{which} cannot be judged, for want of repeats; the nearest, "
                f"{_configuration(nearest)}, took {times:.3g} times as long"
            )
        return "; ".join(parts)

    @property
    def against_default(self) -> str:
        """What it saves against what runs where nothing is chosen."""
        if self.default is None:
            return f"the default ({DEFAULT}, float64) was not measured on this problem"
        if self.saving is None:
            return "this is the default"
        default = f"the default ({_configuration(self.default)}: {_default_time(self.default)})"
        if self.saving.interval is None:
            return (
                f"{_times(self.saving)} as fast as {default}, without an interval: one of the two "
                "was measured once"
            )
        if self.saving.verdict != "slower":
            return f"no certain gain over {default}"
        return f"{_times(self.saving)} as fast as {default}"

    @property
    def command(self) -> str:
        """The command that fits this problem so."""
        return fit_command(self.best.record, self.data)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What may mislead: others on the machine, kernels that do not suit it, threads."""
        record = self.best.record
        found = [*_others(record), *_general_kernels(record)]
        if record.processor is not None and record.processor.note is not None:
            found.append(record.processor.note)
        return tuple(found)


def find_answers(runs: Iterable[EnvironmentRun], *, least: int = 2) -> list[Answer]:
    """Return the answer to every problem that was measured in ``least`` configurations or more.

    Fits of which accuracy says nothing, for want of held-out samples, are no answer. A problem's
    answers stand together, small scales first.
    """
    runs = list(runs)
    measured = measured_cases(runs)
    data = {one.case.session: one.data for run in runs for one in run.sessions}
    groups: dict[tuple[str, str, Fraction, str], list[Measured]] = {}
    for one in measured:
        if one.runs and few_samples(one.record.case.problem.t_test) is None:
            case = one.case
            key = (one.place.machine, case.problem, Fraction(case.scale or 1), case.rest)
            groups.setdefault(key, []).append(one)
    choices = [
        sorted(groups[key], key=_seconds) for key in sorted(groups) if len(groups[key]) >= least
    ]
    pairs = [(best, other) for best, *others in choices for other in others]
    judged = judge_pairs(pairs).cases
    verdicts = {
        (id(best), id(other)): verdict for (best, other), verdict in zip(pairs, judged, strict=True)
    }
    return [
        replace(_answer(choice, verdicts), data=data.get(choice[0].record.session or "", ()))
        for choice in choices
    ]


def fit_command(record: Record, data: Sequence[str] = ()) -> str:
    """Return the command that fits the problem of a record by its configuration.

    Split, candidates and the strategy's options are those of the record.

    data : words that name the data, such as a folder, which keep their own precision; none for
    the problem's name.
    """
    case, problem = record.case, record.case.problem
    words = ["ridgebench", "fit", case.strategy, *(data or [problem.name])]
    if problem.scale is not None and problem.scale != 1:
        words += ["--scale", str(Fraction(problem.scale).limit_denominator(10_000))]
    if problem.subject not in (None, "sub-01"):
        words += ["--subject", str(problem.subject)]
    if problem.dtype != "float64" and not data:
        words += ["--dtype", problem.dtype]
    if case.split.kind != "auto" and case.split.reason is None:  # with a reason, auto chose it
        words += ["--split", case.split.kind]
    if case.nodes != 1:
        words += ["--nodes", str(case.nodes)]
    words += ["--threads", str(case.threads)]
    if case.hardware_threads:
        words += ["--hardware-threads"]
    if case.kernels != "default":
        words += ["--kernels", case.kernels]
    if case.blas is not None:
        words += ["--blas", case.blas]
    words += option_words(case.options, case.alphas, fit_intercept=case.fit_intercept)
    return shlex.join([*words, "--out", "fitted"])


def _answer(choice: list[Measured], verdicts: dict[tuple[int, int], CaseVerdict]) -> Answer:
    best, *others = choice
    found = [(one, verdicts[id(best), id(one)]) for one in others]
    alike = tuple(one for one, verdict in found if verdict.interval and verdict.verdict != "slower")
    unsure = tuple(one for one, verdict in found if verdict.interval is None)
    default = _default(choice)
    saving = None if default in (None, best) else verdicts[id(best), id(default)]
    times = best.record.times
    interval = times.ci95_s if times is not None and len(best.runs) == 1 else None
    return Answer(best, interval, len(others), alike, unsure, default, saving)


def _default(choice: list[Measured]) -> Measured | None:
    """Return what runs where nothing is chosen: on the most threads, on numpy's own OpenBLAS."""
    found = [
        one
        for one in choice
        if (one.case.strategy, one.case.nodes, one.case.dtype) == (DEFAULT, 1, "float64")
        and one.record.case.kernels == "default"
    ]
    most = max((one.case.threads for one in found), default=0)
    found = [one for one in found if one.case.threads == most]
    return min(
        found, key=lambda one: (not one.label.startswith("openblas"), one.label), default=None
    )


def _configuration(one: Measured) -> str:
    case = one.case
    return (
        f"{case.strategy}, {case.dtype}, {counted(case.nodes, 'node')} × "
        f"{counted(case.threads, 'thread')}, {one.label}"
    )


def _default_time(default: Measured) -> str:
    return seconds_text(_seconds(default))


def _times(saving: CaseVerdict) -> str:
    interval = ""
    if saving.interval is not None:
        interval = " ({:.3g} to {:.3g})".format(*saving.interval)
    return f"{saving.ratio:.3g}{interval} times"


def _seconds(one: Measured) -> float:
    return math.exp(location(one.runs))


def _others(record: Record) -> list[str]:
    """Return a warning where times count although others used the machine (`--accept-load`)."""
    runs = () if record.times is None else record.times.runs
    found = dict.fromkeys(one.disturbed for one in runs if one.counted and one.disturbed)
    return [f"others used the machine while this was measured: {reason}" for reason in found]


def _general_kernels(record: Record) -> list[str]:
    """Return a warning where MKL runs kernels that are not made for the processor."""
    library = None if record.blas is None or record.blas.in_torch else record.blas.numpy
    vendor = (record.machine.cpu or {}).get("vendor")
    if library is None or library.name != "mkl" or vendor in (None, "GenuineIntel"):
        return []
    kernels = library.architecture or "unnamed"
    return [
        f"MKL is made for Intel's processors and ran its {kernels} kernels on one of "
        f"{_MAKERS.get(vendor, vendor)}: "
        "compare it with OpenBLAS on the machine where you will fit"
    ]
