"""Metrics of every training step, written to CSV and TensorBoard."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, TextIO

from bench_core.errors import InputError
from bench_core.files import replace_file


class Metrics:
    """The file ``metrics.csv`` in a run's folder, with one row per step.

    Rows of step ``first`` and later are removed: a continued run computes them again.

    Raises `InputError` for ``tensorboard`` where TensorBoard is not installed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     metrics = Metrics(Path(folder), first=0)
    ...     metrics.write({"step": 0, "loss": 3.5})
    ...     metrics.close()
    ...     metrics.path.read_text().split()
    ['step,loss', '0,3.5']
    """

    def __init__(self, folder: Path, first: int, tensorboard: bool = False) -> None:
        self.path = folder / "metrics.csv"
        self._kept = _rows_before(self.path, first)
        self._file: TextIO | None = None
        self._writer: Any = None
        self._events = _events(folder) if tensorboard else None

    def write(self, row: dict[str, float | int]) -> None:
        """Append the metrics of one step; ``step`` is its number."""
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
        def save(part: Path) -> None:
            with part.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, names, restval="", extrasaction="ignore")
                writer.writeheader()
                writer.writerows(self._kept)

        replace_file(self.path, save)
        self._file = self.path.open("a", encoding="utf-8", newline="")
        self._writer = csv.DictWriter(self._file, names)


def recorded_steps(folder: Path) -> int:
    """Return the number of steps in the ``metrics.csv`` of a run's folder, 0 without one."""
    path = folder / "metrics.csv"
    if not path.is_file():
        return 0
    with path.open(encoding="utf-8", newline="") as file:
        return max((int(row["step"]) + 1 for row in csv.DictReader(file)), default=0)


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
            "TensorBoard is not installed: pip install tensorboard, or use tensorboard=False"
        ) from None
    return SummaryWriter(str(folder / "events"))  # type: ignore[no-untyped-call,unused-ignore]
