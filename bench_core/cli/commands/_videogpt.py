"""Helpers of the sub-commands of ``ridgebench videogpt``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_core.errors import readable_bytes

if TYPE_CHECKING:
    from bench_core.cli.display import Bars


def follow(bars: Bars, steps: int, out: Path) -> Callable[[dict[str, Any]], None]:
    """Return what shows a training step's loss, speed and memory."""

    def show(row: dict[str, Any]) -> None:
        speed, memory = row["clips_per_second"], readable_bytes(row["memory"])
        text = f"{out.name}: loss {row['loss']:.4f}, {speed:.1f} clips/s, {memory}"
        bars(text, int(row["step"]) + 1, steps)

    return show


def told(bars: Bars, out: Path) -> Callable[..., None]:
    """Return what shows the progress of a run's preparation; sentences stay on the screen."""

    def show(what: str, done: int = 0, total: int = 0, /) -> None:
        if total:
            bars.each(what, done, total)
        else:
            bars.print(f"{out}: {what}")

    return show
