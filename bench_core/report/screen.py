"""A summary that fits a screen: parts are cut where they are long, and say what they leave out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from rich.console import Console

from bench_core.errors import counted
from bench_core.report.answers import Answer

SCREEN = 50
"""Lines of a summary."""

_ANSWERS = 28
"""Lines that the answers may take of a summary that is cut."""


@dataclass(frozen=True)
class Part:
    """One part of a summary.

    Parameters
    ----------
    page : title of the site's page that has all of it.
    most : lines that are kept where the summary is cut; 0 for what the others leave.
    show : prints it.

    Examples
    --------
    >>> Part("All fits", 0, lambda: None).most
    0
    """

    page: str
    most: int
    show: Callable[[], None]


@dataclass(frozen=True)
class AnswerPart:
    """The answers; ``show`` prints one, whole or its first line alone.

    Examples
    --------
    >>> AnswerPart([], lambda answer, whole: None).answers
    []
    """

    answers: Sequence[Answer]
    show: Callable[[Answer, bool], None]


def print_parts(
    parts: Sequence[Part], answers: AnswerPart, console: Console, lines: int = SCREEN
) -> None:
    """Print the parts and then the answers, in at most ``lines`` lines where they can be cut."""
    shown = [_captured(console, one.show) for one in parts]
    last = _answers(answers, console, lines)
    if sum(map(len, shown)) + len(last) > lines:
        kept = [min(len(text), part.most) for text, part in zip(shown, parts, strict=True)]
        left = max(lines - len(last) - sum(kept), 3)
        shown = [
            _cut(text, part.most or left, part.page)
            for text, part in zip(shown, parts, strict=True)
        ]
    for text in (*shown, last):
        for line in text:
            console.out(line, highlight=False)


def _answers(answers: AnswerPart, console: Console, lines: int) -> list[str]:
    """Return all answers, or their first lines, as many as there is place for."""
    most = min(_ANSWERS, lines)
    whole: list[str] = []
    short: list[str] = []
    for number, one in enumerate(answers.answers):
        if len(whole) <= most:
            whole += _captured(console, partial(answers.show, one, True))
        brief = _captured(console, partial(answers.show, one, False))
        if len(short) + len(brief) >= most:
            more = len(answers.answers) - number
            text = f"… and the answers to {counted(more, 'problem')} more: page 'Answer'"
            return [*short, text]
        short += brief
    return whole if len(whole) <= most else short


def _cut(text: list[str], most: int, page: str) -> list[str]:
    if len(text) <= most:
        return text
    kept = text[: max(most - 1, 0)]
    return [*kept, f"… {counted(len(text) - len(kept), 'line')} more: page '{page}'"]


def _captured(console: Console, show: Callable[[], None]) -> list[str]:
    """Return what is printed, line by line, with the console's width and colours."""
    with console.capture() as captured:
        show()
    return captured.get().splitlines()
