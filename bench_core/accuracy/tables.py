"""Tables of text, and figures as JSON values: a value that is not defined is n/a, or null."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write_table(path: Path, names: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write columns of these names, separated by tabs."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(list(names))
        for row in rows:
            writer.writerow([_cell(value) for value in row])


def plain(values: NDArray[np.float64]) -> list[list[float | None]]:
    """Return a matrix as JSON values.

    >>> plain(np.array([[0.5, np.nan]]))
    [[0.5, None]]
    """
    return [[number(value) for value in row] for row in values]


def number(value: float) -> float | None:
    """Return a number as a JSON value, None for NaN."""
    return None if np.isnan(value) else float(value)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "n/a"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
