"""Cluster interface of the strategies: nodes, shared arrays, tasks on nodes, bytes moved."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import dask
import numpy as np
from distributed import Client, Scheduler, SpecCluster
from numpy.typing import ArrayLike, DTypeLike

from bench_core.cluster import comm_bytes
from bench_core.cluster.arrays import ArrayRef, RowFile, release, share_array
from bench_core.cluster.delivery import SentArray
from bench_core.cluster.dispatch import Dispatcher, NodeInfo
from bench_core.cluster.health import STOPPED_S, Health
from bench_core.cluster.losses import NodeLostError
from bench_core.cluster.site_settings import describe_settings, explain
from bench_core.errors import RidgebenchError, error_named
from bench_core.leftovers import make_owned_folder

# Imports over a slow network file system are what takes long.
START_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 3.0


class QuietScheduler(Scheduler):
    """Dask's scheduler without a dashboard."""

    def start_http_server(self, *_args: Any, **_kwargs: Any) -> None:
        """Start no dashboard."""


class Cluster(Dispatcher):
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
    recovery : how work goes on after the loss of a node; None ends it, as in a measurement.
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
        super().__init__(nodes)
        self.threads = threads
        self.host = host
        self.blas = blas
        self.scratch = make_owned_folder(Path(scratch or tempfile.gettempdir()), "ridgebench")
        self._processes: list[subprocess.Popen[bytes]] = []
        self._health: list[Health] = []
        self._scheduler: Scheduler | None = None
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
            self._health.append(Health(self._processes[node]))
        self.workers = self._await_reports()
        self._scheduler = running.scheduler
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
                    f"{self._describe(node)} {self._health[node].ending()}, before it was ready"
                    f"{self._log(node)}{_site_note()}"
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
        self.settle()
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
        """Create a file, on scratch or in ``folder``, that nodes fill by rows; see `collect`.

        With a ledger on disk it is the ledger's, and has the rows of finished batches.
        """
        self.settle()
        with self._phases("transfers"):
            if self.recovery is not None:
                kept = self.recovery.ledger.rows(shape, np.dtype(dtype))
                if kept is not None:
                    return kept
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

    def link_seconds(self) -> dict[str, float]:
        """Return the seconds that links between hosts have taken so far; one host has none."""
        return {}

    def _lost(self, node: int) -> str | None:
        known = self._scheduler is None or self.workers[node].address in self._scheduler.workers
        patience = 0.0 if self.recovery is None else STOPPED_S
        how = self._health[node].lost(patience=patience, present=known)
        return None if how is None else f"{self._describe(node)} {how}"

    def _abandon(self, node: int) -> None:
        if self._processes[node].poll() is None:  # stopped, or without a connection
            self._processes[node].kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._processes[node].wait(_STOP_TIMEOUT_S)

    def bytes_moved(self) -> dict[str, int]:
        """Return the bytes that the processes of this cluster have sent each other.

        Dask's messages are counted: pickled arguments, results, and one heartbeat per node and
        second. Use the difference of two calls.

        Returns
        -------
        ``to_workers``, ``from_workers``, ``between_workers`` and their sum ``total``.
        """
        return comm_bytes.between(comm_bytes.sent(), self.run(comm_bytes.sent))

    def _describe(self, node: int) -> str:
        """Return the node's number, process, machine and cores, as text."""
        known = self.workers[node] if node < len(self.workers) else None
        cores = f", cores {', '.join(map(str, known.cpus))}" if known and known.cpus else ""
        return f"node {node} (pid {self._processes[node].pid} on this machine{cores})"

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
