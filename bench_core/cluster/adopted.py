"""Nodes that are workers of a Dask cluster which somebody else starts: a scheduler, jobs, SSH.

A subclass says how to reach the scheduler (`AdoptedCluster.connect`). Everything else is the same
for all: the workers are looked at, compared, pinned, proven, and watched by their place in the
scheduler's list, because their processes cannot be seen from here.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import time
from abc import abstractmethod
from asyncio import CancelledError as AsyncCancelledError
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Client, Scheduler
from distributed.comm import CommClosedError
from distributed.scheduler import KilledWorker
from numpy.typing import ArrayLike, DTypeLike

from bench_core.cluster import comm_bytes, delivery, messages
from bench_core.cluster.adoption import Orders, first_look, limit_threads, prepare, release, sees
from bench_core.cluster.arrays import ArrayRef, RowFile, share_array
from bench_core.cluster.base import Cluster, NodeInfo, NodeLostError
from bench_core.cluster.delivery import SentArray, SentRows
from bench_core.cluster.inspection import NodeFacts, differences, differences_from_here, look
from bench_core.cluster.placing import place_on_hosts
from bench_core.cluster.settings import CommonSettings, NodeRequest
from bench_core.errors import InputError, counted, error_named, listed

_CHECK_EVERY_S = 0.5
_POLL_S = 0.1


class NodesDifferError(InputError):
    """Nodes of one cluster are not alike; the message names each that differs.

    Examples
    --------
    >>> error = NodesDifferError("node 1 (host b): processor is …, and … elsewhere")
    >>> error.exit_code
    2
    """


class AdoptedCluster(Cluster):
    """Nodes on hosts that this process reaches through Dask alone.

    Parameters
    ----------
    settings : the kind's, of which `CommonSettings` are used here.
    request : the nodes; its kernels are for kinds that start the workers themselves, and with its
        ``allow_mixed`` `differences` are kept instead of raised.

    Attributes
    ----------
    facts : of every node, in order, as it was before it was pinned.
    differences : how nodes differ from each other, and their versions from those here.
    here : facts of this process.
    seen : for every node, whether it sees the cluster's folder. sees_scratch : whether all do.

    Raises
    ------
    NodesDifferError : nodes differ in processor, BLAS, kernels or versions.
    ResourceError : a host does not hold its nodes.
    InputError : workers that no node can be made of.
    NodeLostError, BlasMismatchError : as `Cluster`.
    """

    kind = "adopted"
    elsewhere = True

    def __init__(
        self,
        settings: CommonSettings,
        request: NodeRequest,
    ) -> None:
        for name, value in (("nodes", request.nodes), ("threads", request.threads)):
            if value < 1:
                raise InputError(f"{name} = {value}: a cluster needs at least 1")
        self.settings = settings
        self.kernels = request.kernels
        self.hardware_threads = request.hardware_threads
        self.allow_mixed = request.allow_mixed
        self.facts: list[NodeFacts] = []
        self.differences: list[str] = []
        self.sees_scratch = False
        self.here = look()
        self.seen: list[bool] = []
        self._checked_at = 0.0
        self._known: dict[str, Any] | None = None
        self._folders = False
        self._spread: set[str] = set()
        self._counts_scheduler = False
        super().__init__(
            request.nodes,
            request.threads,
            host="",
            blas=request.blas,
            scratch=settings.scratch or request.scratch,
        )

    @abstractmethod
    def connect(self) -> Client:
        """Return a client of the scheduler; what has to be ended is given to ``self._open``."""

    def separate_scheduler(self) -> bool:
        """Return True where the scheduler is no part of this process."""
        return True

    def choose(self, workers: dict[str, dict[str, Any]]) -> list[str]:
        """Return the addresses of the workers to use, in the order of the nodes."""
        return sorted(workers, key=lambda address: _natural(str(workers[address]["name"])))

    def trouble(self) -> str | None:
        """Return why workers that are missing will not come; None while they may."""
        return None

    def missing(self) -> str:
        """Return what is known of workers that have not come in time; empty if nothing is."""
        return ""

    def _start(self) -> None:
        comm_bytes.install()
        self.client = self.connect()
        self._open.callback(self.client.close)
        workers = self._await_workers()
        addresses = self.choose(workers)[: self.nodes]
        self.facts = self._ask(addresses)
        self.workers = [
            NodeInfo(address, each.pid, (), each.blas, host=each.host)
            for address, each in zip(addresses, self.facts, strict=True)
        ]
        self._compare()
        self._prepare()
        self._open.callback(self._release)
        self._prove_scratch()

    def _await_workers(self) -> dict[str, dict[str, Any]]:
        limit = time.monotonic() + self.settings.start_timeout
        while True:
            found = self._known_workers()
            if len(found) >= self.nodes:
                break
            trouble = self.trouble()
            if trouble is not None or time.monotonic() > limit:
                late = f"not all were there after {self.settings.start_timeout:g} s"
                late += f" ({known})" if (known := self.missing()) else ""
                raise NodeLostError(
                    f"the {self.kind} cluster has {counted(len(found), 'worker')}, "
                    f"{self.nodes} are needed: {trouble or late}"
                )
            time.sleep(_POLL_S)
        crowded = [name for name, each in found.items() if each["nthreads"] != 1]
        if crowded:
            raise InputError(
                f"worker {crowded[0]} runs {found[crowded[0]]['nthreads']} tasks at once, which "
                "would share its cores: start workers with --nthreads 1"
            )
        return found

    def _known_workers(self) -> dict[str, dict[str, Any]]:
        """Return the scheduler's workers by address."""
        identity = self.client.sync(self.client.scheduler.identity, **_all_workers())
        return dict(identity["workers"])

    def _ask(self, addresses: Sequence[str]) -> list[NodeFacts]:
        answers = self.client.run(first_look, workers=list(addresses), on_error="return")
        for address in addresses:
            if isinstance(answers[address], BaseException):
                error = answers[address]
                raise InputError(
                    f"the worker {address} cannot run ridgebench ({type(error).__name__}: "
                    f"{error}): install the same ridgebench there"
                ) from error
        return [answers[address] for address in addresses]

    def _compare(self) -> None:
        names = [self.describe_node(node) for node in range(self.nodes)]
        found = differences(self.facts, names) + differences_from_here(self.facts, names)
        self.differences = list(dict.fromkeys(found))
        if self.differences and not self.allow_mixed:
            raise NodesDifferError(
                str(listed(self.differences, "nodes differ", "make them alike, or --allow-mixed"))
            )

    def _prepare(self) -> None:
        placed = place_on_hosts(self.facts, self.threads, hardware_threads=self.hardware_threads)
        orders = {
            node.address: Orders(tuple(cpus), self.threads, self.blas)
            for node, cpus in zip(self.workers, placed, strict=True)
        }
        for node, answer in enumerate(self.run(prepare, orders)):
            if "error" in answer:
                text = f"{self.describe_node(node)}: {answer['text']}"
                raise error_named(answer["error"], text)
            own = self.workers[node]
            self.workers[node] = replace(own, cpus=answer["cpus"], blas=answer["blas"])
        self.map(limit_threads, [(self.threads,)] * self.nodes)
        if self.separate_scheduler():
            with contextlib.suppress(Exception):  # a scheduler without ridgebench is not counted
                self.client.run_on_scheduler(comm_bytes.install)
                self._counts_scheduler = True

    def _release(self) -> None:
        with contextlib.suppress(Exception):  # workers that are gone need no release
            addresses = [node.address for node in self.workers]
            self.client.run(delivery.close_folder, workers=addresses)
            self.client.run(release, workers=addresses)

    def _prove_scratch(self) -> None:
        """Find out whether nodes see the cluster's folder, and whether it sees what they write."""
        text = secrets.token_hex(16)
        token = self.scratch / "token"
        token.write_text(text, encoding="ascii")
        seen = self.run(sees, str(token), text)
        self.seen = seen
        answers = len(list(self.scratch.glob("token.seen-*")))
        self.sees_scratch = all(seen) and answers == self.nodes
        if not self.sees_scratch:
            self.data = "messages"
            self._open_folders()

    def share(self, array: ArrayLike) -> ArrayRef:
        """Return ``array`` by file; one that nodes do not see where it is, is copied to scratch."""
        ref = super().share(array)
        path = Path(ref.path)
        if path.parent == self.scratch or self._visible(path):
            return ref
        return share_array(np.array(array), self.scratch)

    def _visible(self, path: Path) -> bool:
        try:
            status = path.stat()
        except OSError:
            return False
        seen = self.run(delivery.matches, str(path), status.st_size, status.st_mtime_ns)
        return all(seen)

    @contextlib.contextmanager
    def shared(
        self,
        *arrays: ArrayLike,
        nodes: Sequence[int] | None = None,
        columns: Sequence[tuple[int, int]] | None = None,
    ) -> Iterator[tuple[ArrayRef | SentArray, ...]]:
        """Share arrays by path, or send them; see `Cluster.shared`."""
        with contextlib.ExitStack() as stack:
            if self.data == "path":
                yield stack.enter_context(super().shared(*arrays))
                return
            needing = range(self.nodes) if nodes is None else nodes
            found = []
            for number, array in enumerate(arrays):
                own = columns if number == len(arrays) - 1 else None
                used = needing if own is None else range(self.nodes)
                found.append(stack.enter_context(messages.sent(self, array, used, own)))
            yield tuple(found)

    def rows(self, shape: tuple[int, int], dtype: DTypeLike, folder: Path | None = None) -> RowFile:
        """Create a file that nodes fill by rows, or whose rows they keep; see `Cluster.rows`."""
        file = super().rows(shape, dtype, folder)
        path = Path(file.path)
        if self.data == "path" and (path.parent == self.scratch or self._visible(path)):
            return file
        if self.recovery is not None:  # rows that only a node has would go with it
            raise InputError(
                f"nodes of the {self.kind} cluster do not see {path.parent}, where finished "
                "batches are kept: choose a result folder that they see"
            )
        if not self._folders:  # the result's folder is this machine's own, scratch is not
            self._open_folders()
        return SentRows(file.path, file.offset, file.shape, file.dtype)

    def collect(self, rows: RowFile) -> None:
        """Fetch the rows that nodes keep, where they do."""
        if isinstance(rows, SentRows):
            messages.collect(self, rows)

    @contextlib.contextmanager
    def folder(self, prefix: str) -> Iterator[str]:
        """Yield a new folder for files that nodes exchange; see `Cluster.folder`."""
        self._spread = set()
        with super().folder(prefix) as path:
            yield path

    def spread(self, folder: str, source: int | None = None) -> None:
        """Copy files to all nodes that do not see them."""
        if self.data == "messages":
            messages.spread(self, folder, source, self._spread)

    def _open_folders(self) -> None:
        stands_for = str(self.scratch) if self.data == "messages" else None
        self.run(delivery.open_folder, stands_for)
        self._folders = True

    def ends_with_a_node(self, folder: Path | None) -> str | None:
        """Return why work cannot go on after the loss of a node: nodes keep what they make."""
        if self.data == "messages":
            return f"nodes of the {self.kind} cluster do not see {self.scratch.parent}"
        if folder is not None and not self._visible(folder):
            return f"nodes of the {self.kind} cluster do not see {folder}"
        return None

    def check(self) -> None:
        """Raise `NodeLostError` if a node or the scheduler is gone, or after `close`.

        See `Dispatcher.check`; the scheduler is asked twice a second.
        """
        if not self._closed and time.monotonic() - self._checked_at >= _CHECK_EVERY_S:
            self._ask_scheduler()
        super().check()

    def _ask_scheduler(self) -> None:
        try:
            self._known = self._known_workers()
        except (OSError, CommClosedError, RuntimeError) as error:
            raise NodeLostError(
                f"the scheduler of the {self.kind} cluster does not answer ({error}): the fit is "
                "lost"
            ) from error
        self._checked_at = time.monotonic()

    def _lost(self, node: int) -> str | None:
        if self._known is None or self.workers[node].address in self._known:
            return None
        return f"{self.describe_node(node)} is gone"

    def _abandon(self, node: int) -> None:
        """Do nothing: its worker has ended, or ends as it has lost its scheduler."""

    def _log(self, node: int) -> str:
        return ""  # what it has printed is where it ran

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Raise `NodeLostError` where work inside fails because a node or the scheduler ended."""
        with super().watched():
            try:
                yield
            except (CancelledError, AsyncCancelledError, KilledWorker, CommClosedError):
                self._checked_at = 0.0  # what is known of the nodes is too old now
                raise

    def describe_node(self, node: int) -> str:
        """Return the node's number, host and process as text."""
        each = self.workers[node]
        return f"node {node} (host {each.host}, pid {each.pid}, {each.address})"

    def host_names(self) -> list[str]:
        """Return for every node what records call its host: "host 0", "host 1", …"""
        machines = list(dict.fromkeys(each.machine for each in self.facts))
        return [f"host {machines.index(each.machine)}" for each in self.facts]

    def bytes_moved(self) -> dict[str, int]:
        """Return the bytes that the processes of this cluster have sent each other.

        With several hosts, besides what `Cluster.bytes_moved` says, the bytes of every link between
        two of them ("host 0 to host 1"), this process's being "here" where it is on none of them.
        """
        own, nodes = comm_bytes.sent(), self.run(comm_bytes.sent)
        scheduler = None
        if self._counts_scheduler:
            scheduler = self.client.run_on_scheduler(comm_bytes.sent)
        moved = comm_bytes.between(own, nodes, scheduler)
        names = self.host_names()
        home = next(
            (
                name
                for each, name in zip(self.facts, names, strict=True)
                if each.machine == self.here.machine
            ),
            "here",
        )
        if len({home, *names}) > 1:
            moved |= comm_bytes.links([own, *nodes], [home, *names])
        return moved


def _natural(text: str) -> tuple[Any, ...]:
    """Return a key that sorts node-2 before node-10.

    >>> sorted(["node-10", "node-2"], key=_natural)
    ['node-2', 'node-10']
    """
    return tuple(
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)
    )


def _all_workers() -> dict[str, int]:
    """Return the argument that has every worker in a scheduler's answer: newer ones show five."""
    return {"n_workers": -1} if "n_workers" in signature(Scheduler.identity).parameters else {}


def first_line(error: BaseException) -> str:
    """Return the class's name and the first line of an error."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else 'no message'}"
