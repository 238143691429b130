"""Pages of records: every point and every row of the site leads to the record it comes from."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from bench_core.files import write_text
from bench_core.records import EnvironmentRun, Record
from bench_core.records.codec import dump
from bench_core.records.runs import problem_text, scale_text, strategy_text
from bench_core.report.units import seconds_text

PER_PAGE = 200
"""Records of one file: it opens in a moment, and they are few enough."""


class RecordPages:
    """Addresses of the records of fits, in files of `PER_PAGE`.

    Examples
    --------
    >>> RecordPages([], "ridgebench").link("unknown")
    ''
    """

    def __init__(self, runs: Sequence[EnvironmentRun], stem: str) -> None:
        self._runs, self._stem = runs, stem
        self._places: dict[str, int] = {}
        for _, record in _each(runs):
            self._places.setdefault(record.id, len(self._places))

    def __len__(self) -> int:
        return len(self._places)

    def link(self, record: str) -> str:
        """Return the address of a record by its id, from a page of the site; empty if unknown."""
        place = self._places.get(record)
        return "" if place is None else f"{self._stem}-records/{self._file(place)}#r{place}"

    def write(self, folder: Path, style: str) -> list[Path]:
        """Write the pages to ``folder`` and return their files; ``style`` : address of the CSS.

        Each is made as it is written: no more than one is in memory.
        """
        back = f"../{self._stem}.html"
        return [
            write_text(folder / name, _page([_article(*one) for one in own], style, back))
            for name, own in groupby(self._placed(), lambda one: self._file(one[2]))
        ]

    def _placed(self) -> Iterator[tuple[EnvironmentRun, Record, int]]:
        """Yield every record once, in the order of their places."""
        done = 0
        for run, record in _each(self._runs):
            place = self._places[record.id]
            if place == done:  # else the same record again
                yield run, record, place
                done += 1

    @staticmethod
    def _file(place: int) -> str:
        return f"{place // PER_PAGE:04}.html"


def record_title(record: Record) -> str:
    """Return a fit in words: problem, scale, precision, strategy, nodes and threads."""
    case, problem = record.case, record.case.problem
    words = [problem_text(problem), scale_text(problem.scale), problem.dtype]
    named = " ".join(word for word in words if word)
    return f"{named}, {strategy_text(case)}, {case.nodes} × {case.threads}"


def _each(runs: Iterable[EnvironmentRun]) -> Iterator[tuple[EnvironmentRun, Record]]:
    for run in runs:
        for record in run.fits:
            yield run, record


def _article(run: EnvironmentRun, record: Record, place: int) -> str:
    time = "" if record.times is None else f", {seconds_text(record.times.median_s)}"
    reason = "" if record.reason is None else f": {record.reason}"
    where = f"{run.machine}, commit {run.commit}, {run.environment}, {record.started}"
    return (
        f'<article id="r{place}"><h2>{html.escape(record_title(record))}</h2>\n'
        f"<p>{html.escape(record.status + reason + time)}</p>\n"
        f'<p class="faint">{html.escape(where)}</p>\n'
        f'<pre tabindex="0">{html.escape(dump(record))}</pre></article>\n'
    )


def _page(articles: list[str], style: str, back: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>ridgebench: records</title><link rel="stylesheet" href="{html.escape(style)}">\n'
        f'</head>\n<body class="records">\n<p><a href="{html.escape(back)}">Back to the answer</a>'
        " · units and names of fields: docs/measurements.md</p>\n<main><h1>Records</h1>\n"
        + "".join(articles)
        + "</main></body></html>\n"
    )
