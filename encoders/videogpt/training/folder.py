"""The folder of one training run: one process at a time, and what an earlier one left."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench_core.errors import InputError
from bench_core.leftovers import remove_leftovers
from encoders.videogpt.training.metrics import recorded_steps


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder of a run, created if missing, for this process alone.

    Checkpoints that an earlier process did not finish writing are removed.

    Raises `InputError` while another process trains in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another process trains in {folder}: wait until it has finished, or give another "
                "folder"
            ) from None
        remove_leftovers(folder, again=True)
        yield
    finally:
        os.close(place)


def repeated_steps(folder: Path, first: int) -> int:
    """Return the steps that an earlier process made and that begin again at step ``first``."""
    return max(0, recorded_steps(folder) - first)


def start_message(first: int, repeated: int, has_checkpoint: bool) -> str | None:
    """Return what is to be said when training starts; None for a new run.

    >>> start_message(0, 7, has_checkpoint=False)
    'no checkpoint was written before the end of an earlier run: its 7 steps are done again'
    """
    if has_checkpoint:
        again = f"; {repeated} later steps are done again" if repeated else ""
        return f"continuing after step {first} of the last checkpoint{again}"
    if repeated:
        return (
            "no checkpoint was written before the end of an earlier run: "
            f"its {repeated} steps are done again"
        )
    return None
