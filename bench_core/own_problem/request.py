"""What a sweep of one's own problem was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench_core import strategies
from bench_core.blas.libraries import LIBRARIES
from bench_core.errors import InputError, unknown
from bench_core.fitting.sources import ProblemSource
from bench_core.records.case import Until
from bench_core.runner.penalty_request import PenaltyRequest
from bench_core.runner.spec import DTYPES, SPLITS

UNTIL = Until(precision=0.05, budget_s=10.0)
"""When the repeats of a run end. One value for all sweeps: records of one serve the next."""

REPEATS = 3
RUNS = 2
"""Processes in which a case is timed that may be the fastest."""


@dataclass(frozen=True)
class SweepRequest:
    """The problem, and the values to sweep; empty for all that this machine has.

    Parameters
    ----------
    source : the data, as `ridgebench fit` takes them.
    strategies, nodes, threads, blas, dtypes : values to combine.
    penalty : how penalties are chosen, for every case.
    within_s : seconds that the whole sweep may take; None for no limit.

    Raises
    ------
    UnknownNameError : no such strategy or BLAS.
    InputError : no such precision or split, a count below 1, or no time.

    Examples
    --------
    >>> SweepRequest(ProblemSource("haxby2001"), nodes=(1, 2)).threads
    ()
    """

    source: ProblemSource
    split: str = "auto"
    strategies: tuple[str, ...] = ()
    nodes: tuple[int, ...] = ()
    threads: tuple[int, ...] = ()
    blas: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    penalty: PenaltyRequest = field(default_factory=PenaltyRequest)
    within_s: float | None = None

    def __post_init__(self) -> None:
        for name in self.strategies:
            strategies.get(name)
        for kind, given, known in (
            ("BLAS", self.blas, LIBRARIES.names()),
            ("precision", self.dtypes, DTYPES),
            ("split", (self.split,), SPLITS),
        ):
            for one in given:
                if one not in known:
                    raise unknown(kind, one, known)
        for what, counts in (("nodes", self.nodes), ("threads", self.threads)):
            if any(count < 1 for count in counts):
                raise InputError(f"{what} {', '.join(map(str, counts))}: give counts from 1 on")
        if self.within_s is not None and not self.within_s > 0:
            raise InputError(f"within {self.within_s} s: give a time above 0")
