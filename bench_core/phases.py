"""Seconds of a fit by phase: one stack of phases, whose time adds up to the whole.

Every moment between the start and the end of a fit belongs to one phase, the innermost one that is
open. What no phase claims is "other". So the seconds of all phases sum to the fit by construction,
and a phase within a phase is not counted twice.

A GPU computes while Python goes on. There a change of phase waits until the work of the phase that
ends is done (`Phases.settle_with`), or its time would be the next one's. Nothing waits where no
time is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from threading import get_ident
from time import perf_counter
from typing import ClassVar, Literal, get_args

Phase = Literal[
    "reading",
    "centring",
    "gram",
    "factorisation",
    "scores",
    "solution",
    "predictions",
    "sklearn",
    "transfers",
    "waiting",
    "other",
]
"""Names of the phases; ``docs/measurements.md`` says what belongs to which."""

PHASES: tuple[Phase, ...] = get_args(Phase)

Clock = Callable[[], float]

_NOTHING: AbstractContextManager[None] = nullcontext()


class Phases:
    """Timer of the phases of one fit at a time, in the thread that opened it.

    Phases count within `whole` only, which begins anew every time. Other threads that come across
    the timer count nothing: their time is not the fit's.

    Parameters
    ----------
    clock : returns seconds.

    Attributes
    ----------
    seconds : of every phase that has ended.
    began, ended : of the whole, by the clock.
    entered : number of phases that were opened.

    Examples
    --------
    >>> ticks = iter([0.0, 1.0, 4.0, 6.0, 9.0, 10.0])
    >>> phases = Phases(clock=ticks.__next__)
    >>> with phases.whole():
    ...     with phases("scores"):
    ...         with phases("reading"):
    ...             pass
    >>> phases.seconds["scores"], phases.seconds["reading"], phases.seconds["other"]
    (6.0, 2.0, 2.0)
    >>> phases.total
    10.0
    """

    taken: ClassVar[bool] = True
    """False where no time is taken."""

    def __init__(self, clock: Clock = perf_counter) -> None:
        self.clock = clock
        self.seconds: dict[Phase, float] = dict.fromkeys(PHASES, 0.0)
        self.entered = 0
        self.began = self.ended = 0.0
        self._settle: Callable[[], None] | None = None
        self._open: list[Phase] = []
        self._since = 0.0
        self._thread = 0

    def whole(self) -> AbstractContextManager[None]:
        """Return the context of a whole fit, which counts from 0; within another one, nothing."""
        return _NOTHING if self._open else _Whole(self)

    def __call__(self, phase: Phase) -> AbstractContextManager[None]:
        """Return the context of a phase; its time is taken from the phase around it."""
        if not self._open or self._thread != get_ident():
            return _NOTHING
        return _Inner(self, phase)

    def settle_with(self, settle: Callable[[], None] | None) -> None:
        """Call ``settle`` at every change of phase: it waits for a device's work. None: nothing."""
        self._settle = settle

    @property
    def total(self) -> float:
        """Seconds of all phases."""
        return sum(self.seconds.values())

    def so_far(self) -> tuple[float, dict[Phase, float]]:
        """Return the clock's time, and the seconds of all phases until then."""
        now = self.clock()
        self._charge(now)
        return now, dict(self.seconds)

    def _charge(self, now: float) -> None:
        """Give the time since the last change to the innermost phase."""
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def _begin(self, phase: Phase) -> int:
        """Open a phase and return the depth to come back to."""
        if self._settle is not None and self._open:
            self._settle()
        depth = len(self._open)
        self._charge(self.clock())
        self._open.append(phase)
        self.entered += 1
        return depth

    def _end(self, depth: int, *, wait: bool) -> None:
        """Close all phases down to ``depth``."""
        try:
            if wait and self._settle is not None:
                self._settle()
        finally:
            self._charge(self.clock())
            del self._open[depth:]
            self.ended = self._since


class _Inner:
    __slots__ = ("_depth", "_phase", "_phases")

    def __init__(self, phases: Phases, phase: Phase) -> None:
        self._phases, self._phase = phases, phase

    def __enter__(self) -> None:
        self._depth = self._phases._begin(self._phase)

    def __exit__(self, kind: object, *error: object) -> None:
        # Work that failed is not waited for: the wait would fail, too, and hide why.
        self._phases._end(self._depth, wait=kind is None)


class _Whole(_Inner):
    __slots__ = ()

    def __init__(self, phases: Phases) -> None:
        super().__init__(phases, "other")

    def __enter__(self) -> None:
        phases = self._phases
        phases.seconds, phases.entered = dict.fromkeys(PHASES, 0.0), 0
        phases._thread = get_ident()
        super().__enter__()
        phases.began = phases._since


class NoPhases(Phases):
    """Timer that takes no time and waits for nothing: the default everywhere.

    Examples
    --------
    >>> with NO_PHASES.whole(), NO_PHASES("gram"):
    ...     NO_PHASES.total
    0.0
    """

    taken = False

    def whole(self) -> AbstractContextManager[None]:
        """Return a context that does nothing."""
        return _NOTHING

    def __call__(self, phase: Phase) -> AbstractContextManager[None]:
        """Return a context that does nothing."""
        return _NOTHING

    def settle_with(self, settle: Callable[[], None] | None) -> None:
        """Keep nothing: this object is shared by all fits."""


NO_PHASES = NoPhases()
