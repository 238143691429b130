"""Arrays by messages: to every node once, and to each its own targets only.

Blocks travel straight from this process to the node, or from one node to another, not through the
scheduler.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench_core.checks import row_blocks
from bench_core.cluster import delivery
from bench_core.cluster.arrays import RowFile
from bench_core.cluster.delivery import SentArray
from bench_core.cluster.waiting import guarded

if TYPE_CHECKING:
    from bench_core.cluster.base import Cluster

#: Bytes of a message, about.
BLOCK_BYTES = 32 * 2**20

Columns = Sequence[tuple[int, int]]
"""Of every node, the columns [start, stop) of an array that it needs."""


class Sending:
    """An array on its way to nodes, and to those that stand in for nodes that are lost.

    Parameters
    ----------
    values : two-dimensional.
    nodes : that need it. columns : of every node of the cluster; None for all columns.

    Attributes
    ----------
    ref : what tasks open.
    """

    def __init__(
        self, cluster: Cluster, values: NDArray[Any], nodes: Sequence[int], columns: Columns | None
    ) -> None:
        t, s = values.shape
        self.ref = SentArray(f"array-{secrets.token_hex(8)}", (t, s), values.dtype.str)
        self._cluster, self._values = cluster, values
        parts = {node: (0, s) if columns is None else columns[node] for node in nodes}
        self._parts = {node: part for node, part in parts.items() if part[1] > part[0]}
        self._delivered: set[tuple[int, tuple[int, int]]] = set()

    def deliver(self) -> None:
        """Send every part to the node that works with it, unless that has it; see `stand_in`."""
        wanted = {(self._cluster.stand_in(node), part) for node, part in self._parts.items()}
        missing = sorted(wanted - self._delivered)
        if not missing:
            return
        values, ref = self._values, self.ref
        widest = max(stop - start for _, (start, stop) in missing)
        for rows in row_blocks(len(values), widest * values.itemsize, BLOCK_BYTES):
            tasks = []
            for node, (start, stop) in missing:
                there = put(self._cluster, node, np.ascontiguousarray(values[rows, start:stop]))
                shape = (len(values), stop - start)
                place = (start, rows.start)
                tasks.append(
                    self._cluster.submit(
                        node, delivery.receive, ref.name, shape, ref.dtype, *place, there
                    )
                )
            self._cluster.wait(tasks)
        self._delivered |= set(missing)

    def forget(self) -> None:
        """Remove the array from the nodes that live."""
        with suppress(Exception):  # what ended the fit is told, not that nodes are gone
            self._cluster.run(delivery.forget, self.ref.name)


def put(cluster: Cluster, node: int, block: Any) -> Any:
    """Send a block to a node, and return its future there."""
    address = cluster.workers[node].address
    with cluster.watched():
        return guarded(
            lambda: cluster.client.scatter(block, workers=[address], direct=True, hash=False),
            cluster.check,
        )


def collect(cluster: Cluster, rows: RowFile, node: int) -> None:
    """Fetch the rows that a node keeps for the file ``rows``, and write them into it."""
    file = RowFile(rows.path, rows.offset, rows.shape, rows.dtype)
    row_bytes = rows.shape[1] * np.dtype(rows.dtype).itemsize
    (parts,) = cluster.gather([cluster.submit(node, delivery.kept_rows, rows.path)])
    for part, (first, count) in enumerate(parts):
        for block in row_blocks(count, row_bytes, BLOCK_BYTES):
            task = cluster.submit(
                node, delivery.read_rows, rows.path, part, block.start, block.stop
            )
            cluster.wait([task])
            file.write(first + block.start, _fetch(cluster, task))
    if parts:
        cluster.wait([cluster.submit(node, delivery.drop_rows, rows.path)])


def _fetch(cluster: Cluster, task: Any) -> NDArray[Any]:
    """Fetch an array straight from its node, not through the scheduler."""
    with cluster.watched():
        (found,) = guarded(lambda: cluster.client.gather([task], direct=True), cluster.check)
    array: NDArray[Any] = found
    return array


def spread(cluster: Cluster, folder: str, source: int | None, known: set[str]) -> None:
    """Copy the files of a folder to all nodes: those of this process, or those of one node.

    known : paths that have been copied; the new ones are added.
    """
    if source is None:
        found = delivery.files_in(folder)
    else:
        source = cluster.stand_in(source)
        (found,) = cluster.gather([cluster.submit(source, delivery.files_in, folder)])
    others = [node for node in cluster.living if node != source]
    for name, size in sorted(found.items()):
        path = str(Path(folder) / name)
        if path in known:
            continue
        known.add(path)
        for offset in range(0, size, BLOCK_BYTES):
            count = min(BLOCK_BYTES, size - offset)
            tasks = []
            if source is not None:
                piece = cluster.submit(source, delivery.read_piece, path, offset, count)
            for node in others:
                if source is None:
                    piece = put(cluster, node, delivery.read_piece(path, offset, count))
                tasks.append(cluster.submit(node, delivery.write_piece, path, offset, piece))
            cluster.wait(tasks)
