"""Arrays for nodes on other hosts: by path where they see the files, else by messages."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from bench_core.cluster import delivery, messages
from bench_core.cluster.arrays import ArrayRef, RowFile, share_array
from bench_core.cluster.base import Cluster
from bench_core.cluster.delivery import SentArray, SentRows

Result = TypeVar("Result")


class RemoteArrays(Cluster):
    """A cluster whose nodes may not see the files of this process.

    What they do not see is sent to them, and again to those that stand in for nodes that are lost.
    Rows that they cannot write into a file here are fetched, in a fit that is to outlive the loss
    of nodes as soon as their batch is done.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._folders = False
        self._sendings: list[messages.Sending] = []
        self._sent_rows: SentRows | None = None
        self._spread: set[str] = set()
        super().__init__(*arguments, **named)

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
                sending = messages.Sending(self, np.asanyarray(array), used, own)
                self._sendings.append(sending)
                stack.callback(self._sendings.remove, sending)
                stack.callback(sending.forget)
                found.append(sending.ref)
            self.repeat(lambda: None)
            yield tuple(found)

    def rows(self, shape: tuple[int, int], dtype: DTypeLike, folder: Path | None = None) -> RowFile:
        """Create a file that nodes fill by rows, or whose rows they keep; see `Cluster.rows`."""
        file = super().rows(shape, dtype, folder)
        path = Path(file.path)
        if self.data == "path" and (path.parent == self.scratch or self._visible(path)):
            return file
        if not self._folders:  # the result's folder is this machine's own, scratch is not
            self._open_folders()
        self._sent_rows = SentRows(file.path, file.offset, file.shape, file.dtype, kept=file.kept)
        return self._sent_rows

    def collect(self, rows: RowFile) -> None:
        """Fetch the rows that nodes keep, where they do."""
        if isinstance(rows, SentRows):
            for node in self.living:
                messages.collect(self, rows, node)

    def _bring_home(self, address: str) -> None:
        """Fetch the rows of a batch: those that only a node has would go with it."""
        if self.recovery is not None and self._sent_rows is not None:
            nodes = [node for node in self.living if self.workers[node].address == address]
            for node in nodes:
                messages.collect(self, self._sent_rows, node)

    def repeat(self, work: Callable[[], Result]) -> Result:
        """Return ``work()``; see `Dispatcher.repeat`. Nodes get first what they have not got."""

        def delivered() -> Result:
            for sending in list(self._sendings):
                sending.deliver()
            return work()

        return super().repeat(delivered)

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
