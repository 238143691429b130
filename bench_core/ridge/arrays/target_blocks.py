"""Blocks of target columns, the next one read while this one is computed with.

Targets in memory, of the right type, are handed out as views: nothing is copied. So are those in
a file that fits in memory, where no limit is set: its pages then count as the process's. Others
are read into two reused buffers by a thread. A GPU gets its blocks through pinned memory.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench_core.machine import available_memory
from bench_core.phases import NO_PHASES, Phases
from bench_core.ridge.arrays.backend import Array, Device, to_numpy
from bench_core.ridge.arrays.column_reader import ColumnReader, is_mapped, open_columns

Centring = Literal["none", "shift", "mean"]

SAMPLED_ROWS = 64
"""Rows that are sampled to compare a block's means with its spread."""

LARGE_MEAN = 3.0
"""Means beyond this many standard deviations are taken off before products are formed.

Below it the correction after the product costs at most one decimal digit.
"""

BUFFERS = 2


@dataclass(frozen=True, eq=False)  # a block is itself: its arrays are not compared
class Block:
    """Some columns of Y: ``values`` (t, b) are Y[:, columns] − offset, on the device."""

    columns: slice
    values: Array
    offset: NDArray[np.float64] | None

    def means(self) -> NDArray[np.float64]:
        """Return the means (b,) of the columns of Y, by a product where numpy has one."""
        values = self.values
        if isinstance(values, np.ndarray):
            ones = np.ones(values.shape[0], values.dtype)
            means = (ones @ values).astype(np.float64) / values.shape[0]
        else:
            means = to_numpy(values.mean(dim=0)).astype(np.float64)
        return means if self.offset is None else means + self.offset


def large_means(rows: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[np.float64] | None:
    """Return column offsets (b,) if a mean of sampled ``rows`` is large against its spread.

    Rounded to the type of the data, ``dtype``, they subtract without error where it matters.
    """
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    if (np.abs(mean) <= LARGE_MEAN * deviation).all():
        return None
    offset: NDArray[np.float64] = mean.astype(dtype if dtype.kind == "f" else np.float64)
    return offset.astype(np.float64)


def fits_in_memory(Y: NDArray[Any]) -> bool:
    """Return True if targets stay in memory from pass to pass, those of a file with room to spare.

    The system is asked for files only: that takes milliseconds.
    """
    return not is_mapped(Y) or Y.nbytes < available_memory() / 2


class ColumnBlocks:
    """Iterate over blocks of the columns of Y (t, s) on a device.

    Parameters
    ----------
    Y : numpy array or memory map.
    width : columns per block.
    dtype : precision of the blocks.
    centring : "none"; "shift" takes off means that are large against the spread (the products'
        correction does the rest); "mean" takes off the mean of every column, always.
    device : device of the blocks.
    view_file : map targets in a file into the process instead of reading them.
    phases : timer; a thread that reads ahead takes none of the fit's time.
    """

    def __init__(
        self,
        Y: NDArray[Any],
        width: int,
        *,
        dtype: np.dtype[Any],
        centring: Centring = "shift",
        device: Device,
        view_file: bool = False,
        phases: Phases = NO_PHASES,
    ) -> None:
        self.Y = Y
        self.phases = phases
        self.width = min(width, Y.shape[1])
        self.dtype = np.dtype(dtype)
        self.centring = centring
        self.device = device
        in_place = device.is_numpy and Y.dtype == self.dtype and _multiplied_in_place(Y)
        self._views = in_place and (view_file or not is_mapped(Y))

    def __len__(self) -> int:
        return -(-self.Y.shape[1] // self.width)

    def __iter__(self) -> Generator[Block, None, None]:
        s = self.Y.shape[1]
        columns = [slice(i, min(i + self.width, s)) for i in range(0, s, self.width)]
        with open_columns(self.Y) as source:
            if self.device.is_numpy:
                yield from self._on_host(source, columns)
            else:
                yield from self._on_torch(source, columns)

    def _on_host(self, source: ColumnReader, columns: list[slice]) -> Iterator[Block]:
        buffers: list[NDArray[Any]] = []

        def read(i: int) -> Block:
            if self._views and self.centring != "mean":
                offset = self._shift(source, columns[i])
                if offset is None:
                    return Block(columns[i], self.Y[:, columns[i]], None)
            while len(buffers) < min(BUFFERS, len(columns)):
                buffers.append(np.empty((self.Y.shape[0], self.width), self.dtype))
            return self._fill(source, buffers[i % BUFFERS], columns[i])

        if self._views:
            # A copy is at most a shift: a second thread would only take a core from the products.
            for i in range(len(columns)):
                yield read(i)
            return
        with ThreadPoolExecutor(1, "read-ahead") as reader:
            coming: Future[Block] = reader.submit(read, 0)
            for i in range(len(columns)):
                block = coming.result()
                if i + 1 < len(columns):
                    coming = reader.submit(read, i + 1)
                yield block

    def _shift(self, source: ColumnReader, columns: slice) -> NDArray[np.float64] | None:
        """Return the offsets of a block, the same at every pass, or None."""
        if self.centring == "none":
            return None
        return large_means(source.sample(columns, SAMPLED_ROWS), self.Y.dtype)

    def _fill(self, source: ColumnReader, buffer: NDArray[Any], columns: slice) -> Block:
        """Copy columns of Y into the start of ``buffer``, centred as asked."""
        shape = (self.Y.shape[0], columns.stop - columns.start)
        values = buffer.reshape(-1)[: shape[0] * shape[1]].reshape(shape)
        # A bad value is reported, with its place, when it has spoilt a sum; not here, in a thread.
        with np.errstate(invalid="ignore", over="ignore"):
            offset = self._copy(source, values, columns)
        return Block(columns, values, offset)

    def _copy(
        self, source: ColumnReader, values: NDArray[Any], columns: slice
    ) -> NDArray[np.float64] | None:
        source.prefetch(columns)
        offset = self._shift(source, columns)
        for rows, some in source.tiles(columns):
            here = slice(some.start - columns.start, some.stop - columns.start)
            part = source.read((rows, some))
            if offset is None:
                np.copyto(values[rows, here], part, casting="unsafe")
            else:
                work = offset[here].astype(np.result_type(part.dtype, self.dtype))
                np.subtract(part, work, out=values[rows, here], casting="unsafe")
        if self.centring == "mean":
            # Not by BLAS: in this thread it would take a second work space of its own. The second
            # pass mends what a float32 sum of many rows loses in the first.
            with self.phases("centring"):
                mean = values.mean(axis=0)
                values -= mean
                rest = values.mean(axis=0)
                values -= rest
                total = mean.astype(np.float64) + rest
                offset = total if offset is None else offset + total
        return offset

    def _on_torch(self, source: ColumnReader, columns: list[slice]) -> Iterator[Block]:
        import torch

        cuda = self.device.name.startswith("cuda")
        shape = (self.Y.shape[0], self.width)
        kind = getattr(torch, self.dtype.name)
        pinned = [torch.empty(shape, dtype=kind, pin_memory=cuda) for _ in range(BUFFERS)]
        there = [torch.empty(shape, dtype=kind, device=self.device.torch_name) for _ in pinned]
        # A block's memory is filled again only when the products that read it are done.
        done: list[Any] = [None] * BUFFERS
        stream = torch.cuda.Stream(self.device.torch_name) if cuda else None

        def read(i: int) -> Block:
            slot = i % BUFFERS
            host = self._fill(source, pinned[slot].numpy(), columns[i])
            b = host.values.shape[1]
            target = there[slot].reshape(-1)[: host.values.size].reshape(shape[0], b)
            staged = pinned[slot].reshape(-1)[: host.values.size].reshape(shape[0], b)
            if stream is None:
                target.copy_(staged)
            else:
                with torch.cuda.stream(stream):
                    if done[slot] is not None:
                        stream.wait_event(done[slot])
                    target.copy_(staged, non_blocking=True)
                stream.synchronize()
            return Block(columns[i], target, host.offset)

        with ThreadPoolExecutor(1, "read-ahead") as reader:
            coming: Future[Block] = reader.submit(read, 0)
            for i in range(len(columns)):
                block = coming.result()
                if i + 1 < len(columns):
                    coming = reader.submit(read, i + 1)
                yield block
                if cuda:
                    event = torch.cuda.Event()
                    event.record(torch.cuda.current_stream(self.device.torch_name))
                    done[i % BUFFERS] = event


def _multiplied_in_place(Y: NDArray[Any]) -> bool:
    """Return True if BLAS takes columns of Y without a copy: contiguous one way, forward both."""
    return Y.itemsize in Y.strides and min(Y.strides) > 0
