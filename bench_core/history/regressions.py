"""Changes in the history of every case: steps that are certain, and cases that broke.

Steps of all cases and figures are judged together, at one false-discovery rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bench_core.comparison.noise import moderation
from bench_core.errors import InputError
from bench_core.fdr import adjusted_p
from bench_core.history.commits import Commit, CommitOrder
from bench_core.history.coverage import Measured, coverage_notes, measured_whole
from bench_core.history.figures import Figure
from bench_core.history.series import CaseHistory, Point
from bench_core.history.steps import Spread, Step, find_steps, residual_spread

Kind = Literal["worse", "better", "broken", "mended", "missing"]

RATE = 0.01
"""False-discovery rate over the steps of all cases and figures."""

_CANDIDATE = 0.05
"""p of the steps that are judged together."""

_ALONE_DF = 4.0
"""Degrees of freedom of the noise that is assumed where histories are too few to tell."""

_MEASURED_FROM = 4
"""Commits from which on a history tells its own noise, and histories that tell the others'."""


@dataclass(frozen=True)
class Change:
    """One change in the history of one case.

    Parameters
    ----------
    figure : None for a case that broke, was mended, or is missing.
    after : last measured commit that is certainly before the change. ``first``, ``last`` : the
        measured commits among which the first one after it is; equal where that is certain.
    before, now : levels in the figure's unit. ``size``, ``interval`` : on the figure's scale.
    p, adjusted : None where nothing was tested.
    undone : the case is back at its former level, or gives figures again.
    reason : why a case broke. ``differs`` : what else is not the same on both sides.

    Examples
    --------
    >>> one = Commit("c0ffee00", "c0ffee00")
    >>> Change("here", "env", "mkl", "parcels", "", "missing", None, one, one, one).is_regression
    False
    """

    machine: str
    environment: str
    label: str
    case: str
    detail: str
    kind: Kind
    figure: Figure | None
    after: Commit
    first: Commit
    last: Commit
    before: float | None = None
    now: float | None = None
    size: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    adjusted: float | None = None
    undone: bool = False
    reason: str = ""
    differs: tuple[str, ...] = ()

    @property
    def is_regression(self) -> bool:
        """Whether something is worse since, and still is."""
        return self.kind in ("worse", "broken") and not self.undone


@dataclass(frozen=True)
class Line:
    """One figure of one case: positions in the order of commits, values, and steps.

    ``y`` are on the figure's scale.

    Examples
    --------
    >>> from bench_core.history.figures import TIME
    >>> Line(CaseHistory("here", "env", "parcels", ""), TIME, (0, 1), (0.0, 0.1)).y
    (0.0, 0.1)
    """

    history: CaseHistory
    figure: Figure
    positions: tuple[int, ...]
    y: tuple[float, ...]
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Regressions:
    """All changes, newest first, and the lines that they are in.

    ``tests`` is the number of lines that were judged together.

    Examples
    --------
    >>> find_regressions([], CommitOrder((), ())).changes
    ()
    """

    order: CommitOrder
    changes: tuple[Change, ...]
    lines: tuple[Line, ...]
    tests: int
    rate: float
    notes: tuple[str, ...]

    def count(self, kind: Kind) -> int:
        """Return the number of changes of a kind that stand."""
        return sum(one.kind == kind and not one.undone for one in self.changes)


def find_regressions(
    histories: Sequence[CaseHistory],
    order: CommitOrder,
    *,
    rate: float = RATE,
    notes: Sequence[str] = (),
) -> Regressions:
    """Return what changed in ``histories`` over the commits of ``order``.

    Raises
    ------
    InputError : a false-discovery rate that is none.
    """
    if not 0 < rate < 1:
        raise InputError(f"false-discovery rate {rate:g} is not between 0 and 1: 0.01 is usual")
    place = {commit.name[:8]: number for number, commit in enumerate(order.commits)}
    lines = _lines(histories, place)
    spreads = _spreads(lines)
    found = [
        (number, step)
        for number, line in enumerate(lines)
        for step in _candidates(line, spreads[_group(line)])
    ]
    quiet = len(lines) - len({number for number, _ in found})
    adjusted = adjusted_p([*(step.p for _, step in found), *[1.0] * quiet])
    kept: dict[int, list[tuple[Step, float]]] = {}
    for (number, step), value in zip(found, adjusted, strict=False):
        if value <= rate:
            kept.setdefault(number, []).append((step, float(value)))
    judged = [
        Line(one.history, one.figure, one.positions, one.y, tuple(s for s, _ in kept.get(n, ())))
        for n, one in enumerate(lines)
    ]
    changes = [
        _change(judged[number], steps, k, order.commits)
        for number, steps in kept.items()
        for k in range(len(steps))
    ]
    measured = measured_whole(histories, place)
    for history in histories:
        changes += _status_changes(history, order.commits, place, measured)
    at = {commit.name: n for n, commit in enumerate(order.commits)}
    rank = {"broken": 0, "worse": 1, "missing": 2, "better": 3, "mended": 4}
    changes.sort(key=lambda one: (-at[one.last.name], one.undone, rank[one.kind], one.case))
    said = (*order.notes, *coverage_notes(measured, order.commits), *notes)
    return Regressions(order, tuple(changes), tuple(judged), len(lines), rate, said)


def _lines(histories: Sequence[CaseHistory], place: dict[str, int]) -> list[Line]:
    """Return every figure that was measured at two commits or more."""
    found = []
    for history in histories:
        points = sorted((place[name], one) for name, one in _known(history, place))
        for name, figure in history.figures.items():
            chosen = [(at, one.values[name]) for at, one in points if name in one.values]
            if len(chosen) > 1:
                positions, y = zip(*chosen, strict=True)
                found.append(Line(history, figure, positions, y))
    return found


def _known(history: CaseHistory, place: dict[str, int]) -> list[tuple[str, Point]]:
    return [(name[:8], one) for name, one in history.points.items() if name[:8] in place]


def _group(line: Line) -> tuple[str, str]:
    """Return what lines have noise in common: machine and figure; asv's figures are one."""
    name = line.figure.name
    return line.history.machine, "asv" if ".track_" in name else name


def _spreads(lines: Sequence[Line]) -> dict[tuple[str, str], Spread]:
    """Return the noise that is known of each group, from all its lines together.

    G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 3, 2004, section 6.2.
    """
    own: dict[tuple[str, str], list[tuple[float, int]]] = {}
    found: dict[tuple[str, str], Spread] = {}
    for line in lines:
        figure, group = line.figure, _group(line)
        found.setdefault(group, Spread(figure.sd, _ALONE_DF, figure.least_sd))
        if len(line.y) >= _MEASURED_FROM:
            spread = residual_spread(line.y, _candidates(line, None), spikes=figure.spikes)
            if spread.df:
                variance = max(spread.sd, figure.least_sd) ** 2
                own.setdefault(group, []).append((variance, int(spread.df)))
    for group, known in own.items():
        variance, df = moderation(known)
        if df:
            found[group] = Spread(math.sqrt(variance), df, found[group].least)
    return found


def _candidates(line: Line, known: Spread | None) -> list[Step]:
    figure = line.figure
    return find_steps(
        line.y,
        level=_CANDIDATE,
        least=figure.least_change,
        known=known or Spread(figure.sd, 1.0, figure.least_sd),
        spikes=figure.spikes,
        drift=figure.drift,
    )


def _change(
    line: Line, steps: list[tuple[Step, float]], k: int, commits: Sequence[Commit]
) -> Change:
    step, adjusted = steps[k]
    figure, history = line.figure, line.history
    worse = (step.size < 0) == figure.higher_is_better
    towards = 1 if step.size > 0 else -1
    later = [one.after for one, _ in steps[k + 1 :]]
    back = step.before + towards * figure.least_change
    undone = any((back - level) * towards >= 0 for level in later)
    after, first, last = (
        commits[line.positions[at]] for at in (step.first - 1, step.first, step.last)
    )
    before_point = _point(history, commits[line.positions[step.position - 1]])
    point = _point(history, commits[line.positions[step.position]])
    return Change(
        history.machine,
        history.environment,
        point.label,
        history.case,
        history.detail,
        "worse" if worse else "better",
        figure,
        after,
        first,
        last,
        figure.from_scale(step.before),
        figure.from_scale(step.after),
        step.size,
        step.interval,
        step.p,
        adjusted,
        undone,
        differs=_differences(before_point, point),
    )


def _point(history: CaseHistory, commit: Commit) -> Point:
    return next(one for name, one in history.points.items() if name[:8] == commit.name[:8])


def _differences(before: Point, after: Point) -> tuple[str, ...]:
    """Return what else changed: the library that answered, and versions of packages."""
    found = [] if before.label == after.label else [f"{before.label} → {after.label}"]
    for name in sorted(set(before.versions) & set(after.versions)):
        old, new = before.versions[name], after.versions[name]
        if old != new and name != "ridgebench":
            found.append(f"{name} {old} → {new}")
    return tuple(found)


def _status_changes(
    history: CaseHistory,
    commits: Sequence[Commit],
    place: dict[str, int],
    measured: Mapping[tuple[str, str], Measured],
) -> list[Change]:
    """Return where a case stopped to give figures, or gave them again, or was measured last."""
    points = {place[name]: one for name, one in _known(history, place)}
    found: list[Change] = []
    good: int | None = None
    broken: Change | None = None
    for at in sorted(points):
        point = points[at]
        if point.trouble is None:
            if broken is not None:
                found[-1] = replace(broken, undone=True)
                found.append(_status(history, "mended", broken.last, commits[at], point))
            good, broken = at, None
        elif good is not None and broken is None:
            broken = _status(history, "broken", commits[good], commits[at], point)
            found.append(broken)
    if good is not None and broken is None:
        since = [at for at in measured[history.machine, history.environment].whole if at > good]
        if since:
            point = _point(history, commits[good])
            found.append(_status(history, "missing", commits[good], commits[since[0]], point))
    return found


def _status(history: CaseHistory, kind: Kind, after: Commit, at: Commit, point: Point) -> Change:
    return Change(
        history.machine,
        history.environment,
        point.label,
        history.case,
        history.detail,
        kind,
        None,
        after,
        at,
        at,
        reason=str(point.trouble or ""),
    )
