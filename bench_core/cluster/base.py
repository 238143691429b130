"""Cluster interface of the strategies: nodes, shared arrays, tasks on nodes, bytes moved."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

import dask
import numpy as np
from distributed import Client, Future, Scheduler, SpecCluster, wait
from distributed.scheduler import KilledWorker
from numpy.typing import ArrayLike, DTypeLike

from bench_core.cluster import comm_bytes
from bench_core.cluster.arrays import ArrayRef, RowFile, release, share_array
from bench_core.cluster.delivery import SentArray
from bench_core.cluster.site_settings import describe_settings, explain
from bench_core.cluster.task_times import report, run_task
from bench_core.cluster.timeline import FitLog, clock_offset
from bench_core.errors import RidgebenchError, error_named
from bench_core.leftovers import make_owned_folder
from bench_core.phases import NO_PHASES, Phases
from bench_core.records.phases import PhasesRecord

Result = TypeVar("Result")

# Imports over a slow network file system are what takes long.
START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 3.0


class NodeLostError(RidgebenchError, RuntimeError):
    """A node's process ended early; the message names the node and the cause.

    Examples
    --------
    >>> try:
    ...     raise NodeLostError("node 1 (process 4711) was killed: the fit is lost")
    ... except RuntimeError as error:
    ...     "node 1" in str(error)
    True
    """


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


class QuietScheduler(Scheduler):
    """Dask's scheduler without a dashboard."""

    def start_http_server(self, *_args: Any, **_kwargs: Any) -> None:
        """Start no dashboard."""


class Cluster:
    """Worker processes behind one Dask scheduler, which runs in this process.

    A context manager: leaving it ends every process and removes every scratch file. A subclass
    defines how the process of one node is started (`_launch`) and its CPUs (`_cpus`).

    Parameters
    ----------
    nodes, threads : worker processes, and BLAS threads of each.
    host : the address that scheduler and nodes listen on.
    blas : the library that every node must prove it calls, or None.
    scratch : folder in which the cluster creates its own, visible to every node. None: the
        system's folder for temporary files.

    Attributes
    ----------
    client : the Dask client.
    workers : one `NodeInfo` per node, in order.
    scratch : the cluster's own folder.

    Raises
    ------
    BlasMismatchError : a node's numpy or scipy calls another library than ``blas``.
    NodeLostError : a node did not start.

    Examples
    --------
    >>> from bench_core.cluster import local
    >>> with local(nodes=2, threads=1) as cluster:
    ...     cluster.map(divmod, [(7, 3), (8, 3)])
    [(2, 1), (2, 2)]
    """

    kind = "cluster"
    client: Client
    data: Literal["path", "messages"] = "path"
    """How arrays reach the nodes."""
    elsewhere = False
    """True where nodes may be on other machines."""

    def __init__(
        self,
        nodes: int,
        threads: int,
        *,
        host: str,
        blas: str | None = None,
        scratch: str | Path | None = None,
    ) -> None:
        self.nodes = nodes
        self.threads = threads
        self.host = host
        self.blas = blas
        self.workers: list[NodeInfo] = []
        self._log_of_fit: FitLog | None = None
        self.scratch = make_owned_folder(Path(scratch or tempfile.gettempdir()), "ridgebench")
        self._closed = False
        self._processes: list[subprocess.Popen[bytes]] = []
        self._finalizer = weakref.finalize(self, _end, self._processes, self.scratch)
        self._open = contextlib.ExitStack()
        self._open.callback(self._finalizer)
        try:
            self._start()
        except RidgebenchError:
            self.close()
            raise
        except BaseException as error:
            self.close()
            known = explain(error) if isinstance(error, Exception) else None
            if known is None:
                raise
            raise known from error

    def _launch(self, config: Path, node: int) -> subprocess.Popen[bytes]:
        """Start the process of one node, given its configuration file."""
        raise NotImplementedError

    def _cpus(self, node: int) -> list[int]:
        """Return the CPUs that this node keeps to; empty: any."""
        raise NotImplementedError

    def _start(self) -> None:
        comm_bytes.install()
        scheduler = {
            "cls": QuietScheduler,
            "options": {
                "host": self.host,
                "port": 0,
                "protocol": "tcp://",
                "dashboard": False,
                # A fit that lost a node is no measurement: fail at once.
                "allowed_failures": 0,
            },
        }
        # A node that computes for minutes does not answer the scheduler. The end of its process is
        # noticed by `check`.
        with dask.config.set({"distributed.scheduler.worker-ttl": None}):
            running = SpecCluster(
                workers={}, scheduler=scheduler, silence_logs=logging.CRITICAL, name=self.kind
            )
        self._open.callback(running.close)
        for node in range(self.nodes):
            self._processes.append(self._launch(self._configure(running, node), node))
        self.workers = self._await_reports()
        self.client = Client(running, set_as_default=False)
        self._open.callback(self.client.close)

    def _configure(self, running: SpecCluster, node: int) -> Path:
        config = {
            "scheduler": running.scheduler_address,
            "name": f"node-{node}",
            "host": self.host,
            "cpus": self._cpus(node),
            "blas": self.blas,
            "scratch": str(self.scratch),
            "report": str(self._report(node)),
            "path": [entry for entry in sys.path if entry],
        }
        path = self.scratch / f"node-{node}.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        return path

    def _report(self, node: int) -> Path:
        return self.scratch / f"node-{node}.report"

    def _await_reports(self) -> list[NodeInfo]:
        limit = time.monotonic() + START_TIMEOUT_S
        found: list[NodeInfo] = []
        while len(found) < self.nodes:
            node = len(found)
            ended = self._processes[node].poll() is not None
            if self._report(node).exists():
                content = json.loads(self._report(node).read_text(encoding="utf-8"))
                if "error" in content:
                    raise error_named(content["error"], content["text"])
                content["cpus"] = tuple(content["cpus"])
                found.append(NodeInfo(**content))
            elif ended:
                raise NodeLostError(
                    f"{self._describe_end(node)}, before it was ready{self._log(node)}"
                    f"{_site_note()}"
                )
            elif time.monotonic() > limit:
                raise NodeLostError(
                    f"node {node} was not ready after {START_TIMEOUT_S:.0f} s{self._log(node)}"
                    f"{_site_note()}"
                )
            else:
                time.sleep(0.02)
        return found

    def close(self) -> None:
        """End every process and remove every scratch file; again is no error."""
        self._closed = True
        self._open.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __deepcopy__(self, _memo: dict[int, Any]) -> Cluster:
        """Return itself: scikit-learn's ``clone`` copies parameters, processes have no copy."""
        return self

    def __repr__(self) -> str:
        return f"<{self.kind} cluster: {self.nodes} nodes × {self.threads} threads>"

    def share(self, array: ArrayLike) -> ArrayRef:
        """Return ``array`` by file, for tasks to `ArrayRef.open`; a mapped file is not copied.

        Keep the reference while tasks use it: a file written for it is removed with it.
        """
        self.check()
        with self._phases("transfers"):
            return share_array(array, self.scratch)

    @contextlib.contextmanager
    def shared(
        self,
        *arrays: ArrayLike,
        nodes: Sequence[int] | None = None,
        columns: Sequence[tuple[int, int]] | None = None,
    ) -> Iterator[tuple[ArrayRef | SentArray, ...]]:
        """`share` the arrays while the context lasts; files written for them go when it ends.

        Parameters
        ----------
        nodes : that need the arrays; None for all.
        columns : of every node, the columns [start, stop) of the last array that it needs, whatever
            ``nodes`` says; empty for none. None: like the other arrays.
        """
        refs = tuple(self.share(array) for array in arrays)
        try:
            yield refs
        finally:
            for ref in refs:
                release(ref)

    def rows(self, shape: tuple[int, int], dtype: DTypeLike, folder: Path | None = None) -> RowFile:
        """Create a file, on scratch or in ``folder``, that nodes fill by rows; see `collect`."""
        self.check()
        with self._phases("transfers"):
            return RowFile.create(folder or self.scratch, shape, np.dtype(dtype))

    def collect(self, rows: RowFile) -> None:
        """Have in the file what the nodes have written; nothing is to do where they see it."""

    @contextlib.contextmanager
    def folder(self, prefix: str) -> Iterator[str]:
        """Yield a new folder on scratch for files that nodes exchange; see `spread`."""
        path = tempfile.mkdtemp(prefix=prefix, dir=self.scratch)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def spread(self, folder: str, source: int | None = None) -> None:
        """Have files of such a folder on all nodes; nothing is to do where they see it.

        source : the node that has written them; None for this process.
        """

    def run(self, function: Callable[..., Result], *arguments: Any) -> list[Result]:
        """Call ``function(*arguments)`` in the process of every node, outside of tasks.

        Returns
        -------
        The results in the order of the nodes. Workers that are not this cluster's are not asked.
        """
        addresses = [node.address for node in self.workers]
        answers = self.client.run(function, *arguments, workers=addresses)
        return [answers[address] for address in addresses]

    def map(
        self, function: Callable[..., Result], tasks: Sequence[tuple[Any, ...]]
    ) -> list[Result]:
        """Call ``function(*task)`` for every task, task i on node i mod c, and wait.

        Returns
        -------
        The results in the order of the tasks.

        Raises
        ------
        NodeLostError : a node's process ended.
        Exception : the one that ``function`` raised.
        """
        return self.gather(
            [self.submit(index % self.nodes, function, *task) for index, task in enumerate(tasks)]
        )

    def submit(self, node: int, function: Callable[..., Any], *arguments: Any) -> Future:
        """Start ``function(*arguments)`` on a node and return its future.

        The result stays on the node until `gather` asks for it. A future among the arguments
        stands for its result, which travels to the node if it is on another one.
        """
        self.check()
        where = [self.workers[node].address]
        log = self._log_of_fit
        if log is None:
            return self.client.submit(function, *arguments, pure=False, workers=where)
        needs = tuple(one.key for one in arguments if isinstance(one, Future))
        key = log.submit(getattr(function, "__name__", "task"), needs)
        return self.client.submit(
            run_task, log.fit, key, function, *arguments, key=key, pure=False, workers=where
        )

    def gather(self, futures: Sequence[Future]) -> list[Any]:
        """Wait for the futures and return their results; raises what `map` raises."""
        self.wait(futures)
        with self.watched(), self._phases("transfers"):
            results: list[Any] = self.client.gather(list(futures))
        return results

    def wait(self, futures: Sequence[Future]) -> None:
        """Wait for the futures and leave results on their nodes; raises what `map` raises."""
        with self.watched(), self.waiting(futures):
            try:
                self._wait(list(futures))
            finally:
                self.client.cancel([future for future in futures if not future.done()])

    def _wait(self, futures: list[Future]) -> None:
        """Wait until all are done or one has failed, and `check` the nodes meanwhile."""
        pending = set(futures)
        while pending:
            try:
                with self.client.as_current():
                    done, pending = wait(pending, timeout=0.5, return_when="FIRST_COMPLETED")
            except TimeoutError:
                self.check()
                continue
            for future in done:
                if future.status == "error":
                    future.result()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Raise `NodeLostError` where work inside fails because a node's process ended."""
        self.check()
        try:
            yield
        except KilledWorker as error:
            limit = time.monotonic() + _STOP_TIMEOUT_S
            while time.monotonic() < limit:  # the connection breaks before the process is reaped
                self.check()
                time.sleep(0.02)
            raise NodeLostError(
                f"{error.last_worker.name} lost its connection: start another cluster"
            ) from error
        self.check()

    def check(self) -> None:
        """Raise `NodeLostError` if a node's process has ended, or all by `close`."""
        if self._closed:
            raise NodeLostError(f"this {self.kind} cluster is closed: start another")
        for node, process in enumerate(self._processes):
            if process.poll() is not None:
                raise NodeLostError(f"{self._describe_end(node)}: the fit is lost{self._log(node)}")

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

    def phases_record(self, log: FitLog, fit_s: float) -> PhasesRecord:
        """Ask the nodes for their times and return the phases of a fit that has ended.

        fit_s : the fit's time by its caller's clock.
        """
        self.check()
        reports = []
        for node in self.workers:
            asked = log.phases.clock()
            found = self.client.run(report, log.fit, workers=[node.address])[node.address]
            reports.append((found, clock_offset(asked, log.phases.clock(), found.now)))
        return log.record(fit_s, reports)

    def bytes_moved(self) -> dict[str, int]:
        """Return the bytes that the processes of this cluster have sent each other.

        Dask's messages are counted: pickled arguments, results, and one heartbeat per node and
        second. Use the difference of two calls.

        Returns
        -------
        ``to_workers``, ``from_workers``, ``between_workers`` and their sum ``total``.
        """
        return comm_bytes.between(comm_bytes.sent(), self.run(comm_bytes.sent))

    def _describe_end(self, node: int) -> str:
        """Return the node's process and how it ended, as text."""
        process = self._processes[node]
        known = self.workers[node] if node < len(self.workers) else None
        cores = f", cores {', '.join(map(str, known.cpus))}" if known else ""
        status = process.returncode
        if status is None or status >= 0:
            how = f"ended with status {status}"
        else:
            how = f"was killed by {signal.Signals(-status).name}"
        if status == -signal.SIGKILL:
            how += " (usual when memory runs out: use fewer nodes, a smaller scale or float32)"
        return f"node {node} (pid {process.pid}{cores}) {how}"

    def _log(self, node: int) -> str:
        """Return the last lines that the node's process printed, to append to a message."""
        path = self.scratch / f"node-{node}.log"
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-8:]
        return "\n  " + "\n  ".join(lines) if lines else ""


def _site_note() -> str:
    """Return the site's settings of Dask, to append to a message; empty without any."""
    settings = describe_settings()
    return f"\n{settings}" if settings else ""


def _end(processes: list[subprocess.Popen[bytes]], scratch: Path) -> None:
    """End the processes and remove the folder."""
    for process in processes:
        if process.stdin is not None:
            process.stdin.close()  # which each node's process watches
    limit = time.monotonic() + _STOP_TIMEOUT_S
    for process in processes:
        try:
            process.wait(max(0.0, limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    shutil.rmtree(scratch, ignore_errors=True)
