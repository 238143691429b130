"""Two things that the reader chooses, and the comparison of them, from verdicts made before.

``static/choice.js`` shows it. Which side is the first one is chosen too: the ratio of the other
order is the inverse, and "faster" there is "slower" here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench_core.comparison.cases import Measured
from bench_core.comparison.compare import mean_cases, noise_text, seconds
from bench_core.comparison.verdicts import VERDICTS, CaseVerdict
from bench_core.report.blocks import Choice
from bench_core.report.charts import pack
from bench_core.report.pairs import PLURALS, Compared, Pair, Side
from bench_core.report.record_pages import RecordPages


def make_choice(compared: Compared, records: RecordPages) -> Choice:
    """Return the block of everything that was compared."""
    rows = [row for _, judged in compared.found for row in judged.rows()]
    return Choice(
        "choice",
        "Choose two",
        {
            "what": [[name, PLURALS[name]] for name in compared.sides],
            "sides": {name: _sides(sides) for name, sides in compared.sides.items()},
            "pairs": _pairs(compared),
            "empty": [_ends(compared, one) for one in compared.empty],
            "verdicts": list(VERDICTS),
            "cases": {name: pack(values) for name, values in _columns(rows, records).items()},
        },
    )


def _sides(sides: Sequence[Side]) -> list[list[str]]:
    return [[one.name, one.text, one.note] for one in sides]


def _ends(compared: Compared, one: Pair) -> list[str | int]:
    """Return the dimension of a pair, and the places of its sides in their list."""
    sides = compared.sides[one.dimension]
    return [one.dimension, sides.index(one.first), sides.index(one.second)]


def _pairs(compared: Compared) -> list[dict[str, Any]]:
    """Return every comparison: its sides, its mean, and where its cases stand in the columns."""
    found = []
    start = 0
    for one, judged in compared.found:
        end = start + len(judged.judgement.cases)
        found.append(
            {
                "of": _ends(compared, one),
                "mean": _mean(judged.judgement.mean),
                "over": mean_cases(judged.judgement),
                "rows": [start, end],
                "notes": [*judged.pairing.notes, noise_text(judged)],
                "unpaired": len(judged.pairing.unpaired),
            }
        )
        start = end
    return found


def _mean(mean: CaseVerdict | None) -> list[Any] | None:
    """Return ratio, interval and verdict of a geometric mean."""
    if mean is None:
        return None
    return [mean.ratio, *(mean.interval or (None, None)), mean.verdict]


def _columns(
    rows: Sequence[tuple[Measured, Measured, CaseVerdict]], records: RecordPages
) -> dict[str, list[str | float | None]]:
    return {
        "machine": [first.place.machine for first, *_ in rows],
        "case": [str(first.case) for first, *_ in rows],
        "first": [_short(seconds(first.runs)) for first, *_ in rows],
        "second": [_short(seconds(second.runs)) for _, second, _ in rows],
        "ratio": [_short(verdict.ratio) for *_, verdict in rows],
        "low": [verdict.interval and _short(verdict.interval[0]) for *_, verdict in rows],
        "high": [verdict.interval and _short(verdict.interval[1]) for *_, verdict in rows],
        "verdict": [verdict.verdict for *_, verdict in rows],
        "first_record": [records.link(first.record.id) for first, *_ in rows],
        "second_record": [records.link(second.record.id) for _, second, _ in rows],
    }


def _short(value: float) -> float:
    """Return a number with five significant digits: the page shows three of them."""
    return float(f"{value:.5g}")
