"""The records of a run: one folder while it goes on, one line-per-record file once collected.

Benchmarks leave each record in ``.asv/records/<environment>/<commit>/``. Collecting puts those of
one environment and commit into ``results/<machine>/<commit>-<environment>.records.jsonl``, beside
asv's own file of the same run. A record that cannot be read is skipped, and said so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench_core.errors import InputError
from bench_core.files import write_text
from bench_core.records import (
    AnyRecord,
    KernelsRecord,
    Record,
    SkipsRecord,
    identity,
    parse_record,
    read_lines,
    record_line,
)
from bench_core.records.record import BlasRecord, TorchRecord
from bench_core.records.skips import merge_skips

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
        """The BLAS of every valid fit that numpy's or scipy's multiplied for."""
        return [one for one in self._proved if one.in_torch is None]

    @property
    def torch_proofs(self) -> list[TorchRecord]:
        """Torch's library of every valid fit whose products ran in torch."""
        return [one.in_torch for one in self._proved if one.in_torch is not None]

    @property
    def _proved(self) -> list[BlasRecord]:
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
