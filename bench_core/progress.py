"""The one type of progress callback."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A function that is told what is being done and how much of it is done.

    ``total`` is 0 where the number of steps is not known.
    """

    def __call__(self, what: str, done: int = 0, total: int = 0, /) -> None:
        """Show that ``done`` of ``total`` steps of ``what`` are done."""


def silent(what: str, done: int = 0, total: int = 0, /) -> None:
    """Show nothing."""
