"""Bytes that Dask sends from one process to another.

Dask's ``transfer_outgoing_bytes_total`` counts task results between workers only, not the
arguments pickled into tasks, where a copy of X would go unnoticed. The bytes of every message
that Dask's TCP transport writes are counted here instead, per connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distributed.comm.registry import backends
from distributed.comm.tcp import TCP, TCPBackend, TCPConnector, TCPListener

Connection = tuple[str, str]

# Bytes written by this process, by connection (own address, peer's address).
_SENT: dict[Connection, int] = {}


class _CountingTCP(TCP):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connection = (self.local_address, self.peer_address)
        _SENT.setdefault(self._connection, 0)

    async def write(
        self, msg: Any, serializers: list[str] | None = None, on_error: str = "message"
    ) -> int:
        written: int = await super().write(msg, serializers=serializers, on_error=on_error)
        _SENT[self._connection] += written
        return written


class _Connector(TCPConnector):
    comm_class = _CountingTCP


class _Listener(TCPListener):
    comm_class = _CountingTCP


class _Backend(TCPBackend):
    _connector_class = _Connector
    _listener_class = _Listener


def install() -> None:
    """Count on every connection that this process opens or accepts from now on."""
    backends["tcp"] = _Backend()


def sent() -> dict[Connection, int]:
    """Return the bytes that this process has written, by connection."""
    return dict(_SENT)


def between(
    driver: dict[Connection, int], workers: Sequence[dict[Connection, int]]
) -> dict[str, int]:
    """Return the bytes sent between these processes.

    A connection counts when its two ends lie in two of them: the driver's Dask client and
    scheduler are one process, and messages between them do not count.

    Returns
    -------
    ``to_workers`` (tasks and data from the driver), ``from_workers`` (results and heartbeats),
    ``between_workers`` and their sum, ``total``.
    """
    processes = [driver, *workers]
    owner = {pair: index for index, process in enumerate(processes) for pair in process}
    moved = {"to_workers": 0, "from_workers": 0, "between_workers": 0}
    for index, process in enumerate(processes):
        for (own, peer), count in process.items():
            other = owner.get((peer, own), index)
            if other == index:
                continue
            way = (
                "to_workers" if index == 0 else "from_workers" if other == 0 else "between_workers"
            )
            moved[way] += count
    return {**moved, "total": sum(moved.values())}
