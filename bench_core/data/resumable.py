"""Folders that are written over several attempts: an interrupted write is continued."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from numpy.typing import DTypeLike

from bench_core.data.folder import FolderWriter
from bench_core.errors import InputError

_JOURNAL = ".journal"


class ResumableFolderWriter(FolderWriter):
    """A `FolderWriter` that keeps its unfinished folder, which the next writer continues.

    Call `mark` when a part is written. The next writer with the same ``key`` and arrays finds the
    part's name in ``done`` and need not write it again; another key starts from the beginning. The
    unfinished folder is ``.NAME.building`` beside the final one.

    Raises `InputError` while another process writes the same folder.
    """

    def __init__(
        self,
        folder: Path,
        arrays: Mapping[str, tuple[tuple[int, ...], DTypeLike]],
        description: Mapping[str, Any],
        key: str,
    ):
        super().__init__(folder, arrays, description)
        sizes = {name: (list(shape), str(dtype)) for name, (shape, dtype) in self._specs.items()}
        self._header = json.dumps({"key": key, "arrays": sizes}, sort_keys=True)
        self._journal: IO[str] | None = None
        self.done: set[str] = set()

    def _begin(self) -> Path:
        partial = self._folder.parent / f".{self._folder.name}.building"
        partial.mkdir(exist_ok=True)
        self._journal = (partial / _JOURNAL).open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._journal.close()
            raise InputError(
                f"{self._folder} is being written by another process: wait until it ends"
            ) from None
        self._journal.seek(0)
        text = self._journal.read()
        whole = text[: text.rfind("\n") + 1]  # a line that was cut short counts for nothing
        self._journal.truncate(len(whole.encode()))
        header, *marks = whole.splitlines() or [""]
        if header == self._header:
            self.done = {json.loads(mark) for mark in marks}
            return partial
        for path in partial.iterdir():
            if path.name != _JOURNAL:
                path.unlink()
        self._journal.truncate(0)
        self._append(self._header)
        return partial

    def mark(self, part: str) -> None:
        """Record that ``part`` is written, once it is on the disk."""
        for file in self._files.values():
            os.fsync(file)
        self._append(json.dumps(part))
        self.done.add(part)

    def _append(self, line: str) -> None:
        assert self._journal is not None
        self._journal.write(line + "\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def commit(self) -> None:
        """As `FolderWriter.commit`."""
        assert self._partial is not None
        (self._partial / _JOURNAL).unlink()
        super().commit()

    def _abandon(self, partial: Path) -> None:
        """Keep it for the next attempt."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._journal is not None:
            self._journal.close()
