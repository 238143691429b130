"""A comparison of two environments, strategies, machines or commits, and its texts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench_core.comparison.cases import Measured, in_turn, measured_cases
from bench_core.comparison.noise import Runs
from bench_core.comparison.pairing import Dimension, Pairing, pair
from bench_core.comparison.verdicts import MARGIN, RATE, VERDICTS, CaseVerdict, Judgement, judge
from bench_core.errors import InputError, counted
from bench_core.records import EnvironmentRun


@dataclass(frozen=True)
class Comparison:
    """Pairs of cases with the verdicts on them, in the same order.

    ``problems`` has a line for every record that could not be read, ``in_turn`` counts the pairs
    whose sides were measured in turn.

    Examples
    --------
    >>> from bench_core.comparison.verdicts import judge
    >>> nothing = Pairing("mkl", "openblas", (), (), ())
    >>> Comparison("environment", nothing, judge([]), 0.05, 0.2, ()).rows()
    []
    """

    dimension: Dimension
    pairing: Pairing
    judgement: Judgement
    rate: float
    margin: float
    problems: tuple[str, ...]
    in_turn: int = 0

    def rows(self) -> list[tuple[Measured, Measured, CaseVerdict]]:
        """Return the pairs with their verdicts, in the order of cases."""
        found = [
            (first, second, verdict)
            for (first, second), verdict in zip(
                self.pairing.pairs, self.judgement.cases, strict=True
            )
        ]
        return sorted(found, key=lambda row: (row[0].place.machine, row[0].case))


def compare(
    runs: Iterable[EnvironmentRun],
    dimension: Dimension,
    first: str,
    second: str,
    *,
    rate: float = RATE,
    margin: float = MARGIN,
) -> Comparison:
    """Compare ``second`` with ``first`` by the times of the fits that both have.

    Raises
    ------
    UnknownNameError, InputError : see `bench_core.comparison.pairing.pair`.
    InputError : no case has valid times on both sides.
    """
    runs = list(runs)
    measured = measured_cases(runs)
    found = pair(measured, dimension, first, second)
    if not found.pairs:
        lines = "\n  ".join(found.unpaired[:10]) or "nothing measured"
        raise InputError(
            f"no case has valid times with both {found.first} and {found.second}: measure both\n"
            f"  {lines}"
        )
    return compare_paired(found, measured, runs, dimension, rate=rate, margin=margin)


def compare_paired(
    found: Pairing,
    measured: Sequence[Measured],
    runs: Sequence[EnvironmentRun],
    dimension: Dimension,
    *,
    rate: float = RATE,
    margin: float = MARGIN,
) -> Comparison:
    """Compare as `compare` does what is paired already; ``measured`` : the cases of ``runs``."""
    used = {id(one) for both in found.pairs for one in both}
    machines = {one.place.machine for both in found.pairs for one in both}
    others = [
        one.runs
        for one in measured
        if len(one.runs) > 1 and id(one) not in used and one.place.machine in machines
    ]
    # Two strategies of a run are minutes apart: sides that follow each other differ by less.
    same = () if dimension == "strategy" else same_pairs(runs, machines)
    sides, together = _sides(found.pairs)
    judgement = judge(
        sides, rate=rate, margin=margin, others=others, interleaved=together, same=same
    )
    problems = tuple(problem for run in runs for problem in run.problems)
    return Comparison(dimension, found, judgement, rate, margin, problems, sum(together))


def judge_pairs(pairs: Iterable[tuple[Measured, Measured]]) -> Judgement:
    """Judge the second case of every pair against the first, by runs in turn where there are."""
    sides, together = _sides(pairs)
    return judge(sides, interleaved=together)


def _sides(
    pairs: Iterable[tuple[Measured, Measured]],
) -> tuple[list[tuple[Runs, Runs]], list[bool]]:
    """Return the runs to judge of every pair, and whether its sides were measured in turn."""
    turns = [(one, other, in_turn(one, other)) for one, other in pairs]
    sides = [(one.runs, other.runs) if both is None else both for one, other, both in turns]
    return sides, [both is not None for *_, both in turns]


def same_pairs(runs: Iterable[EnvironmentRun], machines: Iterable[str]) -> list[tuple[Runs, Runs]]:
    """Return the A/A pairs of these machines that nothing disturbed."""
    wanted = set(machines)
    return [
        (one.first, one.second)
        for run in runs
        if run.machine in wanted
        for session in run.sessions
        for one in session.same
        if one.disturbed is None
    ]


def answer(comparison: Comparison) -> str:
    """Return the comparison in one sentence: geometric mean, interval, verdict, counts."""
    judged, names = comparison.judgement, comparison.pairing
    counts = ", ".join(
        f"{judged.count(verdict)} {verdict}" for verdict in VERDICTS if judged.count(verdict)
    )
    cases, mean = mean_cases(judged), judged.mean
    if mean is None:
        return f"{names.second} against {names.first}: cannot tell ({cases}: {counts})"
    return (
        f"{names.second} against {names.first}: {mean.verdict}, {ratio_text(mean)} of the time "
        f"in the geometric mean over {cases} ({counts})"
    )


def mean_cases(judged: Judgement) -> str:
    """Return the number of cases that the geometric mean is over, and of how many; else of all."""
    used = sum(one.interval is not None for one in judged.cases)
    cases = counted(len(judged.cases), "case")
    return cases if used in (0, len(judged.cases)) else f"{used} of {cases}"


def noise_text(comparison: Comparison) -> str:
    """Return where the noise floor comes from, and what the verdicts mean."""
    noise = comparison.judgement.noise
    source = (
        f"from {counted(noise.pairs, 'pair')} of runs of the same"
        if noise.pairs
        else "assumed, because no case was measured in two runs"
        if noise.floor != noise.side_floor or not noise.side_pairs
        else "as between sides in turn, which is the least that it can be"
    )
    floors = []
    if comparison.in_turn:
        runs = counted(noise.side_pairs, "pair")
        sides = f"from {runs} of runs in turn" if noise.side_pairs else "assumed"
        floors.append(f"Noise floor between sides in turn: {noise.side_floor:.1%}, {sides}.")
    if comparison.in_turn < len(comparison.pairing.pairs):
        floors.append(f"Noise floor between runs: {noise.floor:.1%}, {source}.")
    return (
        f"{' '.join(floors)} False-discovery rate {comparison.rate:g}; "
        f'"no difference" rules out one of {comparison.margin:.0%}.'
    )


def ratio_text(verdict: CaseVerdict) -> str:
    """Return a ratio with its interval: ``1.20 (1.11 – 1.30)``."""
    if verdict.interval is None:
        return f"{verdict.ratio:.2f}"
    low, high = verdict.interval
    return f"{verdict.ratio:.2f} ({low:.2f} – {high:.2f})"


def seconds(runs: Runs) -> float:
    """Return the time of a case in seconds: the geometric mean of its runs' medians."""
    from bench_core.comparison.noise import location

    return math.exp(location(runs))


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as JSON's own types."""
    names, judged = comparison.pairing, comparison.judgement
    return {
        "dimension": comparison.dimension,
        "first": names.first,
        "second": names.second,
        "false_discovery_rate": comparison.rate,
        "margin": comparison.margin,
        "noise_floor": judged.noise.floor,
        "noise_floor_pairs": judged.noise.pairs,
        "in_turn": comparison.in_turn,
        "noise_floor_in_turn": judged.noise.side_floor,
        "noise_floor_in_turn_pairs": judged.noise.side_pairs,
        "cases": [
            {
                "case": str(first.case),
                "machine": [first.place.machine, second.place.machine],
                "commit": [first.place.commit, second.place.commit],
                "environment": [first.place.environment, second.place.environment],
                "seconds": [seconds(first.runs), seconds(second.runs)],
                "repeats": [[len(run) for run in one.runs] for one in (first, second)],
                **_verdict(verdict),
            }
            for first, second, verdict in comparison.rows()
        ],
        "geometric_mean": None if judged.mean is None else _verdict(judged.mean),
        "counts": {verdict: judged.count(verdict) for verdict in VERDICTS},
        "unpaired": list(names.unpaired),
        "notes": list(names.notes),
        "unreadable": list(comparison.problems),
    }


def _verdict(verdict: CaseVerdict) -> dict[str, Any]:
    return {
        "ratio": verdict.ratio,
        "interval": None if verdict.interval is None else list(verdict.interval),
        "p": verdict.p,
        "adjusted_p": verdict.adjusted,
        "verdict": verdict.verdict,
    }


def as_markdown(comparison: Comparison, further: Iterable[str] = ()) -> str:
    """Return the comparison for a pull request: the answer, then the table, folded.

    further : lines that follow the notes.
    """
    names = comparison.pairing
    lines = [
        f"**{_cell(answer(comparison))}**",
        "",
        f"<details><summary>{counted(len(names.pairs), 'case')}</summary>",
        "",
        f"| case | {_cell(names.first)} | {_cell(names.second)} | ratio (95 %) | verdict |",
        "|---|---:|---:|---:|---|",
    ]
    for first, second, verdict in comparison.rows():
        times = [f"{seconds(one.runs):.4g} s" for one in (first, second)]
        cells = [_cell(case_text(comparison, first)), *times, ratio_text(verdict), verdict.verdict]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "</details>", "", _cell(noise_text(comparison))]
    lines += [f"- {_cell(note)}" for note in (*names.notes, *further)]
    if names.unpaired or comparison.problems:
        said = [*names.unpaired, *comparison.problems]
        lines += ["", f"{counted(len(said), 'case')} could not be compared:", ""]
        lines += [f"- {_cell(text)}" for text in said]
    return "\n".join(lines)


def case_text(comparison: Comparison, one: Measured) -> str:
    """Return a case in words, with its machine or environment where there are several."""
    machines = {first.place.machine for first, _ in comparison.pairing.pairs}
    labels = {first.label for first, _ in comparison.pairing.pairs}
    text = str(one.case)
    if comparison.dimension == "strategy":
        text = text.replace(f" {one.case.strategy} ", " ")
    if len(labels) > 1 and comparison.dimension != "environment":
        text += f", {one.label}"
    if len(machines) > 1 and comparison.dimension != "machine":
        text += f", {one.place.machine}"
    return text


def _cell(text: str) -> str:
    """Return a text that is no markup, in a table of one line a row."""
    plain = " ".join(text.split())
    for mark in "\\`*_[]|<>":
        plain = plain.replace(mark, f"\\{mark}")
    return plain
