"""Rows of an unfinished run, in a file that survives an interruption.

The file is a header line of JSON and then rows of equal size, which are only appended. After an
interruption all rows but the last are complete, and an incomplete last row is removed.
"""

from __future__ import annotations

import fcntl
import json
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError


class PartialRows:
    """Rows of features, TR and times in the file ``path``; a context manager.

    A file with another ``key`` or a damaged header is emptied.

    Raises `InputError` on entry while another process has the file open.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with PartialRows(Path(folder) / "x.partial", "key", frames=1, dtype="float32") as rows:
    ...         rows.append(np.ones((2, 3)), np.array([0, 1]), np.array([[0.0], [1.5]]))
    ...         rows.count, rows.last_tr()
    (2, 1)
    """

    def __init__(self, path: Path, key: str, frames: int, dtype: str) -> None:
        self.path = path
        self._key = key
        self._frames = frames
        self._dtype = dtype
        self._row: np.dtype[Any] | None = None
        self._file: BinaryIO | None = None
        self._start = 0
        self.count = 0

    def __enter__(self) -> PartialRows:
        self._file = open(self.path, "a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise InputError(
                f"{self.path} is being written by another process: wait until it has finished"
            ) from None
        self._file.seek(0)
        header = self._file.readline()
        features = self._features_in(header)
        if features is None:
            self._file.truncate(0)
        else:
            self._row = self._row_of(features)
            self._start = len(header)
            whole = (self.path.stat().st_size - self._start) // self._row.itemsize
            self.count = int(whole)
            self._file.truncate(self._start + self.count * self._row.itemsize)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._file is not None
        self._file.close()

    def append(
        self, features: NDArray[Any], trs: NDArray[np.int64], times: NDArray[np.float64]
    ) -> None:
        """Add rows: (n, q) features, (n,) TRs and (n, frames) times."""
        assert self._file is not None
        if self._row is None:
            self._row = self._row_of(features.shape[1])
            header = {"key": self._key, "features": features.shape[1]}
            self._start = self._file.write(json.dumps(header).encode() + b"\n")
        rows = np.empty(len(features), dtype=self._row)
        rows["features"], rows["tr"], rows["time"] = features, trs, times
        self._file.write(rows.tobytes())
        self._file.flush()
        self.count += len(rows)

    def rows(self) -> NDArray[Any] | None:
        """Return all rows, memory-mapped, with fields ``features``, ``tr`` and ``time``."""
        if self._row is None or not self.count:
            return None
        return np.memmap(
            self.path, dtype=self._row, mode="r", offset=self._start, shape=(self.count,)
        )

    def last_tr(self) -> int | None:
        """Return the TR of the last row, None without rows."""
        rows = self.rows()
        return None if rows is None else int(rows["tr"][-1])

    def _row_of(self, features: int) -> np.dtype[Any]:
        return np.dtype(
            [
                ("tr", "<i8"),
                ("time", "<f8", (self._frames,)),
                ("features", self._dtype, (features,)),
            ]
        )

    def _features_in(self, header: bytes) -> int | None:
        try:
            found = json.loads(header)
            return int(found["features"]) if found["key"] == self._key else None
        except (ValueError, KeyError, TypeError):
            return None
