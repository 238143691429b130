"""The records of a run: one folder while it goes on, one line-per-record file once collected.

Benchmarks leave each record in ``.asv/records/<environment>/<commit>/``. Collecting puts those of
one environment and commit into ``results/<machine>/<commit>-<environment>.records.jsonl``, beside
asv's own file of the same run. A record that cannot be read is skipped, and said so.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench_core.files import write_text
from bench_core.records import AnyRecord, record_line
from bench_core.records.case_lines import CaseLines, each_line, record_or_none
from bench_core.records.runs import SUFFIX, EnvironmentRun, fullest, latest, newest_whole, read_runs

__all__ = [
    "SUFFIX",
    "EnvironmentRun",
    "collect",
    "fullest",
    "latest",
    "newest_whole",
    "read_runs",
]


def pending_folder(root: Path, label: str = "") -> Path:
    """Return the folder below ``root`` to which records are published as they are made.

    label : of what all fits have in common, such as other penalties: their records are collected
    under another name of the machine, and so must lie apart.
    """
    return root / ".asv" / (f"records--{label}" if label else "records")


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
        before = target.read_text("utf-8", errors="replace") if target.is_file() else ""
        kept = CaseLines()
        for line, record in (*each_line(before), *_pending(folder)):
            kept.add(line, record)
        if kept.lines or kept.unread:
            written.append(write_text(target, kept.text))
    return written


def _pending(folder: Path) -> Iterator[tuple[str, AnyRecord | None]]:
    """Yield every record of ``folder`` as a line; a text that is no record, its lines joined."""
    for path in sorted(folder.glob("[!.]*.json")):
        text = path.read_text(encoding="utf-8", errors="replace")
        record = record_or_none(text)
        yield (" ".join(text.split()) if record is None else record_line(record)), record
