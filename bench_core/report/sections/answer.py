"""The first page: the fastest configuration of every problem, and the proof of its BLAS."""

from __future__ import annotations

from collections.abc import Sequence

from bench_core.report.blocks import Block, Card, Figure, Text
from bench_core.report.figures import strategies_figure
from bench_core.report.sections import Section
from bench_core.report.site_data import SiteData


def _build(data: SiteData) -> Sequence[Block]:
    blocks: list[Block] = []
    several = data.several_machines
    for answer in data.answers:
        where = f" on {answer.best.place.machine}" if several else ""
        blocks.append(
            Card(
                answer.problem + where,
                answer.fastest,
                (
                    f"{_sentence(answer.sureness)} {_sentence(answer.against_default)}",
                    *answer.notes,
                ),
                answer.warnings,
                answer.command,
            )
        )
    blocks += _without_answer(data)
    if not data.answers:
        blocks.append(Text("No problem was measured in more than one configuration yet."))
    svg = strategies_figure(data.figure_rows)
    if svg is not None:
        caption = "Time of a whole fit, median and 95 % interval; shorter is better."
        blocks.append(Figure("strategies", "Strategies", svg, caption))
        fits = ("all valid fits", data.address("fits"))
        blocks.append(Text("The figure's data: ", "faint", fits))
    return blocks


def _without_answer(data: SiteData) -> list[Block]:
    """Return a line for every reason for which problems that were measured have no answer."""
    problems: dict[str, list[str]] = {}
    for one in data.issues:
        if one.status == "no answer":
            problems.setdefault(one.reason, []).append(one.case.partition(",")[0])
    link = ("all cases", data.address("skipped"))
    return [
        Text(f"No answer to {', '.join(dict.fromkeys(names))}: {reason}. ", "warning", link)
        for reason, names in problems.items()
    ]


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


SECTION = Section("Answer", 0, _build)
