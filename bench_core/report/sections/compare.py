"""Environments, strategies, machines and commits against each other, with verdicts."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from bench_core.comparison.cases import Measured, measured_cases
from bench_core.comparison.compare import (
    Comparison,
    compare_paired,
    noise_text,
    ratio_text,
    seconds,
)
from bench_core.comparison.pairing import Dimension, pair
from bench_core.comparison.verdicts import VERDICTS
from bench_core.errors import RidgebenchError, counted
from bench_core.report.blocks import (
    Block,
    Cell,
    Heading,
    Table,
    Text,
    number,
    rows_of,
    seconds_cell,
)
from bench_core.report.charts import Axis, Chart
from bench_core.report.sections import Section
from bench_core.report.site_data import SiteData

MOST_CASES = 1500
"""Cases that the page judges, all comparisons together: the command judges any."""


@dataclass(frozen=True)
class Pair:
    """Two sides to compare.

    Examples
    --------
    >>> Pair("strategy", "ridgecv", "bmor").command
    'ridgebench compare --strategy ridgecv bmor'
    """

    dimension: Dimension
    first: str
    second: str

    @property
    def command(self) -> str:
        """The command that compares them."""
        option = () if self.dimension == "environment" else (f"--{self.dimension}",)
        return shlex.join(["ridgebench", "compare", *option, self.first, self.second])


def find_pairs(data: SiteData, measured: Sequence[Measured]) -> Iterator[Pair]:
    """Yield what can be compared: environments, strategies, machines, the two newest commits."""
    now = {(run.machine, run.commit) for run in data.runs}
    shown = [one for one in measured if (one.place.machine, one.place.commit) in now and one.runs]
    environments = sorted({one.place.environment for one in shown})
    for first, second in combinations(environments, 2):
        yield Pair("environment", first, second)
    strategies = {one.case.strategy for one in shown}
    in_order = sorted(strategies, key=lambda one: (one != "ridgecv", one))
    for first, second in combinations(in_order, 2):
        yield Pair("strategy", first, second)
    for first, second in combinations(sorted({one.place.machine for one in measured}), 2):
        yield Pair("machine", first, second)
    if data.history is not None:
        names = {one.place.commit[:8] for one in measured}
        commits = [one.name[:8] for one in data.history.order.commits if one.name[:8] in names]
        if len(commits) > 1:
            yield Pair("commit", commits[-2], commits[-1])


def comparisons(
    data: SiteData, most: int = MOST_CASES
) -> tuple[list[tuple[Pair, Comparison]], list[Pair]]:
    """Return the comparisons that have a case on both sides, and pairs that were left out.

    Left out is what would exceed ``most`` cases, and what is not clear by its names.
    """
    measured = measured_cases(data.everything)
    found, left_out = [], []
    for one in find_pairs(data, measured):
        try:
            paired = pair(measured, one.dimension, one.first, one.second)
        except RidgebenchError:  # ambiguous names: the command says which
            left_out.append(one)
            continue
        cases = len(paired.pairs)
        if cases > most:
            left_out.append(one)
        elif cases:
            most -= cases
            found.append((one, compare_paired(paired, measured, data.everything, one.dimension)))
    return found, left_out


def _build(data: SiteData) -> Sequence[Block]:
    found, left_out = comparisons(data)
    blocks: list[Block] = []
    if found:
        blocks += [
            Text(
                "Ratios of times, the second side over the first, with 95 % intervals of repeats "
                "and runs; below 1 the second side is faster. How verdicts are made: "
                "docs/comparing.md.",
                "faint",
            ),
            _summary(found),
            _chart(data, found),
            Heading("Cases", "all-cases"),
            _cases(data, found),
        ]
        notes = dict.fromkeys(text for _, one in found for text in one.pairing.notes)
        notes |= dict.fromkeys(f"{_title(one)}: {noise_text(one)}" for _, one in found)
        blocks += [Text(note, "faint") for note in notes]
        unpaired = [(_title(one), line) for _, one in found for line in one.pairing.unpaired]
        if unpaired:
            blocks.append(
                Table(
                    "unpaired",
                    ("comparison", "case, and why it has no pair"),
                    rows_of(unpaired),
                    folded=f"{counted(len(unpaired), 'case')} could not be compared",
                )
            )
    if left_out:
        commands = [(one.command,) for one in left_out]
        blocks.append(
            Table(
                "left-out",
                ("command",),
                rows_of(commands),
                folded=f"{counted(len(left_out), 'comparison')} that the page has no room for",
            )
        )
    return blocks


def _summary(found: Sequence[tuple[Pair, Comparison]]) -> Table:
    rows: list[list[str | Cell]] = []
    for one, judged in found:
        mean = judged.judgement.mean
        rows.append(
            [
                one.dimension,
                judged.pairing.first,
                judged.pairing.second,
                Cell("") if mean is None else Cell(ratio_text(mean), mean.ratio),
                "cannot tell" if mean is None else mean.verdict,
                *(number(judged.judgement.count(verdict), "d") for verdict in VERDICTS),
            ]
        )
    headings = ("what", "first", "second", "geometric mean", "verdict", *VERDICTS)
    return Table("comparisons", headings, rows_of(rows))


def _cases(data: SiteData, found: Sequence[tuple[Pair, Comparison]]) -> Table:
    rows: list[list[str | Cell]] = []
    for _, judged in found:
        for first, second, verdict in judged.rows():
            low, high = verdict.interval or (None, None)
            rows.append(
                [
                    _title(judged),
                    first.place.machine,
                    str(first.case),
                    _side(data, first),
                    _side(data, second),
                    number(verdict.ratio, ".3g"),
                    number(low, ".3g"),
                    number(high, ".3g"),
                    verdict.verdict,
                ]
            )
    headings = ("comparison", "machine", "case", "first", "second", "ratio", "low", "high")
    return Table("cases", (*headings, "verdict"), rows_of(rows))


def _side(data: SiteData, one: Measured) -> Cell:
    return seconds_cell(seconds(one.runs), data.records.link(one.record.id))


def _title(judged: Comparison) -> str:
    return f"{judged.pairing.second} against {judged.pairing.first}"


def _chart(data: SiteData, found: Sequence[tuple[Pair, Comparison]]) -> Chart:
    rows = [(judged, *row) for _, judged in found for row in judged.rows()]
    return Chart(
        "ratios",
        "Ratios",
        "Every case that both sides have; its address is that of the second side's record.",
        {
            "comparison": [_title(judged) for judged, *_ in rows],
            "machine": [first.place.machine for _, first, _, _ in rows],
            "problem": [first.case.problem for _, first, _, _ in rows],
            "precision": [first.case.dtype for _, first, _, _ in rows],
            "strategy": [second.case.strategy for _, _, second, _ in rows],
            "case": [str(first.case) for _, first, _, _ in rows],
            "verdict": [verdict.verdict for *_, verdict in rows],
            "text": [ratio_text(verdict) for *_, verdict in rows],
            "record": [data.records.link(second.record.id) for _, _, second, _ in rows],
            "first": [seconds(first.runs) for _, first, _, _ in rows],
            "ratio": [verdict.ratio for *_, verdict in rows],
            "low": [verdict.interval and verdict.interval[0] for *_, verdict in rows],
            "high": [verdict.interval and verdict.interval[1] for *_, verdict in rows],
        },
        (Axis("time of the first side in seconds", "first"),),
        (Axis("time ratio, second over first", "ratio", "low", "high", "1"),),
        filters={
            "comparison": "Comparison",
            "machine": "Machine",
            "problem": "Problem",
            "precision": "Precision",
            "strategy": "Strategy",
            "verdict": "Verdict",
        },
        series=("verdict",),
        joined=False,
        hover={
            "case": "case",
            "comparison": "comparison",
            "text": "ratio",
            "verdict": "verdict",
            "machine": "machine",
        },
    )


SECTION = Section("Compare", 20, _build)
