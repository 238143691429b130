"""Presence of nodes elsewhere: the scheduler's list of workers, their heartbeats, their hosts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from inspect import signature
from typing import Any

from distributed import Client, Scheduler
from distributed.comm import CommClosedError

from bench_core.cluster import silence
from bench_core.cluster.losses import NodeLostError, SchedulerLostError
from bench_core.cluster.silence import HostAnswer, Silence

CHECK_EVERY_S = 0.5

SCHEDULER_S = 30.0
"""Seconds in which a scheduler has to answer, or it is lost."""


class Presence:
    """What is known of the nodes of one cluster, asked of its scheduler twice a second.

    Parameters
    ----------
    client : of the scheduler.
    kind : of cluster, for messages.
    others : whether the scheduler is somebody else's, and cannot be started again from here.
    """

    def __init__(self, client: Client, kind: str, *, others: bool) -> None:
        self._client = client
        self._kind = kind
        self._error = SchedulerLostError if others else NodeLostError
        self._addresses: list[str] = []
        self._silences: list[Silence] = []
        self._known: dict[str, Any] | None = None
        self._asked_at = 0.0

    def workers(self) -> dict[str, dict[str, Any]]:
        """Return the scheduler's workers by address; raise `NodeLostError` where it is gone."""
        # A client that has lost its scheduler looks for it for long; another one there is no help.
        if self._client.status != "running":
            raise self._lost_scheduler("the connection to it broke")
        try:
            identity = self._client.sync(
                self._client.scheduler.identity, callback_timeout=SCHEDULER_S, **_all_workers()
            )
        except TimeoutError as error:
            raise self._lost_scheduler(f"no answer in {SCHEDULER_S:g} s") from error
        except (OSError, CommClosedError, RuntimeError, AttributeError) as error:
            raise self._lost_scheduler(str(error)) from error
        return dict(identity["workers"])

    def _lost_scheduler(self, how: str) -> NodeLostError:
        return self._error(
            f"the scheduler of the {self._kind} cluster does not answer ({how}): the fit is lost"
        )

    def watch(self, addresses: Sequence[str], ask: Callable[[int], HostAnswer]) -> None:
        """Watch the workers with these addresses, those of the nodes in order.

        ask : returns what the host of a node, given by its number, says of its process.
        """
        self._addresses = list(addresses)
        self._silences = [Silence(partial(ask, node)) for node in range(len(addresses))]

    def look(self) -> None:
        """Ask the scheduler, unless that was done just now; raise what `workers` raises."""
        now = time.monotonic()
        if now - self._asked_at < CHECK_EVERY_S:
            return
        known = self._known = self.workers()
        self._asked_at = now = time.monotonic()
        for address, each in zip(self._addresses, self._silences, strict=True):
            if address in known:
                each.look(known[address]["last_seen"], now)

    def forget(self) -> None:
        """Ask again at the next look: something has just happened."""
        self._asked_at = 0.0

    def is_listed(self, node: int) -> bool:
        """Return whether the scheduler had this node when it was asked last."""
        return self._known is None or self._addresses[node] in self._known

    def is_heard(self, node: int) -> bool:
        """Return whether the node has just sent a heartbeat."""
        return self._silences[node].seconds < 2 * CHECK_EVERY_S

    def is_silent(self, node: int) -> bool:
        """Return whether the node has sent no heartbeat for so long that its host was asked."""
        return self._silences[node].seconds >= silence.SILENT_S

    def lost(self, node: int, *, patient: bool) -> str | None:
        """Return why a node that is listed is lost, None while it may come back."""
        return self._silences[node].lost(patient=patient)


def _all_workers() -> dict[str, int]:
    """Return the argument that has every worker in a scheduler's answer: newer ones show five."""
    return {"n_workers": -1} if "n_workers" in signature(Scheduler.identity).parameters else {}
