"""The example's study at a size of seconds, and cells that are computed in the test's process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import RidgeCV

from bench_core.progress import Progress
from bench_core.records import Record, read
from bench_core.runner.arrays import FitData
from bench_core.runner.run import RunSettings
from bench_core.runner.spec import FitSpec
from bench_core.study import cell_runner
from bench_core.study.cells import Cell
from bench_core.study.example import ExampleSize, write_example
from bench_core.study.settings import StudySettings

KNOWN = Path(__file__).parents[2] / "docs" / "records" / "whole-brain-bmor.json"

FACTORS = """\
training_frames = [48, 288, 4608]
hidden_dim = [12, 24, 1024]
layers = [1, 2]
heads = [1, 4]
precision = ["fp32", "bf16"]
"""
SMALL = {
    "training_frames = 4608": "training_frames = 96",
    "steps = 40": "steps = 2",
    "steps = 300\n": "steps = 8\nbatch_size = 4\n",
    "schedule_steps = 300": "schedule_steps = 8",
    'sub-02 = "sub-02.toml"\n': "",
}


class Silent:
    """Progress that keeps what it was told."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, str]] = []
        self.seen: list[str] = []
        self.noted: list[str] = []

    def cell(self, name: str, number: int, total: int) -> None:
        pass

    def within(self, what: str, done: int = 0, total: int = 0, /) -> None:
        self.seen.append(what)

    def finished(self, name: str, status: str, reason: str | None) -> None:
        self.ended.append((name, status))

    def note(self, text: str) -> None:
        self.noted.append(text)


def changed(config: Path, name: str, changes: Mapping[str, str]) -> StudySettings:
    """Return the settings of a copy of ``config`` with some text replaced."""
    text = config.read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new, 1)
    path = config.with_name(name)
    path.write_text(text, encoding="utf-8")
    return StudySettings.read(path)


def small_study(folder: Path, factors: str, more: Mapping[str, str] | None = None) -> StudySettings:
    """Return a study of these factors on a few clips and one subject."""
    size = ExampleSize(symbols=8, repetitions=1, repeats=1)
    write_example(folder, seed=0, size=size)
    return changed(folder / "study.toml", "small.toml", {FACTORS: factors, **SMALL, **(more or {})})


def computed_here(
    settings: StudySettings, cell: Cell, log: Path, progress: Progress
) -> dict[str, Any]:
    """Compute a cell in this process: for `bench_core.study.run.in_process`."""
    return cell_runner.compute(settings, cell, progress)


def fitted_here(
    record: Record, spec: FitSpec, data: FitData, run: RunSettings
) -> tuple[Record, None]:
    """Fit with scikit-learn in this process: for `bench_core.study.subjects.run_fit`."""
    train, test = data.train.open(), data.test.open()
    model = RidgeCV(spec.penalties).fit(train.X, train.Y)
    pairs = zip(test.Y.T, model.predict(test.X).T, strict=True)
    r = [np.corrcoef(measured, predicted)[0, 1] for measured, predicted in pairs]
    assert run.output is not None
    np.save(run.output / "r.npy", np.array(r))
    np.save(run.output / "penalty.npy", np.full(len(r), model.alpha_))
    # What else a record has is another fit's.
    return replace(read(Record, KNOWN), case=record.case), None
