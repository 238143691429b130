"""Loss of nodes: the errors, and how a fit goes on with the nodes that live."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from bench_core.cluster.ledger import Ledger
from bench_core.errors import RidgebenchError, counted

if TYPE_CHECKING:
    from bench_core.cluster.dispatch import Dispatcher

R = TypeVar("R")


class NodeLostError(RidgebenchError, RuntimeError):
    """A node's process ended early or stands still; the message names the node and the cause.

    Attributes
    ----------
    given_up : whether the nodes that it is about are given up already.

    Examples
    --------
    >>> try:
    ...     raise NodeLostError("node 1 (process 4711) was killed: the fit is lost")
    ... except RuntimeError as error:
    ...     "node 1" in str(error)
    True
    """

    exit_code = 1
    given_up = False


class SchedulerLostError(NodeLostError):
    """The scheduler of others is gone: only they can start it again.

    Examples
    --------
    >>> isinstance(SchedulerLostError("no scheduler answers"), NodeLostError)
    True
    """


class RetriesUsedError(NodeLostError):
    """The same work lost its node more often than it may be tried again.

    Examples
    --------
    >>> isinstance(RetriesUsedError("node 1 was killed"), NodeLostError)
    True
    """


@dataclass
class Recovery:
    """How work goes on after the loss of nodes; a measurement's cluster has none.

    Parameters
    ----------
    retries : times that the same work may be done again.
    ledger : finished batches, which are not done again.

    Attributes
    ----------
    lost : every node that was given up, and how it ended.
    redone : times that work was begun again.

    Examples
    --------
    >>> recovery = Recovery(retries=2)
    >>> recovery.retries, recovery.lost, recovery.redone
    (2, [], 0)
    """

    retries: int = 2
    ledger: Ledger = field(default_factory=Ledger)
    lost: list[str] = field(default_factory=list)
    redone: int = 0

    def repeat(self, cluster: Dispatcher, work: Callable[[], R]) -> R:
        """Return ``work()``, called again where it lost a node and others live.

        Raises
        ------
        RetriesUsedError : it lost a node once more than it may be tried again.
        NodeLostError : no node lives.
        """
        tries = 0
        while True:
            try:
                return work()
            except NodeLostError as error:
                if not error.given_up:
                    cluster.give_up_lost(error)
                if tries == self.retries:
                    raise RetriesUsedError(
                        f"{error}\nafter {counted(tries, 'retry')} "
                        "the same work has lost its node again: look for its cause"
                    ) from error
                tries += 1
                self.redone += 1
