"""The published encoding correlations; `published/README.md` beside this file names the source."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib.resources import files

LABEL = "thesis (behaves like the maximum over parcels)"
_UNITS = {"K": 1_000, "M": 1_000_000}


@dataclass(frozen=True)
class PublishedR:
    """One published correlation: a figure's factor, a level of it, a subject."""

    figure: str
    factor: str
    level: int | str
    subject: str
    r: float


def published_r() -> tuple[PublishedR, ...]:
    """Return the 68 published correlations in the order of their file."""
    text = (files("bench_core.study") / "published" / "encoding_r.csv").read_text(encoding="utf-8")
    return tuple(
        PublishedR(
            row["figure"],
            row["factor"],
            row["level"] if row["factor"] == "precision" else _number(row["level"]),
            row["subject"],
            float(row["r"]),
        )
        for row in csv.DictReader(text.splitlines())
    )


def _number(level: str) -> int:
    """Return 10000 for "10K"."""
    return int(level[:-1]) * _UNITS[level[-1]] if level[-1] in _UNITS else int(level)
