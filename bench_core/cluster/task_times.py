"""Times of tasks, as the process of a node takes them: one timer of phases for each fit.

A task of a fit whose time is taken runs within `timed_task`, and its code finds the timer with
`task_phases`. The times stay on the node until the driver asks for them after the fit (`report`):
nothing more travels while it runs.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import local
from typing import Any

from bench_core.phases import NO_PHASES, Phase, Phases

KEPT_FITS = 4
"""Fits whose times a node keeps: those of a fit that failed are never asked for."""


@dataclass(frozen=True)
class TaskTime:
    """One task: when it began and ended by the node's clock, and the seconds of its phases."""

    key: str
    began: float
    ended: float
    seconds: dict[Phase, float]


@dataclass(frozen=True)
class NodeReport:
    """The tasks of a fit on one node, in order, and what the node's clock showed when asked."""

    now: float
    tasks: list[TaskTime]


@dataclass
class _Fit:
    phases: Phases = field(default_factory=Phases)
    tasks: list[TaskTime] = field(default_factory=list)


class _Current(local):
    phases: Phases = NO_PHASES


_KEPT: OrderedDict[str, _Fit] = OrderedDict()
_CURRENT = _Current()


def task_phases() -> Phases:
    """Return the timer of the task that this thread runs; outside of one, or untimed, a null one.

    It is the same in all tasks of a fit on one node: what one of them keeps for the next, such as a
    solver, may hold it.
    """
    return _CURRENT.phases


@contextmanager
def timed_task(fit: str | None, key: str = "") -> Iterator[Phases]:
    """Take the time of a task of the fit called ``fit`` while the context lasts; None: take none.

    key : the task's name, by which the driver knows it; empty if it does not.
    """
    if fit is None:
        yield NO_PHASES
        return
    found = _KEPT.setdefault(fit, _Fit())
    while len(_KEPT) > KEPT_FITS:
        _KEPT.popitem(last=False)
    phases = found.phases
    before, _CURRENT.phases = _CURRENT.phases, phases
    began = phases.clock()
    try:
        with phases.whole():
            yield phases
    finally:
        _CURRENT.phases = before
        found.tasks.append(TaskTime(key, began, began + phases.total, dict(phases.seconds)))


def run_task(fit: str, key: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call ``function(*arguments)`` as a timed task."""
    with timed_task(fit, key):
        return function(*arguments)


def report(fit: str) -> NodeReport:
    """Return the times of a fit on this node, and forget them."""
    found = _KEPT.pop(fit, None)
    if found is None:
        return NodeReport(Phases().clock(), [])
    return NodeReport(found.phases.clock(), found.tasks)
