"""Rows of comparison: one per fit, with its ratios and its proof.

The same rows make the terminal's table, the page and its figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from bench_core.comparison.cases import case_of
from bench_core.records import KernelsRecord, Record
from bench_core.records.blas import LibraryRecord
from bench_core.records.runs import (
    environment_label,
    environment_texts,
    problem_text,
    record_label,
    scale_text,
    strategy_text,
    torch_label,
)
from bench_core.records.statistics import few_samples, quotient_interval
from bench_core.report.runs import EnvironmentRun
from bench_core.scaling import distributed_speed_up, parallel_efficiency, speed_up


@dataclass(frozen=True, slots=True)
class Row:
    """One valid fit: configuration, seconds, ratios within its run, accuracy, proof.

    ``su_ci95`` and ``dsu_ci95`` are the 95 % intervals of the ratios; PE's is SU's over threads.
    ``record`` is the id of the fit's record.
    """

    machine: str
    environment: str
    suite: str
    problem: str
    scale: str
    dtype: str
    strategy: str
    nodes: int
    threads: int
    seconds: float
    ci95: tuple[float, float] | None
    su: float | None
    pe: float | None
    dsu: float | None
    peak_bytes: int | None
    r_mean: float | None
    r_max: float | None
    null_max: float | None
    disagreement: float | None
    su_ci95: tuple[float, float] | None = None
    dsu_ci95: tuple[float, float] | None = None
    subject: str = ""
    record: str = ""

    @property
    def name(self) -> str:
        """The problem without its subject."""
        return self.problem.removesuffix(f" {self.subject}")

    @property
    def size(self) -> Fraction:
        """The scale as a number, to sort by; real data, which have none, are whole."""
        return Fraction(self.scale or 1)


@dataclass(frozen=True)
class Issue:
    """Measurements that gave no number, grouped: why, where, and how many in each environment.

    ``suite`` : that left them out; None where a record says so, whatever its suite.
    ``case`` : in words, where they are grouped by it, and ``record`` the id of its first record.
    """

    environments: tuple[str, ...]
    status: str
    suite: str | None
    reason: str
    count: int
    case: str = ""
    record: str = ""

    @property
    def text(self) -> str:
        """The reason, with the suite where one is known."""
        return self.reason if self.suite is None else f"{self.suite}: {self.reason}"


def proved_libraries(run: EnvironmentRun) -> list[tuple[str, LibraryRecord, int]]:
    """Return caller, library, and the number of records that prove it.

    Records of fits whose products ran in torch count for torch's library alone, a line for each
    device.
    """
    proved = run.proofs
    found = []
    if proved:
        for caller, library in (("numpy", proved[0].numpy), ("scipy", proved[0].scipy)):
            found.append((caller, library, len(proved)))
    labels = [torch_label(one) for one in run.torch_proofs]
    first = dict(zip(reversed(labels), reversed(run.torch_proofs), strict=True))
    for label in sorted(first):
        one = first[label]
        place = one.device if one.gpu is None else one.gpu.name
        caller = f"torch {one.built.get('torch', '')} on {place}"
        found.append((caller, one.library, labels.count(label)))
    return found


def rows(runs: Iterable[EnvironmentRun]) -> list[Row]:
    """Return a row per valid fit; ratios are against the references of the same run.

    Where two suites measured the reference, each has its own.
    """
    found = []
    for run in runs:
        valid = [one for one in run.fits if one.status == "ok"]
        label = environment_label(run)
        for suite in sorted({one.case.suite for one in valid}):
            others_first = sorted(valid, key=lambda one: one.case.suite == suite)
            references = {_configuration(one): one for one in others_first}
            found += [
                _row(run.machine, record_label(one, label), one, references)
                for one in valid
                if one.case.suite == suite
            ]
    return sorted(
        found,
        key=lambda row: (row.machine, row.suite, row.problem, row.size, row.dtype, row.seconds),
    )


def find_issues(runs: Iterable[EnvironmentRun], *, by_case: bool = False) -> list[Issue]:
    """Return what was skipped, invalid, failed or no answer, grouped by reason; failures first.

    by_case : group by case, too, and name it. What a suite left out has none.
    """
    runs = list(runs)
    places_of = place_texts(runs)
    counts: Counter[tuple[str, str, str | None, str, str]] = Counter()
    first: dict[tuple[str, str, str], str] = {}
    for run in runs:
        label = places_of[run.machine, run.environment]
        for skips in run.skips:
            for one in skips.left_out:
                counts[label, skips.status, one.suite, one.reason, ""] += one.count
        measured: list[Record | KernelsRecord] = [*run.fits, *run.kernels]
        for record in measured:
            own = record_label(record, label) if isinstance(record, Record) else label
            if record.status != "ok":
                status, reason = str(record.status), str(record.reason)
            elif isinstance(record, Record) and (few := few_samples(record.case.problem.t_test)):
                status, reason = "no answer", few
            else:
                continue
            case = _case_text(record) if by_case else ""
            counts[own, status, None, reason, case] += 1
            if isinstance(record, Record):
                first.setdefault((status, reason, case), record.id)
        for problem in run.problems:
            counts[label, "unreadable", None, problem, ""] += 1
    places: dict[tuple[str, str | None, str, int, str], list[str]] = {}
    for (label, status, suite, reason, case), count in sorted(
        counts.items(), key=lambda one: (*one[0][:2], one[0][2] or "", *one[0][3:])
    ):
        places.setdefault((status, suite, reason, count, case), []).append(label)
    order = ("failed", "invalid", "disturbed", "unreadable", "no answer", "skipped")
    ranks = {status: rank for rank, status in enumerate(order)}
    found = [
        Issue(
            tuple(labels), status, suite, reason, count, case, first.get((status, reason, case), "")
        )
        for (status, suite, reason, count, case), labels in places.items()
    ]
    return sorted(
        found, key=lambda one: (ranks.get(one.status, 6), one.text, one.case, one.environments)
    )


def place_texts(runs: Sequence[EnvironmentRun]) -> dict[tuple[str, str], str]:
    """Return where each run measured, by machine and environment: the BLAS that answered.

    The machine follows where there are several, and an environment in which none answered has its
    own name, in short.
    """
    names = environment_texts(run.environment for run in runs)
    several = len({run.machine for run in runs}) > 1
    found = {}
    for run in runs:
        label = environment_label(run)
        named = names[run.environment] if label == run.environment else label
        where = f", {run.machine}" if several else ""
        found[run.machine, run.environment] = f"{named}{where}"
    return found


def _case_text(record: Record | KernelsRecord) -> str:
    """Return the case of a record in words."""
    if isinstance(record, Record):
        return str(case_of(record))
    return f"kernels 1×{record.case.threads}"


def _configuration(
    record: Record, strategy: str | None = None, nodes: int = 0, threads: int = 0
) -> tuple[Any, ...]:
    """Return what makes two fits comparable, optionally of another strategy, nodes or threads."""
    case = record.case
    problem = case.problem
    return (
        problem.name,
        problem.subject,
        problem.scale,
        problem.seed,
        problem.dtype,
        case.split.kind,
        strategy or strategy_text(case),
        nodes or case.nodes,
        threads or case.threads,
    )


def _median(record: Record) -> float:
    """Return the median time of a valid fit, which always has one."""
    assert record.times is not None
    return record.times.median_s


def _row(
    machine: str,
    label: str,
    record: Record,
    references: dict[tuple[Any, ...], Record],
) -> Row:
    case, measured = record.case, _median(record)
    single = references.get(_configuration(record, threads=1))
    reference = references.get(_configuration(record, "ridgecv", nodes=1, threads=1))
    one_thread = None if single is None else _median(single)
    threads = case.threads
    return Row(
        machine=machine,
        environment=label,
        suite=case.suite,
        problem=problem_text(case.problem),
        scale=scale_text(case.problem.scale),
        dtype=case.problem.dtype,
        strategy=strategy_text(case),
        nodes=case.nodes,
        threads=threads,
        seconds=measured,
        ci95=None if record.times is None else record.times.ci95_s,
        su=None if one_thread is None else speed_up(one_thread, measured),
        pe=None if one_thread is None else parallel_efficiency(one_thread, measured, threads),
        dsu=None if reference is None else distributed_speed_up(_median(reference), measured),
        peak_bytes=None if record.memory is None else record.memory.peak_bytes,
        r_mean=None if record.accuracy is None else record.accuracy.mean,
        r_max=None if record.accuracy is None else record.accuracy.max,
        null_max=None if record.null is None else record.null.max,
        disagreement=None if record.agreement is None else record.agreement.worst,
        su_ci95=_ratio_interval(single, record),
        dsu_ci95=_ratio_interval(reference, record),
        subject=case.problem.subject or "",
        record=record.id,
    )


def _ratio_interval(reference: Record | None, record: Record) -> tuple[float, float] | None:
    """Return the interval of the reference's time over the record's, None where one has none."""
    if reference is None or reference.times is None or record.times is None:
        return None
    if reference is record:
        return None
    sides = []
    for times in (reference.times, record.times):
        if times.ci95_s is None or min(times.ci95_s) <= 0:
            return None
        sides.append((times.median_s, times.ci95_s))
    return quotient_interval(*sides)
