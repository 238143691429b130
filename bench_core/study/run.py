"""A study from beginning to end: every cell that has no record yet, then table and figures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench_core.disk import check_writable
from bench_core.errors import InputError, ResourceError
from bench_core.files import replace_file
from bench_core.study import costs
from bench_core.study.cells import Cell, cells
from bench_core.study.context import FORMAT, Study
from bench_core.study.process import CellFailedError, in_process
from bench_core.study.settings import StudySettings
from bench_core.study.table import Row, rows_of, write_table

TABLE = "table.csv"


class StudyProgress(Protocol):
    """Observer of a study."""

    def cell(self, name: str, number: int, total: int) -> None:
        """Say that a cell is begun."""

    def within(self, what: str, done: int = 0, total: int = 0, /) -> None:
        """Say how far a cell is; ``total`` is 0 where that is unknown."""

    def finished(self, name: str, status: str, reason: str | None) -> None:
        """Say what became of a cell."""

    def note(self, text: str) -> None:
        """Say what is irregular about the study's films."""


@dataclass(frozen=True)
class PlannedCell:
    """A cell, the digests it is kept under, and its record if there is one.

    A cell that cannot be built, or has too little data, has a ``reason`` and no key.
    """

    cell: Cell
    key: str | None
    record: dict[str, Any] | None
    reason: str | None
    steps: int = 0
    frames: int = 0
    clips: int = 0

    @property
    def done(self) -> bool:
        """True if every subject has its figures."""
        if self.record is None or self.record["status"] != "ok":
            return False
        return all(each["status"] == "ok" for each in self.record["subjects"].values())


def planned(study: Study) -> list[PlannedCell]:
    """Return every cell of the study, with what is known before it is computed."""
    return [_planned(study, cell) for cell in cells(study.settings)]


def _planned(study: Study, cell: Cell) -> PlannedCell:
    if cell.config is None:
        return PlannedCell(cell, None, None, cell.reason)
    try:
        found = study.data(cell)
        key = study.keys(cell)["cell"]
    except (InputError, ResourceError) as error:
        return PlannedCell(cell, None, None, str(error))
    sizes = found.subset.sizes(cell.config.vqvae.sequence_length)
    record = _read(record_path(study.settings, key), key)
    return PlannedCell(cell, key, record, None, found.steps, sizes["frames"], sizes["clips"])


def run_study(settings: StudySettings, progress: StudyProgress) -> list[Row]:
    """Compute what is missing, write the table after every cell, and return its rows.

    What failed or was interrupted is tried again; what was refused stays refused.
    """
    check_writable(settings.out)
    study = Study.open(settings)
    shutil.rmtree(settings.out / "scratch", ignore_errors=True)  # of an interrupted run
    rows: list[Row] = []
    noted: set[str] = set()
    every = planned(study)
    for number, each in enumerate(every):
        progress.cell(each.cell.name, number, len(every))
        # Cells of several factors may be one: an earlier one may have been computed just now.
        each = _planned(study, each.cell)
        record = _record(settings, each, progress)
        reason = record.get("reason")
        progress.finished(each.cell.name, record["status"], reason)
        for film, notes in record.get("films", {}).items():
            if film not in noted:
                noted.add(film)
                progress.note(f"{film}: {'; '.join(notes)}")
        rows += rows_of(_identity(settings, each), settings.subjects, record)
        write_table(settings.out / TABLE, rows)
    return rows


def _record(settings: StudySettings, each: PlannedCell, progress: StudyProgress) -> dict[str, Any]:
    if each.key is None or each.cell.config is None:
        return {"status": "refused", "reason": each.reason}
    if each.done:
        assert each.record is not None
        return each.record
    path = record_path(settings, each.key)
    size = costs.parameters(each.cell.config)
    known = {
        "format": FORMAT,
        "key": each.key,
        "parameters_gpt": size.gpt,
        "parameters_with_vqvae": size.both,
        "config": each.cell.config.to_dict(),
    }
    try:
        result = in_process(settings, each.cell, path.with_suffix(".log"), progress.within)
        record = {**known, "status": "ok", "reason": None, **result}
    except CellFailedError as error:
        data = {"frames": each.frames, "clips": each.clips}
        record = {**known, "status": "failed", "reason": str(error), "data": data}
    text = json.dumps(record, indent=1) + "\n"
    replace_file(path, lambda part: part.write_text(text, encoding="utf-8"))
    return record


def record_path(settings: StudySettings, key: str) -> Path:
    """Return where a cell's record is or will be."""
    return settings.out / "cells" / f"{key[:16]}.json"


def _read(path: Path, key: str) -> dict[str, Any] | None:
    """Return the record in ``path``, None where there is none; raise `InputError` for damage."""
    if not path.is_file():
        return None
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(
            f"{path} is damaged ({error}): delete it to compute its cell again"
        ) from None
    return record if record.get("format") == FORMAT and record.get("key") == key else None


def _identity(settings: StudySettings, each: PlannedCell) -> dict[str, Any]:
    cell = each.cell
    return {
        "study": settings.name,
        "factor": cell.factor,
        "level": cell.level,
        **cell.levels,
        "layer": cell.layer,
        "seed": settings.seed,
        "cell": None if each.key is None else each.key[:16],
    }


@dataclass(frozen=True)
class Estimate:
    """Estimate of one cell by a dry run; None if it is refused."""

    planned: PlannedCell
    parameters: costs.Parameters | None
    training_bytes: int | None
    operations: float | None
    seconds: float | None


def estimates(study: Study) -> Iterator[Estimate]:
    """Yield what every cell will take; see `bench_core.study.costs` for how it is guessed."""
    settings = study.settings
    device = settings.device
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    rate = costs.operations_per_second(device)
    batch = settings.recipes(1)["gpt"].batch_size
    for each in planned(study):
        config = each.cell.config
        if config is None or each.key is None:
            yield Estimate(each, None, None, None, None)
            continue
        work = costs.training_operations(config, batch, each.steps)
        yield Estimate(
            each, costs.parameters(config), costs.training_bytes(config), work, work / rate
        )
