"""joblib's Dask backend, made to run on one node and to stop when a node dies."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from joblib._dask import Batch, DaskDistributedBackend  # noqa: PLC2701  # joblib exports it nowhere

if TYPE_CHECKING:
    from bench_core.cluster import Cluster


class DaskBackend(DaskDistributedBackend):
    """joblib's Dask backend, which runs on one node too and stops when a node dies.

    With a single worker, joblib would leave it idle and run the tasks in this process.

    joblib hears of errors that a task raises, because they come back as results. A task that
    Dask itself gives up, because its worker died, never calls back (joblib 1.6), and
    ``Parallel`` would wait for it for ever.
    """

    nodes: int | None = None

    @classmethod
    def on(cls, cluster: Cluster) -> DaskBackend:
        """Return the backend that uses the nodes of this cluster and no other workers."""
        found = cls(client=cluster.client, workers=[node.address for node in cluster.workers])
        found.nodes = cluster.nodes
        return found

    def effective_n_jobs(self, n_jobs: int) -> int:
        """Return how many tasks may run at once, never the 1 that means "here"."""
        return max(2, super().effective_n_jobs(n_jobs) if self.nodes is None else self.nodes)

    async def _to_func_args(self, func: Any) -> tuple[Any, list[Any]]:
        """Leave arguments as they are: they are small, or one target.

        joblib would put arrays on some worker first, from where they would travel once more.
        """
        return Batch(func.items), list(func.items)

    def submit(self, func: Any, callback: Callable[[Any], None] | None = None) -> Future[Any]:
        """Submit a batch of tasks; ``callback`` gets its outcome, which may be an exception."""
        future: Future[Any] = super().submit(func, callback)

        def report(done: Future[Any]) -> None:
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
