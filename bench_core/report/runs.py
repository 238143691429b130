"""The records of a run: one folder while it goes on, one line-per-record file once collected.

Benchmarks leave each record in ``.asv/records/<environment>/<commit>/``. Collecting puts those of
one environment and commit into ``results/<machine>/<commit>-<environment>.records.jsonl``, beside
asv's own file of the same run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench_core.errors import InputError

SUFFIX = ".records.jsonl"


@dataclass(frozen=True)
class Run:
    """All records of one environment, on one machine, at one commit."""

    machine: str
    commit: str
    environment: str
    records: list[dict[str, Any]] = field(repr=False)

    @property
    def fits(self) -> list[dict[str, Any]]:
        """Return the measurements of fits."""
        return [one for one in self.records if one["schema"].startswith("ridgebench-measurement/")]

    @property
    def kernels(self) -> list[dict[str, Any]]:
        """Return the rates of plain kernels."""
        return [one for one in self.records if one["schema"].startswith("ridgebench-kernels/")]


def collect(pending: Path, results_dir: Path, machine: str) -> list[Path]:
    """Write what lies in ``pending`` to ``results_dir`` and return the files written.

    A record replaces an earlier one of the same parameters; others stay. Nothing is removed from
    ``pending``, so that an interrupted collection is simply repeated.
    """
    written = []
    for folder in sorted(pending.glob("*/*/")):
        environment, commit = folder.parent.name, folder.name
        target = results_dir / machine / f"{commit[:8]}-{environment}{SUFFIX}"
        merged = {_identity(one): one for one in _lines(target)} if target.exists() else {}
        for path in sorted(folder.glob("*.json")):
            record = _load(path.read_text(encoding="utf-8"), path)
            merged[_identity(record)] = record
        if not merged:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(".part")
        lines = [json.dumps(merged[key], sort_keys=True) for key in sorted(merged)]
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
        temporary.replace(target)
        written.append(target)
    return written


def read_runs(results_dir: Path, machine: str | None = None) -> list[Run]:
    """Return every collected run, of one machine or of all, ordered by machine and environment."""
    runs = []
    for path in sorted(results_dir.glob(f"{machine or '*'}/*{SUFFIX}")):
        commit, _, environment = path.name.removesuffix(SUFFIX).partition("-")
        runs.append(Run(path.parent.name, commit, environment, list(_lines(path))))
    return runs


def latest(runs: list[Run]) -> list[Run]:
    """Return, for each machine, the runs of the commit that was measured last."""
    newest: dict[str, tuple[str, str]] = {}
    for run in runs:
        started = max((one.get("started") or "" for one in run.records), default="")
        newest[run.machine] = max(newest.get(run.machine, ("", "")), (started, run.commit))
    return [run for run in runs if newest[run.machine][1] == run.commit]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield _load(line, path)


def _load(text: str, path: Path) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path} holds a line that is no JSON ({error}); remove it") from None
    if not isinstance(record, dict) or "schema" not in record:
        raise InputError(f"{path} holds a line that is no ridgebench record; remove it")
    return record


def _identity(record: dict[str, Any]) -> str:
    """Return what one record replaces: same schema, same parameters."""
    return json.dumps([record["schema"], record["case"]], sort_keys=True)
