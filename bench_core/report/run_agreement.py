"""How the runs of one machine agree: the blocks of the page Compare about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from bench_core.comparison.cases import Measured, commits_in_time, measured_cases
from bench_core.comparison.pairing import pair
from bench_core.comparison.two_runs import MARGINS, TwoRuns, two_runs
from bench_core.errors import RidgebenchError
from bench_core.report.blocks import Block, Cell, Heading, Table, Text, number, rows_of
from bench_core.report.site_data import SiteData

_MOST_RUNS = 3
"""Newest runs of a machine of which each is compared with the run before it."""

_MOST_WINNERS = 500
"""Cases of two runs beyond which their winners are not compared: the command does that."""


def agreement_blocks(data: SiteData) -> Sequence[Block]:
    """Return how every run of a machine agrees with the run before it."""
    found = list(find_two_runs(data))
    if not found:
        return []
    headings = (
        "machine",
        "run",
        "next run",
        "cases",
        "timed once, left out",
        *(f"differ by more than {margin:.0%}" for margin in MARGINS),
        "cases in two environments",
        "a winner in both runs",
        "another winner",
        "a winner in one, slower in the other",
    )
    return [
        Heading("How runs of one machine agree", "agreement"),
        Text(
            "Two runs are of two commits, next to each other in time: cases whose medians differ, "
            "either way, without those that either run timed once; and of cases in two "
            "environments those in which both runs call a winner, and in which it is not the "
            "same. What the code changed between the commits counts as well. ridgebench compare "
            "--commit says it of any two.",
            "faint",
        ),
        Table("two-runs", headings, rows_of(map(_cells, found))),
    ]


def find_two_runs(data: SiteData) -> Iterator[TwoRuns]:
    """Yield how the newest runs of every machine agree with the run before them, newest first."""
    measured = measured_cases(data.everything)
    machines: dict[str, list[Measured]] = {}
    for one in measured:
        machines.setdefault(one.place.machine, []).append(one)
    for _, own in sorted(machines.items()):
        newest = commits_in_time(own)[::-1][: _MOST_RUNS + 1]
        for second, first in pairwise(newest):
            both = [one for one in own if one.place.commit in (first, second)]
            try:
                paired = pair(both, "commit", first, second)
            except RidgebenchError:  # one commit's name begins the other's
                continue
            winners = len(paired.pairs) <= _MOST_WINNERS
            yield from two_runs(paired, measured, data.everything, winners=winners)


def _cells(one: TwoRuns) -> list[str | Cell]:
    counts = (len(one.winners), one.called, one.flips, one.contradicted)
    return [
        one.machine,
        one.first,
        one.second,
        number(len(one.ratios), "d"),
        number(one.timed_once, "d"),
        *(_share(one, margin) for margin in MARGINS),
        *(number(count if one.winners else None, "d") for count in counts),
    ]


def _share(one: TwoRuns, margin: float) -> Cell:
    """Return how many cases differ by more than ``margin``, and their part of all."""
    return Cell(f"{one.beyond(margin)} ({one.share(margin):.0%})", one.share(margin))
