"""Tables of docs/scaling.md, from the figures of docs/scaling.json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench_core.cli.display import duration
from tests.pages import DOCS
from tests.pages import filled as with_tables

PAGE = DOCS / "scaling.md"


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _groups(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield words, errors and good choices of all fits, and of those from 0.1 s without choices."""
    chosen = found["recommended"]
    yield "", found["all"], f"{chosen['within_10_percent']} of {chosen['choices']}"
    yield ", from 0.1 s", found["tenth_of_a_second_and_more"], ""


def tables(kept: dict[str, Any]) -> dict[str, str]:
    """Return the tables of docs/scaling.md by the names of their places."""
    lines = [
        "| predicted | from | times | mean error | largest | plain law's mean error |",
        "|---|---|---:|---:|---:|---:|",
    ]
    names = {"nodes": ("4, 6, 8 nodes", "1, 2 nodes"), "threads": ("16, 32 threads", "1 to 8")}
    for part, (what, source) in names.items():
        for strategy, one in kept["published"][part].items():
            if isinstance(one, dict):
                worst = _percent(one["worst"]) if "worst" in one else ""
                lines.append(
                    f"| {strategy}, {what} | {source} | {one['times']} | {_percent(one['mape'])} | "
                    f"{worst} | {_percent(one['plain_mape'])} |"
                )
    lines += [
        "",
        "| recorded fits | fits | median error | 95th percentile | choices within 10 % of best |",
        "|---|---:|---:|---:|---:|",
    ]
    words = {"by_part": "by part", "by_problem": "by problem"}
    for part, label in words.items():
        for rest, one, within in _groups(kept["records"][part]):
            lines.append(
                f"| {label}{rest} | {one['count']} | {_percent(one['median'])} | "
                f"{_percent(one['p95'])} | {within} |"
            )
    checked = [
        "| machine | BLAS | fits | median error | 95th percentile | largest "
        "| choices within 10 % of best |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for one in kept["calibrated"]["machines"]:
        for rest, errors, within in _groups(one):
            checked.append(
                f"| {one['machine']}, {one['cpu']} | {one['blas']} | {errors['count']}{rest} | "
                f"{_percent(errors['median'])} | {_percent(errors['p95'])} | "
                f"{_percent(errors['worst'])} | {within} |"
            )
    ends = [
        "| strategy | 1 node | 8 nodes | 1,024 nodes | where it stops |",
        "|---|---:|---:|---:|---|",
    ]
    for curve in kept["curves"]["curves"]:
        times = {one["nodes"]: duration(one["seconds"]) for one in curve["points"]}
        ends.append(
            f"| {curve['strategy']} | {times[1]} | {times[8]} | {times[1024]} | {curve['reason']} |"
        )
    return {
        "errors": "\n".join(lines),
        "calibrated": "\n".join(checked),
        "curves": "\n".join(ends),
    }


def filled(page: str, kept: dict[str, Any]) -> str:
    """Return the page with the tables in their places."""
    return with_tables(page, tables(kept))
