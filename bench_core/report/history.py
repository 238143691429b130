"""The page's section of histories: changes, lines over commits with steps marked, commits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from bench_core.errors import readable_bytes
from bench_core.history.commits import Commit
from bench_core.history.figures import Figure
from bench_core.history.regressions import Change, Line, Regressions
from bench_core.history.texts import answer, method, size_text, state_text, what_text
from bench_core.records.runs import environment_texts
from bench_core.report.units import seconds_text

WIDTH, HEIGHT, EDGE = 640.0, 100.0, 8.0
_ABOVE = 20.0
"""Of a drawing, kept free for what is written beside steps."""

_MOST_LINES = 120
"""Lines that are drawn; those with changes come first, and how many are left out is said."""


@dataclass(frozen=True)
class Dot:
    """One value of a line: its place in the drawing, its commit, and its text.

    Examples
    --------
    >>> Dot(8.0, 82.0, "c0ffee00", "c0ffee00: 1.2 s").x
    8.0
    """

    x: float
    y: float
    commit: str
    text: str


@dataclass(frozen=True)
class Drawing:
    """One line over commits: its dots, the places of its steps with their kind, and its names.

    ``gaps`` are places of commits at which the case gave no figure, with the reason. ``ends`` are
    the highest and the lowest place with their values.

    Examples
    --------
    >>> Drawing("parcels", "time", "here", "env", (), (), ()).steps
    ()
    """

    case: str
    figure: str
    machine: str
    environment: str
    dots: tuple[Dot, ...]
    steps: tuple[tuple[float, str, str], ...]
    gaps: tuple[tuple[float, str], ...]
    ends: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class HistoryView:
    """What the template shows.

    Examples
    --------
    >>> HistoryView("No history", "", (), (), 0, (), ()).more
    0
    """

    answer: str
    method: str
    changes: tuple[dict[str, str], ...]
    drawings: tuple[Drawing, ...]
    more: int
    commits: tuple[dict[str, str], ...]
    notes: tuple[str, ...]


def history_view(found: Regressions) -> HistoryView:
    """Return the section's contents, lines with changes first."""
    place = {commit.name[:8]: n for n, commit in enumerate(found.order.commits)}
    changed = {(one.machine, one.environment, one.case, one.detail) for one in found.changes}
    lines = sorted(found.lines, key=lambda one: (not one.steps, _key(one) not in changed))
    names = environment_texts(line.history.environment for line in lines)
    return HistoryView(
        answer(found),
        method(found),
        tuple(_change(one) for one in found.changes),
        tuple(_drawing(one, found, place, names) for one in lines[:_MOST_LINES]),
        max(0, len(lines) - _MOST_LINES),
        tuple(_commit(one) for one in reversed(found.order.commits)),
        found.notes,
    )


def _key(line: Line) -> tuple[str, str, str, str]:
    one = line.history
    return one.machine, one.environment, one.case, one.detail


def _change(one: Change) -> dict[str, str]:
    return {
        "state": state_text(one),
        "regression": "invalid" if one.is_regression else "",
        "machine": one.machine,
        "case": one.case,
        "environment": one.label,
        "figure": what_text(one),
        "size": size_text(one),
        "after": one.after.full,
        "last": one.last.full,
        "differs": "; ".join(one.differs),
    }


def _commit(one: Commit) -> dict[str, str]:
    day = "" if one.seconds is None else f"{datetime.fromtimestamp(one.seconds, UTC):%Y-%m-%d}"
    return {"full": one.full, "day": day, "subject": one.subject}


def _drawing(
    line: Line, found: Regressions, place: dict[str, int], names: dict[str, str]
) -> Drawing:
    low, high = min(line.y), max(line.y)
    last = max(len(found.order.commits) - 1, 1)

    def x(position: int) -> float:
        return round(EDGE + (WIDTH - 2 * EDGE) * position / last, 1)

    def y(value: float) -> float:
        part = 0.5 if high == low else (value - low) / (high - low)
        return round(HEIGHT - EDGE - (HEIGHT - EDGE - _ABOVE) * part, 1)

    commits = found.order.commits
    dots = tuple(
        Dot(
            x(at),
            y(value),
            commits[at].full,
            f"{commits[at].full[:8]}: {value_text(line.figure, value)}",
        )
        for at, value in zip(line.positions, line.y, strict=True)
    )
    steps = tuple(
        (
            x(line.positions[step.position]),
            "worse" if (step.size < 0) == line.figure.higher_is_better else "better",
            line.figure.change_text(step.size),
        )
        for step in line.steps
    )
    gaps = tuple(
        (x(place[name[:8]]), str(point.trouble))
        for name, point in sorted(line.history.points.items())
        if point.trouble is not None and name[:8] in place
    )
    history = line.history
    environment = names[history.environment]
    ends = tuple((y(value), _end_text(line.figure, value)) for value in dict.fromkeys((high, low)))
    return Drawing(
        history.case,
        line.figure.name,
        history.machine,
        environment,
        dots,
        steps,
        gaps,
        ends,
    )


def value_text(figure: Figure, value: float) -> str:
    """Return a value on a figure's scale as people read it, with its unit."""
    own = figure.from_scale(value)
    if figure.unit == "s":
        return seconds_text(own)
    if figure.unit == "bytes":
        return readable_bytes(round(own))
    return f"{own:.4g} {figure.unit}"


def _end_text(figure: Figure, value: float) -> str:
    """Return the same beside a drawing, whose heading names the figure: short, for want of room."""
    return value_text(figure, value).removesuffix(f" {figure.unit}")
