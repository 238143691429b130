"""What each commit was measured with: whole, in part, or in other environments alone.

A case that is not there at a commit that was measured in part says nothing of the case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench_core.errors import counted
from bench_core.history.commits import Commit
from bench_core.history.series import CaseHistory
from bench_core.records.runs import whole_commits

_NAMED = 5
"""Commits that a note names; it counts the others."""


@dataclass(frozen=True)
class Measured:
    """Places of the commits at which one environment of one machine gave anything, in order.

    ``whole`` are those with nearly all of its cases, ``part`` the others.

    Examples
    --------
    >>> Measured((0, 3), (1, 2)).places
    (0, 1, 2, 3)
    """

    whole: tuple[int, ...]
    part: tuple[int, ...]

    @property
    def places(self) -> tuple[int, ...]:
        """All of them."""
        return tuple(sorted((*self.whole, *self.part)))


def measured_whole(
    histories: Sequence[CaseHistory], place: Mapping[str, int]
) -> dict[tuple[str, str], Measured]:
    """Return, by machine and environment, at which commits it was measured whole and in part.

    place : first eight digits of a commit → its number in the order of commits.
    """
    cases: dict[tuple[str, str], dict[str, set[tuple[str, str]]]] = {}
    for history in histories:
        own = cases.setdefault((history.machine, history.environment), {})
        for name in {name[:8] for name in history.points} & set(place):
            own.setdefault(name, set()).add((_fitted(history.case), history.detail))
    found = {}
    for key, own in cases.items():
        whole = whole_commits({("", name): len(these) for name, these in own.items()})
        found[key] = Measured(
            tuple(sorted(place[name] for name in whole)),
            tuple(sorted(place[name] for name in set(own) - whole)),
        )
    return found


def _fitted(case: str) -> str:
    """Return what was measured: of a benchmark of asv its suite and parameters, not its figure."""
    benchmark, bracket, parameters = case.partition("(")
    if ".track_" not in benchmark:
        return case
    return f"{benchmark.partition('.')[0]}{bracket}{parameters}"


def coverage_notes(
    measured: Mapping[tuple[str, str], Measured], commits: Sequence[Commit]
) -> list[str]:
    """Return a line for every environment that its machine measures no more, and for parts."""
    newest: dict[str, int] = {}
    for (machine, _), own in measured.items():
        newest[machine] = max([newest.get(machine, -1), *own.whole])
    notes = [
        f"obsolete: {environment} on {machine}, last measured at "
        f"{commits[own.places[-1]].name[:8]}, others at {commits[newest[machine]].name[:8]}"
        for (machine, environment), own in sorted(measured.items())
        if own.places and own.places[-1] < newest[machine]
    ]
    parts: dict[str, set[int]] = {}
    for (machine, _), own in sorted(measured.items()):
        parts.setdefault(machine, set()).update(own.part)
    for machine, places in parts.items():
        if places:
            names = [commits[at].name[:8] for at in sorted(places, reverse=True)]
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            notes.append(
                f"{counted(len(names), 'commit')} measured in part on {machine}, whose other cases "
                f"are not called missing: {', '.join(names[:_NAMED])}{more}"
            )
    return notes
