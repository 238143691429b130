"""How two runs of one machine agree: medians that differ, and winners that flip.

The two runs are of two commits, so that what the code changed between them counts as well. A case
that either run timed once, as the suite of accuracy does, has no median: it is counted apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from bench_core.comparison.cases import Case, Measured
from bench_core.comparison.compare import compare_paired, seconds
from bench_core.comparison.pairing import Pairing, pair
from bench_core.comparison.verdicts import Verdict
from bench_core.errors import counted
from bench_core.records import EnvironmentRun

MARGINS = (0.1, 0.2)
"""Differences of two medians that are counted, as a ratio minus 1."""


@dataclass(frozen=True)
class Winner:
    """One case in two environments, compared in each of two runs.

    Parameters
    ----------
    first, second : the environments, by the BLAS that answered.
    ratios : time in the second environment over the first, in either run. ``verdicts`` : on them.

    Examples
    --------
    >>> one = Winner("parcels, ridgecv 1×1", "mkl", "openblas", (0.8, 1.3), ("faster", "slower"))
    >>> one.called, one.flips
    (True, True)
    """

    case: str
    first: str
    second: str
    ratios: tuple[float, float]
    verdicts: tuple[Verdict, Verdict]

    @property
    def called(self) -> bool:
        """Whether both runs call a winner."""
        return all(one in ("faster", "slower") for one in self.verdicts)

    @property
    def flips(self) -> bool:
        """Whether the runs call different winners."""
        return self.called and self.verdicts[0] != self.verdicts[1]

    @property
    def contradicted(self) -> bool:
        """Whether one run calls a winner that the other's median does not name."""
        named = [{"faster": -1, "slower": 1}.get(one, 0) for one in self.verdicts]
        sides = [1 if one > 1 else -1 for one in self.ratios]
        return named[0] * sides[1] < 0 or named[1] * sides[0] < 0


@dataclass(frozen=True)
class TwoRuns:
    """Two runs of one machine, at two commits.

    Parameters
    ----------
    ratios : of every case that both timed more than once, the median time in the second run over
        that in the first.
    winners : of every such case and two environments of both.
    timed_once : number of cases of both that either run timed once.

    Examples
    --------
    >>> found = TwoRuns("here", "c0ffee00", "deadbeef", (1.05, 1.15, 0.85, 1.3), ())
    >>> found.beyond(0.1), found.beyond(0.2)
    (3, 1)
    """

    machine: str
    first: str
    second: str
    ratios: tuple[float, ...]
    winners: tuple[Winner, ...]
    timed_once: int = 0

    def beyond(self, margin: float) -> int:
        """Return the number of cases whose times differ by more than ``margin``, either way."""
        return sum(max(one, 1 / one) > 1 + margin for one in self.ratios)

    def share(self, margin: float) -> float:
        """Return the part of the cases whose times differ by more than ``margin``; 0 of none."""
        return self.beyond(margin) / max(len(self.ratios), 1)

    @property
    def called(self) -> int:
        """Number of cases in which both runs call a winner."""
        return sum(one.called for one in self.winners)

    @property
    def flips(self) -> int:
        """Number of cases in which the runs call different winners."""
        return sum(one.flips for one in self.winners)

    @property
    def contradicted(self) -> int:
        """Number of cases in which a called winner is not the faster one in the other run."""
        return sum(one.contradicted for one in self.winners)


def two_runs(
    found: Pairing,
    measured: Sequence[Measured],
    runs: Sequence[EnvironmentRun],
    *,
    winners: bool = True,
) -> tuple[TwoRuns, ...]:
    """Return how the runs of two commits agree, for every machine that has cases of both.

    Parameters
    ----------
    found : the cases of the two commits, paired (`bench_core.comparison.pairing.pair`).
    measured : the cases of ``runs``; all of them tell the noise of their machine.
    winners : False leaves these out, which take longer.
    """
    machines: dict[tuple[str, str, str], list[tuple[Measured, Measured]]] = {}
    for one, other in found.pairs:
        key = (one.place.machine, one.place.commit, other.place.commit)
        machines.setdefault(key, []).append((one, other))
    agreements = []
    for key, every in sorted(machines.items()):
        pairs = [both for both in every if not any(map(_timed_once, both))]
        ratios = tuple(seconds(other.runs) / seconds(one.runs) for one, other in pairs)
        called = tuple(_winners(pairs, measured, runs)) if winners and pairs else ()
        agreements.append(TwoRuns(*key, ratios, called, len(every) - len(pairs)))
    return tuple(agreements)


def _timed_once(one: Measured) -> bool:
    return sum(map(len, one.runs)) == 1


def _winners(
    pairs: Sequence[tuple[Measured, Measured]],
    measured: Sequence[Measured],
    runs: Sequence[EnvironmentRun],
) -> Iterable[Winner]:
    """Yield the cases of every two environments, compared within either run."""
    sides = [[both[number] for both in pairs] for number in (0, 1)]
    environments = sorted({one.place.environment for one in sides[0]})
    for first, second in combinations(environments, 2):
        judged = [_judged(side, first, second, measured, runs) for side in sides]
        for case in judged[0]:
            if case in judged[1]:
                (one, other, ratio, verdict), (*_, again, then) = (each[case] for each in judged)
                yield Winner(str(case), one, other, (ratio, again), (verdict, then))


def _judged(
    side: Sequence[Measured],
    first: str,
    second: str,
    measured: Sequence[Measured],
    runs: Sequence[EnvironmentRun],
) -> dict[Case, tuple[str, str, float, Verdict]]:
    """Return the two environments, ratio and verdict of the cases that both have in one run."""
    both = [one for one in side if one.place.environment in (first, second)]
    paired = pair(both, "environment", first, second)
    judged = compare_paired(paired, measured, runs, "environment")
    return {
        one.case: (one.label, other.label, verdict.ratio, verdict.verdict)
        for one, other, verdict in judged.rows()
    }


def two_runs_text(found: TwoRuns) -> str:
    """Return how two runs agree, in one sentence for the medians and one for the winners."""
    shares = ", ".join(
        f"by more than {margin:.0%} in {found.beyond(margin)} ({found.share(margin):.0%})"
        for margin in MARGINS
    )
    cases = counted(len(found.ratios), "case")
    text = f"{found.machine}, {found.first} and {found.second}: of {cases} medians differ {shares}."
    if found.timed_once:
        text += f" Left out: {counted(found.timed_once, 'case')} timed once."
    if not found.winners:
        return text
    return (
        f"{text} Of {counted(len(found.winners), 'case')} in two environments both runs call a "
        f"winner in {found.called}, and another one in {found.flips}; {found.contradicted} called "
        "in either run are slower in the other."
    )


def two_runs_dict(found: TwoRuns) -> dict[str, Any]:
    """Return how two runs agree as JSON's own types."""
    return {
        "machine": found.machine,
        "commits": [found.first, found.second],
        "cases": len(found.ratios),
        "timed_once": found.timed_once,
        "beyond": {f"{margin:g}": found.beyond(margin) for margin in MARGINS},
        "winners": {
            "compared": len(found.winners),
            "called": found.called,
            "flips": found.flips,
            "contradicted": found.contradicted,
        },
    }
