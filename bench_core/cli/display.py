"""The one way to print tables and to show progress in all commands.

On a terminal a table folds long words and a bar shows the time left. In a pipe or a job's log
every row is one whole line, whatever its length, and progress is a line now and then.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench_core.progress import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

_UNBOUNDED = 1_000_000
"""Columns where there is no terminal, whose width nothing would have to fit."""

_QUIET_S, _LONGEST_QUIET_S = 10.0, 600.0
"""Seconds between two lines of one step in a log, which grow with the time that has passed."""

Clock = Callable[[], float]


def console(*, err: bool = False) -> Console:
    """Return a console that wraps and cuts nothing unless it is a terminal."""
    from rich.console import Console

    # What is printed comes from outside, too: brackets in a name are no markup.
    found = Console(stderr=err, highlight=False, emoji=False, markup=False)
    if not found.is_terminal:
        found.width = _UNBOUNDED
    return found


def say(text: str, style: str = "", *, err: bool = False) -> None:
    """Print a text as it is: brackets are no markup, and long lines are not cut."""
    from rich.text import Text

    console(err=err).print(Text(text, style), soft_wrap=True)


def print_facts(title: str, rows: Iterable[Sequence[str]], *, on: Console | None = None) -> None:
    """Print a title and a table of labels with a text each."""
    from rich.table import Table

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold", overflow="fold")
    table.add_column(overflow="fold")
    _print(title, table, rows, on)


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    words: Collection[str] = (),
    on: Console | None = None,
) -> None:
    """Print a title and a table.

    Parameters
    ----------
    columns : headings.
    words : headings of the columns to align on the left; numbers align on the right.
    """
    from rich.box import SIMPLE
    from rich.table import Table

    found = [tuple(row) for row in rows]
    table = Table(box=SIMPLE)
    for number, heading in enumerate(columns):
        if heading in words:
            table.add_column(heading, overflow="fold")
            continue
        widest = max(map(len, (heading, *(row[number] for row in found))))
        table.add_column(heading, justify="right", overflow="fold", min_width=widest)
    _print(title, table, found, on)


def _print(title: str, table: object, rows: Iterable[Sequence[str]], on: Console | None) -> None:
    from rich.table import Table
    from rich.text import Text

    assert isinstance(table, Table)
    for row in rows:
        table.add_row(*map(Text, row))
    place = on or console()
    if title:
        place.print(Text(title, "bold"), soft_wrap=True)
    place.print(table)


class Bars(ABC):
    """Progress bars on standard error; called as a `Progress`, it moves one that follows its words.

    Examples
    --------
    >>> with progress() as bars:
    ...     bars("reading", 1, 3)
    ...     bars.bar("sub-01")("fitting", 1, 20)
    """

    def __call__(self, what: str, done: int = 0, total: int = 0, /) -> None:
        """Show how far the work is."""
        self.bar("")(what, done, total)

    @abstractmethod
    def bar(self, key: str) -> Progress:
        """Return the callback of a bar of its own."""

    def each(self, what: str, done: int = 0, total: int = 0, /) -> None:
        """Show how far one of several things is: a bar for each ``what``."""
        self.bar(what)(what, done, total)

    @abstractmethod
    def print(self, text: str) -> None:
        """Print a text above the bars."""


class _Step:
    """The step that a bar is in: it is a new one where the count begins again."""

    def __init__(self) -> None:
        self.what, self.done, self.total = "", 0, 0

    def is_new(self, what: str, done: int, total: int) -> bool:
        """Remember the report; return whether it begins a step."""
        what = what or self.what
        before = self.what, self.done, self.total
        self.what, self.done, self.total = what, done, total
        counted = total != before[2] or done < before[1]
        return not before[0] or counted or (total == 0 and what != before[0])


class _TerminalBars(Bars):
    def __init__(self, shown: RichProgress) -> None:
        self._shown = shown
        self._tasks: dict[str, tuple[TaskID, _Step]] = {}

    def bar(self, key: str) -> Progress:
        if key not in self._tasks:
            self._tasks[key] = self._shown.add_task("starting", total=None), _Step()
        task, step = self._tasks[key]

        def show(what: str, done: int = 0, total: int = 0, /) -> None:
            from rich.markup import escape

            if step.is_new(what, done, total):
                # The speed of another step says nothing about this one.
                self._shown.reset(task, completed=done)
            # rich keeps a task's old total where it is given none: the bar would end at 96/1.
            for each in self._shown.tasks:
                if each.id == task:
                    each.total = total or None
            self._shown.update(task, description=escape(step.what), completed=done)

        return show

    def print(self, text: str) -> None:
        from rich.text import Text

        self._shown.console.print(Text(text), soft_wrap=True)


class _Lines(Bars):
    """Lines for a job's log: when a step begins, and after some time in it."""

    def __init__(self, write: Callable[[str], None], clock: Clock) -> None:
        self._write, self._clock = write, clock
        self._began = clock()
        self._lock = threading.Lock()
        self._bars: dict[str, Progress] = {}

    def bar(self, key: str) -> Progress:
        if key not in self._bars:
            self._bars[key] = self._make()
        return self._bars[key]

    def _make(self) -> Progress:
        step, began, first, written = _Step(), 0.0, 0, 0.0

        def show(what: str, done: int = 0, total: int = 0, /) -> None:
            nonlocal began, first, written
            with self._lock:
                now = self._clock()
                passed = now - self._began
                if step.is_new(what, done, total):
                    began, first = now, done
                elif now - written < min(max(_QUIET_S, passed / 10), _LONGEST_QUIET_S):
                    return
                written = now
                text = f"{passed:8.1f} s  {step.what}"
                if total:
                    text += f": {done} of {total}"
                if done > first:
                    left = (now - began) / (done - first) * (total - done)
                    text += f", about {duration(left)} left"
                self._write(text)

        return show

    def print(self, text: str) -> None:
        self._write(text)


@contextmanager
def progress(
    *, unit: str = "", on: Console | None = None, clock: Clock = time.monotonic
) -> Iterator[Bars]:
    """Show progress on standard error while the context lasts.

    Parameters
    ----------
    unit : "bytes" where bytes are counted.
    """
    place = on or console(err=True)
    if not place.is_terminal:
        yield _Lines(lambda text: place.print(text, markup=False, soft_wrap=True), clock)
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as RichProgress
    from rich.text import Text

    class _Count(MofNCompleteColumn):
        def render(self, task: Task) -> Text:
            """Return nothing where the number of steps is not known."""
            return Text() if task.total is None else super().render(task)

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn() if unit == "bytes" else _Count(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with RichProgress(*columns, console=place, transient=True, get_time=clock) as shown:
        yield _TerminalBars(shown)


def duration(seconds: float) -> str:
    """Return a length of time in the unit a person would choose.

    >>> duration(12.34), duration(5400), duration(200_000)
    ('12.3 s', '1.5 h', '2.3 d')
    """
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
