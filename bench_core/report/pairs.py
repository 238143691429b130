"""Pairs of environments, strategies, machines and commits that the page Compare judges.

All pairs are wanted, newest first. Verdicts cost time, and rows room: beyond `MOST_PAIRS` pairs or
`MOST_CASES` cases a pair is left out, and `ridgebench compare` judges it.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

from bench_core.comparison.cases import Measured, commits_in_time, measured_cases
from bench_core.comparison.compare import Comparison, compare_paired
from bench_core.comparison.pairing import Dimension, Pairing, pair
from bench_core.errors import RidgebenchError
from bench_core.report.site_data import SiteData

MOST_CASES = 2000
"""Cases that the page judges, all pairs together."""

MOST_PAIRS = 120
"""Pairs that are looked at: of 16 commits all, of more those with the newest ones."""

PLURALS: dict[Dimension, str] = {
    "environment": "environments",
    "strategy": "strategies",
    "machine": "machines",
    "commit": "commits",
}
"""What is compared, in the order of the page."""


@dataclass(frozen=True)
class Side:
    """One of what can be compared: its name for the command, its text on the page, and a note.

    Examples
    --------
    >>> Side("env-a", "openblas 0.3.30 Haswell").text
    'openblas 0.3.30 Haswell'
    """

    name: str
    text: str
    note: str = ""


@dataclass(frozen=True)
class Pair:
    """Two sides to compare, the second against the first.

    Examples
    --------
    >>> Pair("strategy", Side("ridgecv", "ridgecv"), Side("bmor", "bmor")).command
    'ridgebench compare --strategy ridgecv bmor'
    """

    dimension: Dimension
    first: Side
    second: Side

    @property
    def title(self) -> str:
        """Both sides in words."""
        return f"{self.second.text} against {self.first.text}"

    @property
    def command(self) -> str:
        """The command that compares them."""
        option = () if self.dimension == "environment" else (f"--{self.dimension}",)
        return shlex.join(["ridgebench", "compare", *option, self.first.name, self.second.name])


@dataclass(frozen=True)
class Compared:
    """What was compared, and what was not.

    Parameters
    ----------
    sides : of every dimension all that can be chosen.
    found : pairs with a case that both sides have. ``empty`` : pairs without one.
    left_out : further pairs of every dimension, for which there is no room.

    Examples
    --------
    >>> compare_all(SiteData([], [], "ridgebench")).found
    ()
    """

    sides: dict[Dimension, tuple[Side, ...]]
    found: tuple[tuple[Pair, Comparison], ...]
    empty: tuple[Pair, ...]
    left_out: dict[Dimension, tuple[Pair, ...]]


def compare_all(
    data: SiteData, *, most_cases: int = MOST_CASES, most_pairs: int = MOST_PAIRS
) -> Compared:
    """Compare every two environments, strategies, machines and commits that there is room for.

    The dimensions take turns, so that many commits leave room for environments.
    """
    measured = measured_cases(data.everything)
    sides = find_sides(data, measured)
    by_side = {
        dimension: _by_side(dimension, measured) for dimension, found in sides.items() if found
    }
    found: list[tuple[Pair, Comparison]] = []
    empty: list[Pair] = []
    left_out: dict[Dimension, list[Pair]] = {}
    for number, one in enumerate(_in_turns([_pairs(name, sides[name]) for name in by_side])):
        paired = _paired(one, by_side[one.dimension]) if number < most_pairs else None
        if paired is None or len(paired.pairs) > most_cases:
            left_out.setdefault(one.dimension, []).append(one)
        elif not paired.pairs:
            empty.append(one)
        else:
            most_cases -= len(paired.pairs)
            judged = compare_paired(paired, measured, data.everything, one.dimension)
            found.append((one, judged))
    order = {name: place for place, name in enumerate(PLURALS)}
    found.sort(key=lambda both: order[both[0].dimension])
    return Compared(
        sides,
        tuple(found),
        tuple(empty),
        {name: tuple(own) for name, own in left_out.items()},
    )


def _paired(one: Pair, sides: Mapping[str, Sequence[Measured]]) -> Pairing | None:
    """Return the cases of two sides in pairs, None where a name means several."""
    both = [*sides[one.first.name], *sides[one.second.name]]
    try:
        return pair(both, one.dimension, one.first.name, one.second.name)
    except RidgebenchError:  # the command says which
        return None


def find_sides(data: SiteData, measured: Sequence[Measured]) -> dict[Dimension, tuple[Side, ...]]:
    """Return what has valid times, of every dimension with two or more; newest commits first.

    Environments and strategies of the runs that are shown stand before those measured earlier.
    """
    valid = [one for one in measured if one.runs]
    now = {(run.machine, run.commit) for run in data.runs}
    shown = [one for one in valid if (one.place.machine, one.place.commit) in now]
    environments = _names((one.place.environment for one in side) for side in (shown, valid))
    texts = _environment_texts([*shown, *valid])
    strategies = sorted(
        _names((one.case.strategy for one in side) for side in (shown, valid)),
        key=lambda one: one != "ridgecv",
    )
    machines = sorted({one.place.machine for one in valid})
    found: dict[Dimension, tuple[Side, ...]] = {
        "environment": tuple(Side(one, texts[one]) for one in environments),
        "strategy": tuple(Side(one, one) for one in strategies),
        "machine": tuple(Side(one, one) for one in machines),
        "commit": tuple(_commit_sides(data, valid)),
    }
    return {name: sides for name, sides in found.items() if len(sides) > 1}


def _names(groups: Iterable[Iterable[str]]) -> list[str]:
    """Return the different names of every group sorted, those of the first group first."""
    return list(dict.fromkeys(chain.from_iterable(sorted(set(group)) for group in groups)))


def _environment_texts(measured: Sequence[Measured]) -> dict[str, str]:
    """Return the BLAS that answered in each environment, with its name where several had that."""
    labels: dict[str, str] = {}
    for one in measured:
        labels.setdefault(one.place.environment, one.label)
    count = Counter(labels.values())
    return {
        name: label if count[label] == 1 or label == name else f"{label} ({name})"
        for name, label in labels.items()
    }


def _commit_sides(data: SiteData, valid: Sequence[Measured]) -> Iterator[Side]:
    """Yield the measured commits, newest first: in git's order where it is known."""
    subjects: dict[str, str] = {}
    names = commits_in_time(valid)
    if data.history is not None:
        commits = data.history.order.commits
        subjects = {one.name[:8]: one.subject for one in commits}
        place = {one.name[:8]: number for number, one in enumerate(commits)}
        names.sort(key=lambda name: place.get(name[:8], -1))
    for name in reversed(names):
        yield Side(name, name[:8], subjects.get(name[:8], ""))


def _by_side(dimension: Dimension, measured: Sequence[Measured]) -> dict[str, list[Measured]]:
    """Return the cases of every side."""
    found: dict[str, list[Measured]] = {}
    for one in measured:
        name = one.case.strategy if dimension == "strategy" else getattr(one.place, dimension)
        found.setdefault(name, []).append(one)
    return found


def _pairs(dimension: Dimension, sides: Sequence[Side]) -> Iterator[Pair]:
    """Yield all pairs, those of the first sides first; the older of two commits is the first."""
    for later in range(1, len(sides)):
        for earlier in range(later):
            first, second = sides[earlier], sides[later]
            if dimension == "commit":
                first, second = second, first
            yield Pair(dimension, first, second)


def _in_turns(groups: Sequence[Iterator[Pair]]) -> Iterator[Pair]:
    """Yield one of every group after the other, until all are at their end."""
    for together in zip_longest(*groups):
        yield from (one for one in together if one is not None)
