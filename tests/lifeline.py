"""A named pipe by which processes that a test starts say that they run, and that they have ended.

A process opens the pipe for writing, writes the ids of all that hold it open as one line, and keeps
it open. The test reads the line, which waits until it is written, and then to the end of the pipe,
which is there only when every process that held it has ended. Nothing sleeps, nothing is polled.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO


class Lifeline:
    """The test's end of the pipe at ``path``."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._end: IO[str] | None = None

    def __str__(self) -> str:
        return str(self.path)

    def pids(self) -> list[int]:
        """Wait until processes hold the pipe, and return their ids."""
        self._end = self.path.open(encoding="utf-8")
        return [int(pid) for pid in self._end.readline().split()]

    def wait(self) -> None:
        """Wait until every process that held the pipe has ended."""
        assert self._end is not None, "ask for the pids first"
        with self._end:
            assert self._end.read() == ""
