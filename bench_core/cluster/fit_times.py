"""Times of a fit on a cluster: what the driver notes of tasks and waits, and the nodes' answers."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from distributed import Client, Future

from bench_core.cluster.task_times import NodeReport, report, run_task
from bench_core.cluster.timeline import FitLog, clock_offset
from bench_core.cluster.waiting import guarded
from bench_core.phases import NO_PHASES, Phases
from bench_core.records.phases import PhasesRecord


class FitTimes(ABC):
    """Takes the seconds of phases of one fit at a time, where it is asked to.

    A `bench_core.cluster.Cluster` is one.
    """

    client: Client
    _log_of_fit: FitLog | None = None

    @abstractmethod
    def check(self) -> None:
        """Raise where a node is lost."""

    @abstractmethod
    def _addresses(self) -> list[str] | None:
        """Return the addresses of all nodes, None where one was lost."""

    @contextlib.contextmanager
    def timed(self, phases: Phases) -> Iterator[FitLog]:
        """Take the times of all tasks that are submitted while the context lasts.

        phases : the driver's timer, whose `Phases.whole` is open.

        Yields the log of the fit, which `phases_record` makes into a record afterwards.
        """
        self._log_of_fit = log = FitLog(phases)
        try:
            yield log
        finally:
            self._log_of_fit = None

    @property
    def timed_fit(self) -> str | None:
        """Name of the fit whose times are taken, for tasks that do not come by `submit`."""
        return None if self._log_of_fit is None else self._log_of_fit.fit

    @contextlib.contextmanager
    def waiting(self, futures: Sequence[Future] | None = None) -> Iterator[None]:
        """Count the time of the context as waiting for these futures; None: for any task."""
        if self._log_of_fit is None:
            yield
            return
        keys = None if futures is None else frozenset(one.key for one in futures)
        with self._log_of_fit.waiting(keys):
            yield

    @property
    def _phases(self) -> Phases:
        return NO_PHASES if self._log_of_fit is None else self._log_of_fit.phases

    def _start_task(self, address: str, function: Callable[..., Any], *arguments: Any) -> Future:
        """Start a task on the node with this address, timed where the fit is."""
        log = self._log_of_fit
        if log is None:
            return self.client.submit(function, *arguments, pure=False, workers=[address])
        needs = tuple(one.key for one in arguments if isinstance(one, Future))
        key = log.submit(getattr(function, "__name__", "task"), needs)
        return self.client.submit(
            run_task, log.fit, key, function, *arguments, key=key, pure=False, workers=[address]
        )

    def phases_record(self, log: FitLog, fit_s: float) -> PhasesRecord | None:
        """Ask the nodes for their times and return the phases of a fit that has ended.

        None after the loss of a node, which has taken its times with it.

        fit_s : the fit's time by its caller's clock.
        """
        addresses = self._addresses()
        if addresses is None:
            return None
        self.check()
        reports = []
        for address in addresses:
            asked = log.phases.clock()
            found = guarded(partial(self._ask_times, log.fit, address), self.check)
            reports.append((found, clock_offset(asked, log.phases.clock(), found.now)))
        return log.record(fit_s, reports)

    def _ask_times(self, fit: str, address: str) -> NodeReport:
        found: NodeReport = self.client.run(report, fit, workers=[address])[address]
        return found
