"""The records of a run: one folder while it goes on, one line-per-record file once collected.

Benchmarks leave each record in ``.asv/records/<environment>/<commit>/``. Collecting puts those of
one environment and commit into ``results/<machine>/<commit>-<environment>.records.jsonl``, beside
asv's own file of the same run. A record that cannot be read is skipped, and said so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench_core.files import write_text
from bench_core.records import (
    AnyRecord,
    KernelsRecord,
    Record,
    SkipsRecord,
    identity,
    read_lines,
    read_records,
    record_line,
)
from bench_core.records.record import BlasRecord

SUFFIX = ".records.jsonl"


@dataclass(frozen=True)
class EnvironmentRun:
    """All records of one environment, on one machine, at one commit.

    ``problems`` has a line for every record that was skipped because it could not be read.
    """

    machine: str
    commit: str
    environment: str
    records: list[AnyRecord] = field(repr=False)
    problems: list[str] = field(default_factory=list)

    @property
    def fits(self) -> list[Record]:
        """The measurements of fits."""
        return [one for one in self.records if isinstance(one, Record)]

    @property
    def kernels(self) -> list[KernelsRecord]:
        """The rates of plain kernels."""
        return [one for one in self.records if isinstance(one, KernelsRecord)]

    @property
    def skips(self) -> list[SkipsRecord]:
        """Parameter sets that did not run."""
        return [one for one in self.records if isinstance(one, SkipsRecord)]

    @property
    def proofs(self) -> list[BlasRecord]:
        """The BLAS of every valid fit."""
        return [one.blas for one in self.fits if one.status == "ok" and one.blas is not None]


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
        lines = [*_lines(target), *_pending_lines(folder)]
        if not lines:
            continue
        kept: dict[str, str] = {}
        unread: dict[str, None] = {}
        for line in lines:
            found = read_records([(target.name, line)])
            if not found.records:
                unread[line] = None
                continue
            (record,) = found.records
            key = identity(record)
            if isinstance(record, SkipsRecord) and key in kept:
                both = read_records([("earlier", kept[key]), ("later", line)])
                line = record_line(both.records[0])
            kept[key] = line
        write_text(target, "\n".join([*(kept[key] for key in sorted(kept)), *unread]) + "\n")
        written.append(target)
    return written


def read_runs(results_dir: Path, machine: str | None = None) -> list[EnvironmentRun]:
    """Return every collected run, of one machine or of all, ordered by machine and environment."""
    runs = []
    for path in sorted(results_dir.glob(f"{machine or '*'}/[!.]*{SUFFIX}")):
        commit, _, environment = path.name.removesuffix(SUFFIX).partition("-")
        found = read_lines(path)
        runs.append(
            EnvironmentRun(path.parent.name, commit, environment, found.records, found.problems)
        )
    return runs


def latest(runs: list[EnvironmentRun]) -> list[EnvironmentRun]:
    """Return, for each machine, the runs of the commit that was measured last."""
    newest: dict[str, tuple[str, str]] = {}
    for run in runs:
        started = max((one.started for one in run.fits), default="")
        newest[run.machine] = max(newest.get(run.machine, ("", "")), (started, run.commit))
    return [run for run in runs if newest[run.machine][1] == run.commit]


def _lines(path: Path) -> Iterable[str]:
    if path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace")
        yield from (line for line in text.splitlines() if line.strip())


def _pending_lines(folder: Path) -> Iterator[str]:
    """Yield every record of ``folder`` as one line; a text that is no record, its lines joined."""
    for path in sorted(folder.glob("[!.]*.json")):
        text = path.read_text(encoding="utf-8", errors="replace")
        found = read_records([(path.name, text)])
        yield record_line(found.records[0]) if found.records else " ".join(text.split())
