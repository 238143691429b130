"""Arrays by messages: to every node once, and to each its own targets only.

Blocks travel straight from this process to the node, or from one node to another, not through the
scheduler.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from bench_core.checks import row_blocks
from bench_core.cluster import delivery
from bench_core.cluster.arrays import RowFile
from bench_core.cluster.delivery import SentArray

if TYPE_CHECKING:
    from bench_core.cluster.base import Cluster

#: Bytes of a message, about.
BLOCK_BYTES = 32 * 2**20

Columns = Sequence[tuple[int, int]]
"""Of every node, the columns [start, stop) of an array that it needs."""


@contextmanager
def sent(
    cluster: Cluster, array: ArrayLike, nodes: Sequence[int], columns: Columns | None
) -> Iterator[SentArray]:
    """Send a two-dimensional array to nodes; it is removed there when the context ends.

    Parameters
    ----------
    nodes : that need it. columns : of every node of the cluster; None for all columns.
    """
    values = np.asanyarray(array)
    t, s = values.shape
    ref = SentArray(f"array-{secrets.token_hex(8)}", (t, s), values.dtype.str)
    parts = {node: (0, s) if columns is None else columns[node] for node in nodes}
    parts = {node: (start, stop) for node, (start, stop) in parts.items() if stop > start}
    try:
        widest = max((stop - start for start, stop in parts.values()), default=1)
        for rows in row_blocks(t, widest * values.itemsize, BLOCK_BYTES):
            tasks = []
            for node, (start, stop) in parts.items():
                block = np.ascontiguousarray(values[rows, start:stop])
                there = put(cluster, node, block)
                shape = (t, stop - start)
                tasks.append(
                    cluster.submit(
                        node,
                        delivery.receive,
                        ref.name,
                        shape,
                        ref.dtype,
                        start,
                        rows.start,
                        there,
                    )
                )
            cluster.wait(tasks)
        yield ref
    finally:
        with suppress(Exception):  # what ended the fit is told, not that nodes are gone
            cluster.run(delivery.forget, ref.name)


def put(cluster: Cluster, node: int, block: Any) -> Any:
    """Send a block to a node, and return its future there."""
    address = cluster.workers[node].address
    return cluster.client.scatter(block, workers=[address], direct=True, hash=False)


def collect(cluster: Cluster, rows: RowFile) -> None:
    """Fetch the rows that nodes keep for the file ``rows``, and write them into it."""
    file = RowFile(rows.path, rows.offset, rows.shape, rows.dtype)
    row_bytes = rows.shape[1] * np.dtype(rows.dtype).itemsize
    for node, parts in enumerate(cluster.run(delivery.kept_rows, rows.path)):
        for part, (first, count) in enumerate(parts):
            for block in row_blocks(count, row_bytes, BLOCK_BYTES):
                task = cluster.submit(
                    node, delivery.read_rows, rows.path, part, block.start, block.stop
                )
                cluster.wait([task])
                (found,) = cluster.client.gather([task], direct=True)
                file.write(first + block.start, found)
    cluster.run(delivery.drop_rows, rows.path)


def spread(cluster: Cluster, folder: str, source: int | None, known: set[str]) -> None:
    """Copy the files of a folder to all nodes: those of this process, or those of one node.

    known : paths that have been copied; the new ones are added.
    """
    if source is None:
        found = delivery.files_in(folder)
    else:
        (found,) = cluster.gather([cluster.submit(source, delivery.files_in, folder)])
    others = [node for node in range(cluster.nodes) if node != source]
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
