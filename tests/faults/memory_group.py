"""A control group with little memory."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.waiting import wait_until

PLACES = (
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
    (Path("/sys/fs/cgroup"), "memory.max"),
)


@contextmanager
def memory_group(limit: int) -> Iterator[Path]:
    """Yield the folder of a new control group with a limit of memory, in bytes.

    A process that writes its number to ``cgroup.procs`` there belongs to it. The test is skipped
    where no such group can be made.
    """
    reasons = []
    for root, name in PLACES:
        folder = root / f"ridgebench-test-{os.getpid()}"
        try:
            folder.mkdir()
            (folder / name).write_text(str(limit))
        except OSError as error:
            reasons.append(str(error))
            if folder.is_dir():
                folder.rmdir()
            continue
        try:
            yield folder
        finally:
            _remove(folder)
        return
    pytest.skip(f"no control group with a limit of memory can be made: {'; '.join(reasons)}")


def _remove(folder: Path) -> None:
    """Kill what is left in a group, and remove the group once nothing is."""
    members = folder / "cgroup.procs"
    for pid in members.read_text().split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    wait_until(lambda: not members.read_text(), 60)
    folder.rmdir()
