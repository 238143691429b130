"""The record of what a run did not measure, with the reasons."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic.dataclasses import dataclass

from bench_core.records import codec
from bench_core.records.scalars import STRICT, Positive

SCHEMA_SKIPS: Final = "ridgebench-left-out/1"
FILE = "left-out.json"


@dataclass(frozen=True, config=STRICT)
class SkippedSets:
    """A number of parameter sets of one suite that were skipped for one reason.

    Examples
    --------
    >>> SkippedSets("bench_nodes", "needs 4 cores of 2", 3).count
    3
    """

    suite: str
    reason: str
    count: Positive


@dataclass(frozen=True, config=STRICT)
class SkipsRecord:
    """Parameter sets that one run of the suites skipped. ``case`` is empty.

    ``profile`` is that of the run; None in records of before it was kept.

    Examples
    --------
    >>> make_skips({("bench_nodes", "needs 4 cores of 2"): 3}).left_out[0].count
    3
    """

    schema: Literal["ridgebench-left-out/1"]
    status: Literal["skipped"]
    reason: str
    case: dict[str, Any]
    left_out: tuple[SkippedSets, ...]
    profile: str | None = None


def make_skips(counts: Mapping[tuple[str, str], int], profile: str | None = None) -> SkipsRecord:
    """Return the record of ``counts``: (suite, reason) → number of parameter sets."""
    sets = tuple(
        SkippedSets(suite, reason, count) for (suite, reason), count in sorted(counts.items())
    )
    return SkipsRecord(SCHEMA_SKIPS, "skipped", "left out of the grids", {}, sets, profile)


def merge_skips(earlier: SkipsRecord, later: SkipsRecord) -> SkipsRecord:
    """Return both records as one; a count for the same suite and reason is the later one's."""
    counts = {(one.suite, one.reason): one.count for one in earlier.left_out}
    counts |= {(one.suite, one.reason): one.count for one in later.left_out}
    return make_skips(counts, later.profile or earlier.profile)


def add_skips(counts: Mapping[tuple[str, str], int], folder: Path) -> Path:
    """Write ``counts`` to ``folder``, beside those that an earlier run left there."""
    path = folder / FILE
    record = make_skips(counts)
    if path.is_file():
        record = merge_skips(codec.read(SkipsRecord, path), record)
    return codec.write(record, path)
