"""The record of one `ridgebench bench`: order, the machine's clock, and its A/A pairs."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from bench_core.records.scalars import STRICT, Count, Positive, Seconds
from bench_core.records.times import MachineUse

SCHEMA_SESSION: Final = "ridgebench-session/1"
CLOCK_SUITE: Final = "clock"
"""Suite of the reference, which is measured when the clock is read: it is in no comparison."""


@dataclass(frozen=True, config=STRICT)
class Tick:
    """One fit of the reference: `ridgecv` on one node and one thread.

    Parameters
    ----------
    at_s : since the session began. seconds : of the fit.
    use : of the machine meanwhile.

    Examples
    --------
    >>> Tick(12.0, 0.41).seconds
    0.41
    """

    at_s: Seconds
    seconds: Annotated[float, Field(gt=0)]
    use: MachineUse | None = None


@dataclass(frozen=True, config=STRICT)
class SamePair:
    """A case that was measured twice, in turn, in one environment.

    Parameters
    ----------
    case : in words. key : of its record.
    first, second : repeats of every run that counts on both sides, in seconds.
    disturbed : what disturbed one of them; the pair then tells nothing. None if nothing did.

    Examples
    --------
    >>> SamePair("parcels 1/24, ridgecv 1×1", "0" * 20, ((1.0, 1.1),), ((1.0, 1.0),)).disturbed
    """

    case: str
    key: str
    first: tuple[tuple[Seconds, ...], ...]
    second: tuple[tuple[Seconds, ...], ...]
    disturbed: str | None = None


@dataclass(frozen=True, config=STRICT)
class SessionCase:
    """Key of what is asked for once per session and kind; equal ones replace each other."""

    kind: Literal["bench", "same"]
    session: str


@dataclass(frozen=True, config=STRICT)
class NotMeasured:
    """A case that a sweep was asked for and did not measure.

    Parameters
    ----------
    case : in words. environment : where; None for all of them.
    predicted_s : low end, middle and high end of the predicted seconds; None without a prediction.

    Examples
    --------
    >>> NotMeasured("mor 1×1", None, "no time was left", (4.0, 5.0, 6.0)).environment is None
    True
    """

    case: str
    environment: str | None
    reason: str
    predicted_s: tuple[Seconds, Seconds, Seconds] | None = None


@dataclass(frozen=True, config=STRICT)
class SessionRecord:
    """One session of one environment.

    Parameters
    ----------
    environments : all that took turns, in the order of the first run of a case.
    runs : of every case. cases : number of them.
    clock : the reference, repeated through the session, in ``clock_environment``.
    same : A/A pairs; empty unless they were asked for.
    problem : of a sweep of one's own problem, its name; None for the suites.
    data : words that name its data on a command line, without absolute paths; empty for a name.
    within_s : seconds that such a sweep was given; None for no limit.
    not_measured : cases that it left out, each with the reason.
    notes : how its predictions and environments came about.

    Examples
    --------
    >>> case = SessionCase("bench", "20260101T000000Z")
    >>> record = SessionRecord(
    ...     SCHEMA_SESSION, case, "2026-01-01T00:00:00Z", 60.0, ("a", "b"), 2, 9, "a", ()
    ... )
    >>> record.drift is None
    True
    """

    schema: Literal["ridgebench-session/1"]
    case: SessionCase
    started: str
    seconds: Seconds
    environments: tuple[str, ...]
    runs: Positive
    cases: Count
    clock_environment: str | None
    clock: tuple[Tick, ...]
    same: tuple[SamePair, ...] = ()
    problem: str | None = None
    data: tuple[str, ...] = ()
    within_s: Annotated[float, Field(gt=0)] | None = None
    not_measured: tuple[NotMeasured, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def status(self) -> Literal["ok"]:
        """A session has no other."""
        return "ok"

    @property
    def drift(self) -> float | None:
        """Slowest over fastest reference fit of the session; None for fewer than two."""
        times = [one.seconds for one in self.clock]
        return max(times) / min(times) if len(times) > 1 else None
