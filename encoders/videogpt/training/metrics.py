"""Metrics of every step, to CSV and to TensorBoard."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any, TextIO

from bench_core.errors import InputError


class Metrics:
    """Appends one row per step to ``metrics.csv`` in a run's folder.

    Rows of ``first`` and later steps, which a continued run computes again, are dropped.
    """

    def __init__(self, folder: Path, first: int, tensorboard: bool = False) -> None:
        self.path = folder / "metrics.csv"
        self._kept = _rows_before(self.path, first)
        self._file: TextIO | None = None
        self._writer: Any = None
        self._events = _events(folder) if tensorboard else None

    def write(self, row: dict[str, float | int]) -> None:
        """Add the metrics of one step, its number under ``step``."""
        if self._file is None:
            self._start(list(row))
        self._writer.writerow(row)
        assert self._file is not None
        self._file.flush()
        if self._events is not None:
            for name, value in row.items():
                if name != "step":
                    self._events.add_scalar(name, value, row["step"])

    def close(self) -> None:
        """Close the files."""
        if self._file is not None:
            self._file.close()
        if self._events is not None:
            self._events.close()

    def _start(self, names: list[str]) -> None:
        partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, names, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(self._kept)
        os.replace(partial, self.path)
        self._file = self.path.open("a", encoding="utf-8", newline="")
        self._writer = csv.DictWriter(self._file, names)


def _rows_before(path: Path, first: int) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if int(row["step"]) < first]


def _events(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(
            "TensorBoard is not installed: pip install tensorboard, or train without it"
        ) from None
    return SummaryWriter(str(folder / "events"))  # type: ignore[no-untyped-call,unused-ignore]
