"""A control group with little memory."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

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
            for pid in (folder / "cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            while (folder / "cgroup.procs").read_text():
                time.sleep(0.01)
            folder.rmdir()
        return
    pytest.skip(f"no control group with a limit of memory can be made: {'; '.join(reasons)}")
