"""Nodes that are workers of a Dask cluster which somebody else starts: a scheduler, jobs, SSH.

A subclass says how to reach the scheduler (`AdoptedCluster.connect`). Everything else is the same
for all: the workers are looked at, compared, pinned, proven, and watched by their heartbeats,
because their processes cannot be seen from here.
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
from functools import partial
from typing import Any

from distributed import Client
from distributed.comm import CommClosedError
from distributed.scheduler import KilledWorker

from bench_core.cluster import comm_bytes, delivery
from bench_core.cluster.adoption import (
    Orders,
    first_look,
    limit_threads,
    prepare,
    release,
    sees,
    warm_imports,
)
from bench_core.cluster.base import NodeInfo, NodeLostError
from bench_core.cluster.inspection import NodeFacts, differences, differences_from_here, look
from bench_core.cluster.links import link_ends
from bench_core.cluster.placing import place_on_hosts
from bench_core.cluster.presence import SCHEDULER_S, Presence
from bench_core.cluster.remote_arrays import RemoteArrays
from bench_core.cluster.settings import CommonSettings, NodeRequest
from bench_core.cluster.silence import HostAnswer, process_state
from bench_core.cluster.waiting import within
from bench_core.errors import InputError, counted, error_named, listed

CLOSE_S = 20.0
"""Seconds that a cluster may take to close; one whose host is cut off is left behind."""

_POLL_S = 0.1
_RELEASE_S = 5.0
_ASK_S = 5.0


class NodesDifferError(InputError):
    """Nodes of one cluster are not alike; the message names each that differs.

    Examples
    --------
    >>> error = NodesDifferError("node 1 (host b): processor is …, and … elsewhere")
    >>> error.exit_code
    2
    """


class AdoptedCluster(RemoteArrays):
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
    own_workers = True
    """True where scheduler and workers were started for this cluster, and end with it."""

    def __init__(self, settings: CommonSettings, request: NodeRequest) -> None:
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
        self._names: list[str] = []
        self._ends: dict[int, str] = {}
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
        self._open.callback(within, CLOSE_S, self.client.close)
        self._presence = Presence(self.client, self.kind, others=not self.own_workers)
        workers = self._await_workers()
        addresses = self.choose(workers)[: self.nodes]
        self._names = [str(workers[address]["name"]) for address in addresses]
        self.facts = self._ask(addresses)
        self._presence.watch(addresses, self.ask_host)
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
            found = self._presence.workers()
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
                self.client.run_on_scheduler(warm_imports)

    def _release(self) -> None:
        """Give what lives of the workers back; those that are gone need no release."""
        alive = [node for node in self.living if self._lost(node) is None]
        addresses = [self.workers[node].address for node in alive]

        def work() -> None:
            self.client.run(delivery.close_folder, workers=addresses)
            self.client.run(release, workers=addresses)

        if addresses and self.client.status == "running":
            with contextlib.suppress(Exception):
                within(_RELEASE_S, work)

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
            self.client.direct_to_workers = True  # results need not go through the scheduler
            self._open_folders()

    def check(self) -> None:
        """Raise `NodeLostError` if a node or the scheduler is gone, or after `close`.

        See `Dispatcher.check`; the scheduler is asked twice a second.
        """
        if not self._closed:
            self._presence.look()
        super().check()

    def _lost(self, node: int) -> str | None:
        if node in self._ends:
            return self._ends[node]
        if not self._presence.is_listed(node):
            self._ends[node] = f"{self.describe_node(node)} {self.ending(node)}"
            return self._ends[node]
        how = self._presence.lost(node, patient=self.recovery is not None)
        return None if how is None else f"{self.describe_node(node)} {how}"

    def ending(self, node: int) -> str:
        """Return how a node ended that the scheduler has no more, as far as the kind knows."""
        return "is gone"

    def ask_host(self, node: int) -> HostAnswer:
        """Return the state of a node's process past its worker: by this machine, or a neighbour.

        Called in a thread of its own where a node is silent. A kind that reaches hosts in another
        way than through Dask asks there, too.
        """
        facts = self.facts[node]
        if facts.location == self.here.location:
            return process_state(facts.pid)
        for other in self.living:
            if self.facts[other].location == facts.location and self._presence.is_heard(other):
                address = self.workers[other].address
                ask = partial(self.client.run, process_state, facts.pid, workers=[address])
                found = within(_ASK_S, ask)
                return "unknown" if found is None else found[address]
        return "unknown"

    def _abandon(self, node: int) -> None:
        """Have the scheduler close the worker as soon as it hears of it, if it is ours."""
        if self.own_workers:
            with contextlib.suppress(Exception):  # `check` tells of a scheduler that is gone
                self.client.sync(
                    self.client.scheduler.unregister,
                    address=self.workers[node].address,
                    stimulus_id="ridgebench-lost-node",
                    callback_timeout=SCHEDULER_S,
                )

    def _log(self, node: int) -> str:
        return ""  # what it has printed is where it ran

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Raise `NodeLostError` where work inside fails because a node or the scheduler ended."""
        with super().watched():
            try:
                yield
            except (CancelledError, AsyncCancelledError, KilledWorker, CommClosedError):
                self._presence.forget()
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
        two of them ("host 0 to host 1"); see `link_seconds`.
        """
        own, nodes = comm_bytes.sent(), self.run(comm_bytes.sent)
        scheduler = None
        if self._counts_scheduler:
            scheduler = self.client.run_on_scheduler(comm_bytes.sent)
        moved = comm_bytes.between(own, nodes, scheduler)
        ends = link_ends(self.here, self.facts, self.host_names(), self.living)
        if len(set(ends)) > 1:
            moved |= comm_bytes.links([own, *nodes], ends)
        return moved

    def link_seconds(self) -> dict[str, float]:
        """Return for every link between hosts the seconds in which bytes were on their way there.

        Those of connections at the same time add up. The end of a link that this process is on is
        "here" where no node is there. Where nodes of one host have network interfaces of their own,
        "(network 0)", … tells them apart.
        """
        ends = link_ends(self.here, self.facts, self.host_names(), self.living)
        if len(set(ends)) == 1:
            return {}
        return comm_bytes.links([comm_bytes.busy(), *self.run(comm_bytes.busy)], ends)


def _natural(text: str) -> tuple[Any, ...]:
    """Return a key that sorts node-2 before node-10.

    >>> sorted(["node-10", "node-2"], key=_natural)
    ['node-2', 'node-10']
    """
    return tuple(
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)
    )


def first_line(error: BaseException) -> str:
    """Return the class's name and the first line of an error."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else 'no message'}"
