"""Progress bars of the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


def show_progress(bars: Progress, task: TaskID, what: str, done: int = 0, total: int = 0) -> None:
    """Show that ``done`` of ``total`` steps of ``what`` are done; a total of 0 is unknown.

    rich keeps a task's old total where it is given none: the bar would end at 96/1.
    """
    for each in bars.tasks:
        if each.id == task:
            each.total = total or None
    bars.update(task, description=what, completed=done)
