"""Helpers of the sub-commands of ``ridgebench videogpt``."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_core.errors import InputError, readable_bytes

if TYPE_CHECKING:
    from rich.progress import Progress


def bars() -> Progress:
    """Return progress bars on standard error."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))


def follow(progress: Progress, steps: int, out: Path) -> Callable[[dict[str, Any]], None]:
    """Return what shows a training step's loss, speed and memory."""
    bar = progress.add_task(out.name, total=steps)

    def show(row: dict[str, Any]) -> None:
        speed, memory = row["clips_per_second"], readable_bytes(row["memory"])
        text = f"{out.name}: loss {row['loss']:.4f}, {speed:.1f} clips/s, {memory}"
        progress.update(bar, completed=row["step"] + 1, description=text)

    return show


def values(texts: Sequence[str]) -> dict[str, Any]:
    """Return NAME=VALUE texts as a mapping; a value that is no literal is taken as text."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"{text!r} is not NAME=VALUE")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found
