"""joblib's Dask backend, made to run on one node and to stop when a node dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib._dask import Batch, DaskDistributedBackend  # noqa: PLC2701  # joblib exports it nowhere

from bench_core.cluster.waiting import Watchman

if TYPE_CHECKING:
    from bench_core.cluster import Cluster


class DaskBackend(DaskDistributedBackend):
    """joblib's Dask backend, which runs on one node too and stops when a node dies.

    With a single worker, joblib would leave it idle and run the tasks in this process.

    joblib hears of errors that a task raises, because they come back as results. A task that
    Dask itself gives up, because its worker died, never calls back (joblib 1.6), and
    ``Parallel`` would wait for it for ever, as for one on a node that stands still: a watch on
    the nodes ends the wait.

    Where nodes do not see files, the arrays of a task go straight to a node, the nodes taking
    turns, and Dask starts the task where they are. In a task they would travel by way of the
    scheduler, twice.
    """

    nodes: int | None = None
    _sent_to: Iterator[str] | None = None
    _check: Callable[[], None] | None = None

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._outstanding: dict[Future[Any], Callable[[Any], None]] = {}
        self._watchman: Watchman | None = None

    @classmethod
    def on(cls, cluster: Cluster) -> DaskBackend:
        """Return the backend that uses the living nodes of this cluster and no other workers."""
        living = [node.address for node in cluster.nodes_alive]
        found = cls(client=cluster.client, workers=living)
        found.nodes = len(living)
        found._check = cluster.check
        if cluster.data == "messages":
            found._sent_to = cycle(living)
        return found

    def start_call(self) -> None:
        """Begin a call of ``Parallel``."""
        super().start_call()
        if self._check is not None:
            self._watchman = Watchman(self._check, self._give_up)

    def stop_call(self) -> None:
        """End a call of ``Parallel``."""
        if self._watchman is not None:
            self._watchman.stop()
            self._watchman = None
        super().stop_call()

    def _give_up(self, error: Exception) -> None:
        """Have ``Parallel`` raise ``error`` in the place of a batch of tasks that is not done."""
        for callback in list(self._outstanding.values())[:1]:
            callback(error)

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Return how many tasks may run at once, never the 1 that means "here"."""
        return max(2, super().effective_n_jobs(n_jobs) if self.nodes is None else self.nodes)

    async def _to_func_args(self, func: Any) -> tuple[Any, list[Any]]:
        """Leave arguments as they are, small ones; arrays go to the next node where files do not.

        joblib would put arrays on some worker first, from where they would travel once more.
        """
        if self._sent_to is None:
            return Batch(func.items), list(func.items)
        node = next(self._sent_to)
        tasks = [
            (function, [await self._sent(one, node) for one in arguments], named)
            for function, arguments, named in func.items
        ]
        return Batch(tasks), tasks

    async def _sent(self, argument: Any, node: str) -> Any:
        if not isinstance(argument, np.ndarray):
            return argument
        sent = self.client.scatter(
            [argument], workers=[node], direct=True, hash=False, asynchronous=True
        )
        (future,) = await sent
        return future

    def submit(self, func: Any, callback: Callable[[Any], None] | None = None) -> Future[Any]:
        """Submit a batch of tasks; ``callback`` gets its outcome, which may be an exception."""
        future: Future[Any] = super().submit(func, callback)
        if callback is not None:
            self._outstanding[future] = callback

        def report(done: Future[Any]) -> None:
            self._outstanding.pop(done, None)
            error = done.exception()
            if error is not None and callback is not None:
                callback(error)

        future.add_done_callback(report)
        return future

    def retrieve_result_callback(self, out: Any) -> Any:
        """Return a batch's results, or raise the exception that ended it."""
        if isinstance(out, BaseException):
            raise out
        return super().retrieve_result_callback(out)
