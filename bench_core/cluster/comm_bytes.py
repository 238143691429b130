"""Bytes that Dask sends from one process to another.

Dask's ``transfer_outgoing_bytes_total`` counts task results between workers only, not the
arguments pickled into tasks, where a copy of X would go unnoticed. The bytes of every message
that Dask's TCP transport writes, encrypted or not, are counted here instead, per connection.

The kernel counts for every connection the time in which bytes that were written had not all arrived
(``tcpi_busy_time`` in Linux's ``tcp.h``). That is the time that a link took.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from distributed.comm.tcp import TCP

Connection = tuple[str, str]
Amount = TypeVar("Amount", int, float)

# Bytes written by this process, by connection (own address, peer's address).
_SENT: dict[Connection, int] = {}

# Seconds in which they were on their way, as far as they are known, and what knows them now.
_BUSY: dict[Connection, float] = {}
_OPEN: WeakValueDictionary[Connection, Any] = WeakValueDictionary()

_PLAIN_WRITE = TCP.write
_PLAIN_CLOSE = TCP.close

# Of struct tcp_info: where tcpi_busy_time stands, in microseconds.
_BUSY_TIME = slice(168, 176)


async def _counting_write(
    self: Any, msg: Any, serializers: list[str] | None = None, on_error: str = "message"
) -> int:
    connection = (self.local_address, self.peer_address)
    _SENT.setdefault(connection, 0)
    _OPEN[connection] = self
    written: int = await _PLAIN_WRITE(self, msg, serializers=serializers, on_error=on_error)
    _SENT[connection] += written
    return written


def _noting_close(self: Any) -> Any:
    _note_busy(self)
    return _PLAIN_CLOSE(self)


def _note_busy(comm: Any) -> None:
    with suppress(OSError, AttributeError):  # the stream of a comm that is closed is None
        info = comm.stream.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BUSY_TIME.stop)
        if len(info) == _BUSY_TIME.stop:
            connection = (comm.local_address, comm.peer_address)
            _BUSY[connection] = int.from_bytes(info[_BUSY_TIME], sys.byteorder) / 1e6


def install() -> None:
    """Count what this process writes from now on, on connections that are open already too.

    Workers of a scheduler that runs already have long connected when they are asked to count: a
    transport of our own, as Dask lets one register, would not see their messages.
    """
    TCP.write = _counting_write
    TCP.close = _noting_close


def sent() -> dict[Connection, int]:
    """Return the bytes that this process has written, by connection."""
    return dict(_SENT)


def busy() -> dict[Connection, float]:
    """Return the seconds in which bytes of this process were on their way, by connection.

    Empty where the system does not count them, before Linux 4.10.
    """
    for comm in list(_OPEN.values()):
        _note_busy(comm)
    return dict(_BUSY)


def between(
    driver: dict[Connection, int],
    workers: Sequence[dict[Connection, int]],
    scheduler: dict[Connection, int] | None = None,
) -> dict[str, int]:
    """Return the bytes sent between these processes.

    A connection counts when its two ends lie in two of them.

    Parameters
    ----------
    scheduler : None where the driver's Dask client and scheduler are one process; messages between
        them then do not count.

    Returns
    -------
    ``to_workers`` (tasks and data from driver and scheduler), ``from_workers`` (results and
    heartbeats), ``between_workers`` and their sum, ``total``. With a scheduler of its own,
    ``driver_and_scheduler`` is part of it: what is sent through the scheduler travels twice.
    """
    front = [driver] if scheduler is None else [driver, scheduler]
    moved = {"to_workers": 0, "from_workers": 0, "between_workers": 0}
    if scheduler is not None:
        moved["driver_and_scheduler"] = 0
    for (index, other), count in _pairs([*front, *workers]).items():
        if index < len(front) and other < len(front):
            way = "driver_and_scheduler"
        elif index < len(front):
            way = "to_workers"
        else:
            way = "from_workers" if other < len(front) else "between_workers"
        moved[way] += count
    return {**moved, "total": sum(moved.values())}


def links(
    processes: Sequence[Mapping[Connection, Amount]], hosts: Sequence[str]
) -> dict[str, Amount]:
    """Return the bytes, or seconds, from every host to every other, as "host 0 to host 1" → bytes.

    hosts : of every process.

    >>> there, back = ("a:1", "b:2"), ("b:2", "a:1")
    >>> links([{there: 5}, {back: 7}], ["host 0", "host 1"])
    {'host 0 to host 1': 5, 'host 1 to host 0': 7}
    """
    names = sorted(set(hosts))
    found: dict[str, Any] = {
        f"{one} to {other}": 0 for one in names for other in names if one != other
    }
    for (index, other), count in _pairs(processes).items():
        if hosts[index] != hosts[other]:
            found[f"{hosts[index]} to {hosts[other]}"] += count
    return found


def _pairs(
    processes: Sequence[Mapping[Connection, Amount]],
) -> dict[tuple[int, int], Amount]:
    """Return the bytes, or seconds, from process to process, both given by their number."""
    owner = {pair: index for index, process in enumerate(processes) for pair in process}
    found: dict[tuple[int, int], Any] = {}
    for index, process in enumerate(processes):
        for (own, peer), count in process.items():
            other = owner.get((peer, own), index)
            if other != index:
                found[index, other] = found.get((index, other), 0) + count
    return found
