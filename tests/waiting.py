"""Waiting for what other processes do, where nothing tells of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

R = TypeVar("R")


def wait_until(condition: Callable[[], R], seconds: float = 240) -> R:
    """Return the condition once it holds, or as it is after so many seconds."""
    limit = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < limit:
        time.sleep(0.02)
    return found
