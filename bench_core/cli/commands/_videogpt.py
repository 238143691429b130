"""Helpers of the sub-commands of ``ridgebench videogpt``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_core.errors import readable_bytes

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


def told(progress: Progress, out: Path) -> Callable[..., None]:
    """Return what shows the progress of a run's preparation; sentences stay on the screen."""
    tasks: dict[str, Any] = {}

    def show(what: str, done: int = 0, total: int = 0, /) -> None:
        if not total:
            progress.console.print(f"{out}: {what}", markup=False, highlight=False, soft_wrap=True)
            return
        if what not in tasks:
            tasks[what] = progress.add_task(what, total=total)
        progress.update(tasks[what], completed=done)

    return show
