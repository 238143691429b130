"""Reading many records: one that cannot be read is skipped with a line that says so.

Records come from other versions, other machines and interrupted runs. One bad line must not hide
the others, and must not vanish silently either.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from bench_core.errors import InputError
from bench_core.records import codec
from bench_core.records.figures import SCHEMA_FIGURES, FiguresRecord
from bench_core.records.kernels import SCHEMA_KERNELS, SCHEMA_KERNELS_1, KernelsRecord
from bench_core.records.record import SCHEMA, SCHEMA_1, SCHEMA_2, Record
from bench_core.records.session import SCHEMA_SESSION, SessionRecord
from bench_core.records.skips import SCHEMA_SKIPS, SkipsRecord, merge_skips

AnyRecord: TypeAlias = Record | KernelsRecord | SkipsRecord | SessionRecord | FiguresRecord

KINDS: dict[str, type[Any]] = {
    SCHEMA: Record,
    SCHEMA_2: Record,
    SCHEMA_1: Record,
    SCHEMA_KERNELS: KernelsRecord,
    SCHEMA_KERNELS_1: KernelsRecord,
    SCHEMA_SKIPS: SkipsRecord,
    SCHEMA_SESSION: SessionRecord,
    SCHEMA_FIGURES: FiguresRecord,
}


@dataclass
class RecordSet:
    """Records of one place. ``problems`` has a line for everything that was skipped.

    Examples
    --------
    >>> from bench_core.records.skips import make_skips
    >>> found = read_records([("line 1", "{"), ("line 2", record_line(make_skips({})))])
    >>> len(found.records), len(found.problems)
    (1, 1)
    """

    records: list[AnyRecord] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def parse_record(text: str, source: str) -> AnyRecord:
    """Return the record of any kind in ``text``.

    Raises
    ------
    InputError : no JSON, no record, an unknown version, or a field of another type.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        raise InputError(f"{source} is no JSON ({error})") from None
    schema = values.get("schema") if isinstance(values, dict) else None
    if not isinstance(schema, str):
        raise InputError(f"{source} is no ridgebench record: it has no schema")
    if schema not in KINDS:
        raise InputError(
            f"{source} is a record of schema {schema!r}, which this version of ridgebench does not "
            f"know ({', '.join(KINDS)}): read it with the version that wrote it"
        )
    found: AnyRecord = codec.from_json(KINDS[schema], text, source)
    return found


def read_records(texts: Iterable[tuple[str, str]]) -> RecordSet:
    """Return the records of (source, text) pairs; later ones of the same case replace earlier.

    A text that cannot be read and a duplicate become a line in ``problems``. Skips of several runs
    are merged.
    """
    found = RecordSet()
    alike = _Alike()
    kept: dict[str, tuple[AnyRecord, str]] = {}
    for source, text in texts:
        try:
            record = parse_record(text, source)
        except InputError as error:
            found.problems.append(f"skipped: {error}")
            continue
        key = identity(record)
        if key in kept:
            earlier, where = kept[key]
            if isinstance(earlier, SkipsRecord) and isinstance(record, SkipsRecord):
                record = merge_skips(earlier, record)
            else:
                found.problems.append(f"skipped: {where} has the same case as {source}")
        alike.share(record)
        kept[key] = (record, source)
    found.records = [record for record, _ in kept.values()]
    return found


class _Alike:
    """Parts that many records have in common, such as their libraries: each is held once."""

    NAMES = ("blas", "variables", "versions")
    MOST = 8

    def __init__(self) -> None:
        self._kept: dict[str, list[Any]] = {name: [] for name in self.NAMES}

    def share(self, record: AnyRecord) -> None:
        """Let a fit's record hold those parts of earlier ones that equal its own."""
        if not isinstance(record, Record):
            return
        for name, kept in self._kept.items():
            own = getattr(record, name)
            same = next((one for one in kept if one == own), None)
            if same is None:
                kept[:] = [own, *kept[: self.MOST - 1]]
            else:
                object.__setattr__(record, name, same)


def read_lines(path: Path) -> RecordSet:
    """Return the records of a file with one record per line."""
    text = path.read_text(encoding="utf-8", errors="replace")
    lines = enumerate(text.splitlines(), 1)
    return read_records((f"{path.name}, line {n}", line) for n, line in lines if line.strip())


def read_folder(folder: Path) -> RecordSet:
    """Return the records of every ``.json`` file directly in ``folder``."""
    paths = sorted(folder.glob("[!.]*.json"))
    return read_records((str(path), path.read_text("utf-8", errors="replace")) for path in paths)


def read_all(folder: Path) -> list[Record]:
    """Return every fit's record below ``folder``, in the order of their start.

    Files of other schemas are ignored.

    Raises
    ------
    InputError : a damaged record.
    """
    found = []
    for path in sorted(folder.rglob("[!.]*.json")):
        # Cheaper than parsing, and a truncated record still counts as one.
        with path.open("rb") as file:
            if b"ridgebench-measurement/" in file.read(200):
                found.append(codec.read(Record, path))
    return sorted(found, key=lambda record: record.started)


def identity(record: AnyRecord) -> str:
    """Return what one record replaces: the same kind, the same parameters."""
    case = {} if isinstance(record, SkipsRecord) else json.loads(codec.dump(record.case))
    return json.dumps([type(record).__name__, case], sort_keys=True)


def record_line(record: AnyRecord) -> str:
    """Return the record as one line of JSON, keys sorted."""
    return json.dumps(codec.to_dict(record), sort_keys=True)
