"""The records of a run: one folder while it goes on, one line-per-record file once collected.

Benchmarks leave each record in ``.asv/records/<environment>/<commit>/``. Collecting puts those of
one environment and commit into ``results/<machine>/<commit>-<environment>.records.jsonl``, beside
asv's own file of the same run. A record that cannot be read is skipped, and said so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench_core.errors import InputError
from bench_core.files import write_text
from bench_core.records import AnyRecord, SkipsRecord, identity, parse_record, record_line
from bench_core.records.runs import SUFFIX, EnvironmentRun, latest, read_runs
from bench_core.records.skips import merge_skips

__all__ = ["SUFFIX", "EnvironmentRun", "collect", "latest", "read_runs"]


def collect(pending: Path, results_dir: Path, machine: str) -> list[Path]:
    """Write what lies in ``pending`` to ``results_dir`` and return the files written.

    A record replaces an earlier one of the same parameters; others stay. Nothing is removed from
    ``pending``, so that an interrupted collection is simply repeated. Texts that cannot be read
    are copied as they are: `read_runs` names them.
    """
    written = []
    for folder in sorted(pending.glob("*/*/")):
        environment, commit = folder.parent.name, folder.name
        target = results_dir / machine / f"{commit[:8]}-{environment}{SUFFIX}"
        records: dict[str, AnyRecord] = {}
        lines: dict[str, str] = {}
        unread: dict[str, None] = {}
        for line, record in (*_collected(target), *_pending(folder)):
            if record is None:
                unread[line] = None
                continue
            key = identity(record)
            earlier = records.get(key)
            if isinstance(record, SkipsRecord) and isinstance(earlier, SkipsRecord):
                record = merge_skips(earlier, record)
                line = record_line(record)
            records[key], lines[key] = record, line
        if not lines and not unread:
            continue
        write_text(target, "\n".join([*(lines[key] for key in sorted(lines)), *unread]) + "\n")
        written.append(target)
    return written


def _collected(path: Path) -> Iterator[tuple[str, AnyRecord | None]]:
    """Yield the lines of a collected file as they are, each with its record if it is one."""
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.strip():
                yield line, _parsed(line)


def _pending(folder: Path) -> Iterator[tuple[str, AnyRecord | None]]:
    """Yield every record of ``folder`` as a line; a text that is no record, its lines joined."""
    for path in sorted(folder.glob("[!.]*.json")):
        text = path.read_text(encoding="utf-8", errors="replace")
        record = _parsed(text)
        yield (" ".join(text.split()) if record is None else record_line(record)), record


def _parsed(text: str) -> AnyRecord | None:
    """Return the record in ``text``, None if it is none; `read_runs` gives the reason."""
    try:
        return parse_record(text, "line")
    except InputError:
        return None
