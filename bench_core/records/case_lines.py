"""Collected records as lines, one for every case, and lines that are none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from bench_core.errors import InputError
from bench_core.records.figures import FiguresRecord
from bench_core.records.reading import AnyRecord, identity, parse_record, record_line
from bench_core.records.record import Record
from bench_core.records.session import SessionRecord
from bench_core.records.skips import SkipsRecord, merge_skips


@dataclass
class CaseLines:
    r"""What a file of collected records is to hold.

    Parameters
    ----------
    records, lines : by `identity`. ``unread`` : lines that are no record, in their order.

    Examples
    --------
    >>> kept = CaseLines()
    >>> kept.add("no record", None)
    False
    >>> kept.text
    'no record\n'
    """

    records: dict[str, AnyRecord] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)
    unread: dict[str, None] = field(default_factory=dict)

    def add(self, line: str, record: AnyRecord | None, *, later_stays: bool = False) -> bool:
        """Take a line; its record replaces another of the same case, and skips are merged.

        Returns whether one of two different records of a case gave way.

        later_stays : keep the one that was started later, and of equals the added one.
        """
        if record is None:
            self.unread[line] = None
            return False
        key = identity(record)
        other, differ = self.records.get(key), self.lines.get(key, line) != line
        if isinstance(record, SkipsRecord) and isinstance(other, SkipsRecord):
            record, differ = merge_skips(other, record), False
            line = record_line(record)
        elif later_stays and differ and _started(other) > _started(record):
            return True
        self.records[key], self.lines[key] = record, line
        return differ

    @property
    def text(self) -> str:
        """All lines, sorted by case, and what is no record after them."""
        return "\n".join([*(self.lines[key] for key in sorted(self.lines)), *self.unread]) + "\n"


def each_line(text: str) -> Iterator[tuple[str, AnyRecord | None]]:
    """Yield the lines of a collected file as they are, each with its record if it is one."""
    for line in text.splitlines():
        if line.strip():
            yield line, record_or_none(line)


def record_or_none(text: str) -> AnyRecord | None:
    """Return the record in ``text``, None if it is none; `read_runs` gives the reason."""
    try:
        return parse_record(text, "line")
    except InputError:
        return None


def _started(record: AnyRecord | None) -> str:
    """Return when a record was started, in UTC; empty for the kinds that do not say."""
    return record.started if isinstance(record, Record | SessionRecord | FiguresRecord) else ""
