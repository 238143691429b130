"""Work on the nodes of a cluster: tasks and batches, their results, and lost nodes."""

from __future__ import annotations

import contextlib
import time
from abc import abstractmethod
from asyncio import CancelledError as AsyncCancelledError
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from distributed import CancelledError, Client, Future, wait
from distributed.comm import CommClosedError
from distributed.scheduler import KilledWorker
from numpy.typing import ArrayLike

from bench_core.cluster.fit_times import FitTimes
from bench_core.cluster.losses import NodeLostError, Recovery
from bench_core.cluster.waiting import INTERVAL_S, guarded

Result = TypeVar("Result")

_REAPED_S = 3.0
"""Seconds in which the end of a process is known after its connection broke."""


@dataclass(frozen=True)
class NodeInfo:
    """One node of a running cluster.

    Attributes
    ----------
    address : address of its Dask worker.
    pid, cpus : its process and the CPUs that the process may run on.
    blas : BLAS of its numpy and scipy, as `bench_core.blas.detect` found it there.
    host : name of its host; empty for this machine.

    Examples
    --------
    >>> node = NodeInfo("tcp://127.0.0.1:40000", pid=4711, cpus=(2, 3), blas={})
    >>> len(node.cpus)
    2
    """

    address: str
    pid: int
    cpus: tuple[int, ...]
    blas: dict[str, Any]
    host: str = ""


class Dispatcher(FitTimes):
    """Starts work on nodes and waits for it; a node that is lost ends it, or others go on.

    A `bench_core.cluster.Cluster` is one. Its kinds say which node is lost (`_lost`), how to end
    what is left of it (`_abandon`) and what it has printed (`_log`).

    Attributes
    ----------
    client : the Dask client.
    nodes : number of nodes. ``workers`` : one `NodeInfo` per node, in order.
    recovery : how work goes on after the loss of a node; None ends it, as in a measurement.
    """

    kind = "cluster"
    client: Client

    def __init__(self, nodes: int) -> None:
        self.nodes = nodes
        self.workers: list[NodeInfo] = []
        self.recovery: Recovery | None = None
        self._given_up: dict[int, str] = {}
        self._placed: dict[str, str] = {}
        self._closed = False

    @abstractmethod
    def _lost(self, node: int) -> str | None:
        """Return which node is lost and how, None while it works."""

    @abstractmethod
    def _abandon(self, node: int) -> None:
        """End what may be left of a node that is given up."""

    @abstractmethod
    def _log(self, node: int) -> str:
        """Return the last lines that the node's process printed, to append to a message."""

    def map(
        self, function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]]
    ) -> list[Result]:
        """Call ``function(*task)`` for every task, task i on node i mod c, and wait.

        With `recovery`, tasks whose node is lost are done again on another.

        Returns
        -------
        The results in the order of the tasks.

        Raises
        ------
        NodeLostError : a node was lost.
        Exception : the one that ``function`` raised.
        """
        if self.recovery is None:
            return self.gather(self._submit_all(function, tasks, range(len(tasks))))
        found: dict[int, Result] = {}
        self._finish(function, tasks, found.get, found.__setitem__)
        return [found[number] for number in range(len(tasks))]

    def batches(
        self, function: Callable[..., tuple[ArrayLike, ...]], tasks: Sequence[tuple[Any, ...]]
    ) -> list[tuple[Any, ...]]:
        """Call ``function(*task)`` for every task as `map` does; each returns arrays or numbers.

        With `recovery`, batches that are in its ledger are not done again.
        """
        if self.recovery is None:
            return self.map(function, tasks)
        ledger = self.recovery.ledger
        found: dict[int, tuple[Any, ...]] = {}

        def find(number: int) -> tuple[Any, ...] | None:
            if number not in found and (kept := ledger.find(str(number))) is not None:
                found[number] = kept
            return found.get(number)

        def keep(number: int, result: tuple[ArrayLike, ...]) -> None:
            ledger.keep(str(number), result)
            found[number] = result

        self._finish(function, tasks, find, keep)
        return [found[number] for number in range(len(tasks))]

    def _finish(
        self,
        function: Callable[..., Any],
        tasks: Sequence[tuple[Any, ...]],
        find: Callable[[int], Any],
        keep: Callable[[int, Any], None],
    ) -> None:
        """Do every task that `find` does not know, until `keep` was called for all."""

        def work() -> None:
            left = [number for number in range(len(tasks)) if find(number) is None]
            for place, result in self.finished(self._submit_all(function, tasks, left)):
                keep(left[place], result)

        self.repeat(work)

    def _submit_all(
        self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], which: Iterable[int]
    ) -> list[Future]:
        return [self.submit(number % self.nodes, function, *tasks[number]) for number in which]

    def repeat(self, work: Callable[[], Result]) -> Result:
        """Return ``work()``; with `recovery`, called again where a node was lost and others live.

        Raises what `Recovery.repeat` raises.
        """
        return work() if self.recovery is None else self.recovery.repeat(self, work)

    def submit(self, node: int, function: Callable[..., Any], *arguments: Any) -> Future:
        """Start ``function(*arguments)`` on a node and return its future.

        The result stays on the node until `gather` asks for it. A future among the arguments
        stands for its result, which travels to the node if it is on another one. What is asked of
        a node that was given up goes to one that lives.
        """
        self.check()
        address = self.workers[self.stand_in(node)].address
        future = self._start_task(address, function, *arguments)
        self._placed[future.key] = address
        return future

    def stand_in(self, node: int) -> int:
        """Return the node that does the work of this one: itself, as long as it lives."""
        living = self.living
        return node if node in living else living[node % len(living)]

    def run(self, function: Callable[..., Result], *arguments: Any) -> list[Result]:
        """Call ``function(*arguments)`` in the process of every node that lives, beside its tasks.

        Workers that are not this cluster's are not asked. Returns the results in the order of
        `nodes_alive`. Raises `NodeLostError`.
        """
        addresses = [node.address for node in self.nodes_alive]
        with self.watched():
            answers = guarded(
                lambda: self.client.run(function, *arguments, workers=addresses), self.check
            )
        return [answers[address] for address in addresses]

    def gather(self, futures: Sequence[Future]) -> list[Any]:
        """Wait for the futures and return their results; raises what `map` raises."""
        self.wait(futures)
        with self.watched(), self._phases("transfers"):
            results: list[Any] = guarded(lambda: self.client.gather(list(futures)), self.check)
        return results

    def finished(self, futures: Sequence[Future]) -> Iterator[tuple[int, Any]]:
        """Yield the place and the result of every future as it is done; raises what `map` raises.

        With `recovery`, what living nodes are still doing is yielded before a loss is raised.
        """
        pending = {future: place for place, future in enumerate(futures)}
        loss: NodeLostError | None = None
        try:
            while pending:
                try:
                    with self.watched(), self.waiting(list(pending)):
                        done = self._some(pending)
                    for future in done:
                        place = pending[future]
                        result = self.gather([future])[0]
                        self._bring_home(self._placed[future.key])
                        del pending[future]
                        yield place, result
                except NodeLostError as error:
                    loss = loss or error
                    if self.recovery is None:
                        raise
                    self.give_up_lost(error)
                    alive = {node.address for node in self.nodes_alive}
                    pending = {
                        future: place
                        for future, place in pending.items()
                        if future.status != "error" and self._placed[future.key] in alive
                    }
        finally:
            self._cancel(pending)
        if loss is not None:
            loss.given_up = True
            raise loss

    def _bring_home(self, address: str) -> None:
        """Fetch what a task has left on its node, before its result counts as kept."""

    def wait(self, futures: Sequence[Future]) -> None:
        """Wait for the futures and leave results on their nodes; raises what `map` raises."""
        with self.watched(), self.waiting(futures):
            try:
                pending = set(futures)
                while pending:
                    for future in self._some(pending):
                        pending.remove(future)
                        if future.status == "error":
                            future.result()
            finally:
                self._cancel(futures)

    def _cancel(self, futures: Iterable[Future]) -> None:
        if left := [future for future in futures if not future.done()]:
            self.client.cancel(left)

    def _some(self, futures: Iterable[Future]) -> list[Future]:
        """Return those of the futures that are done, some at least; `check` the nodes meanwhile."""
        while True:
            with contextlib.suppress(TimeoutError), self.client.as_current():
                return list(wait(list(futures), INTERVAL_S, return_when="FIRST_COMPLETED").done)
            self.check()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Raise `NodeLostError` where work inside fails because a node or the scheduler is gone."""
        self.check()
        try:
            yield
        except (CancelledError, AsyncCancelledError) as error:
            self.check()
            raise NodeLostError(
                f"the scheduler of this {self.kind} cluster is gone or has dropped the work "
                f"({error}): start another cluster"
            ) from error
        except (KilledWorker, CommClosedError) as error:
            limit = time.monotonic() + _REAPED_S
            while time.monotonic() < limit:  # the connection breaks before the process is reaped
                self.check()
                time.sleep(0.02)
            killed = getattr(error, "last_worker", None)
            raise NodeLostError(
                f"{'a node' if killed is None else killed.name} lost its connection: start "
                "another cluster"
            ) from error
        self.check()

    def check(self) -> None:
        """Raise `NodeLostError` if a node is lost, or all by `close`.

        With `recovery`, nodes that were given up do not count unless none is left.
        """
        if self._closed:
            raise NodeLostError(f"this {self.kind} cluster is closed: start another")
        if self._given_up and (self.recovery is None or not self.living):
            lost = "; ".join(self._given_up.values())
            raise NodeLostError(f"{lost}: start another cluster")
        for node in self.living:
            if (how := self._lost(node)) is not None:
                end = ": the fit is lost" if self.recovery is None else ""
                raise NodeLostError(f"{how}{end}{self._log(node)}")

    def settle(self) -> None:
        """As `check`, before work begins; with `recovery` nodes that are lost are given up."""
        try:
            self.check()
        except NodeLostError as error:
            if self.recovery is None:
                raise
            self.give_up_lost(error)

    @property
    def living(self) -> list[int]:
        """The numbers of the nodes that were not given up."""
        return [node for node in range(self.nodes) if node not in self._given_up]

    def _addresses(self) -> list[str] | None:
        return None if self._given_up else [node.address for node in self.workers]

    @property
    def nodes_alive(self) -> list[NodeInfo]:
        """The nodes that were not given up, in order."""
        return [self.workers[node] for node in self.living]

    def give_up_lost(self, error: NodeLostError) -> None:
        """Give up every node that is lost, and note in `recovery` how it ended.

        Raises ``error`` where no node is lost by itself, or none lives.
        """
        lost = {node: how for node in self.living if (how := self._lost(node)) is not None}
        if self._closed or not lost or self.recovery is None:
            raise error
        self.recovery.lost += lost.values()
        for node, how in lost.items():
            self._given_up[node] = how
            self._abandon(node)
        if not self.living:
            raise error
