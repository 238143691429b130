"""Environments, strategies, machines and commits against each other, with verdicts."""

from __future__ import annotations

from collections.abc import Sequence

from bench_core.comparison.cases import Measured
from bench_core.comparison.compare import Comparison, noise_text, ratio_text, seconds
from bench_core.comparison.verdicts import VERDICTS, CaseVerdict
from bench_core.errors import counted
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
from bench_core.report.choice import make_choice
from bench_core.report.pairs import PLURALS, Compared, Pair, compare_all
from bench_core.report.run_agreement import agreement_blocks
from bench_core.report.sections import Section
from bench_core.report.site_data import SiteData

_SHOWN_CASES = 200
"""Rows of folded tables of cases; their CSV files have all of them."""

Judged = tuple[Pair, Comparison]


def _build(data: SiteData) -> Sequence[Block]:
    compared = compare_all(data)
    blocks: list[Block] = []
    if compared.found or compared.left_out:
        blocks += [
            Text(
                "Ratios of times, the second side over the first, with 95 % intervals of repeats "
                "and runs; below 1 the second side is faster. How verdicts are made: "
                "docs/comparing.md.",
                "faint",
            ),
            make_choice(compared, data.records),
        ]
    if compared.found:
        blocks += [
            Heading("All comparisons", "all-comparisons"),
            _summary(compared.found),
            _chart(data, compared.found),
            _cases(data, compared.found),
        ]
        notes = [
            (one.title, note)
            for one, judged in compared.found
            for note in (*judged.pairing.notes, noise_text(judged))
        ]
        blocks.append(
            Table(
                "notes",
                ("comparison", "note"),
                rows_of(notes),
                folded="Noise, and what was chosen where names left a choice",
            )
        )
        unpaired = [
            (one.title, line) for one, judged in compared.found for line in judged.pairing.unpaired
        ]
        if unpaired:
            blocks.append(
                Table(
                    "unpaired",
                    ("comparison", "case, and why it has no pair"),
                    rows_of(unpaired),
                    folded=f"{counted(len(unpaired), 'case')} could not be compared",
                    most=_SHOWN_CASES,
                )
            )
    blocks += [*_left_out(compared), *agreement_blocks(data)]
    return blocks


def _left_out(compared: Compared) -> Sequence[Block]:
    """Return the comparisons that there was no room for, with the commands that make them."""
    if not compared.left_out:
        return []
    rows = [
        (name, one.title, one.command) for name, own in compared.left_out.items() for one in own
    ]
    counts = " and ".join(
        f"{len(own)} of {PLURALS[name]}" for name, own in compared.left_out.items()
    )
    words = f"{counted(len(rows), 'comparison')} that the page has no room for ({counts})"
    headings = ("what", "comparison", "command that makes it")
    return [Table("left-out", headings, rows_of(rows), folded=words, most=100)]


def _summary(found: Sequence[Judged]) -> Table:
    rows: list[list[str | Cell]] = []
    for one, judged in found:
        mean = judged.judgement.mean
        rows.append(
            [
                one.dimension,
                one.first.text,
                one.second.text,
                Cell("") if mean is None else Cell(ratio_text(mean), mean.ratio),
                "cannot tell" if mean is None else mean.verdict,
                *(number(judged.judgement.count(verdict), "d") for verdict in VERDICTS),
            ]
        )
    headings = ("what", "first", "second", "geometric mean", "verdict", *VERDICTS)
    return Table("comparisons", headings, rows_of(rows))


def _cases(data: SiteData, found: Sequence[Judged]) -> Table:
    rows: list[list[str | Cell]] = []
    for one, judged in found:
        for first, second, verdict in judged.rows():
            low, high = verdict.interval or (None, None)
            rows.append(
                [
                    one.title,
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
    return Table(
        "cases",
        (*headings, "verdict"),
        rows_of(rows),
        folded=f"All {counted(len(rows), 'case')} of these comparisons as a table",
        most=_SHOWN_CASES,
    )


def _side(data: SiteData, one: Measured) -> Cell:
    return seconds_cell(seconds(one.runs), data.records.link(one.record.id))


def _chart(data: SiteData, found: Sequence[Judged]) -> Chart:
    rows: list[tuple[Pair, Measured, Measured, CaseVerdict]] = [
        (one, *row) for one, judged in found for row in judged.rows()
    ]
    return Chart(
        "ratios",
        "Ratios",
        "Every case that both sides have; its address is that of the second side's record.",
        {
            "comparison": [one.title for one, *_ in rows],
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
        chosen={"comparison": found[0][0].title},
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
