"""Blocks of target columns, the next one read while this one is computed with.

Targets in memory, of the right type, are handed out as views: nothing is copied. Memory-mapped
targets are read into two reused buffers by a thread, and the pages they came from are given back,
so that resident memory does not grow with the file. A GPU gets its blocks through pinned memory.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench_core.ridge.backend import Array, Device

Centring = Literal["none", "shift", "mean"]

SAMPLED_ROWS = 64
"""Rows that are looked at to see whether a block's means are large against its spread."""

LARGE_MEAN = 3.0
"""Means beyond this many standard deviations are taken off before products are formed.

Below it the correction after the product costs at most one decimal digit.
"""

BUFFERS = 2


@dataclass(frozen=True)
class Block:
    """Some columns of Y: ``values`` (t, b) are Y[:, columns] − offset, on the device."""

    columns: slice
    values: Array
    offset: NDArray[np.float64] | None


def is_mapped(Y: NDArray[Any]) -> bool:
    """Return whether the values of Y lie in a memory-mapped file."""
    return isinstance(Y, np.memmap) and isinstance(_mapping(Y), mmap.mmap)


def _mapping(Y: NDArray[Any]) -> Any:
    return getattr(Y, "_mmap", None)


def forget_pages(Y: NDArray[Any]) -> None:
    """Give back the memory of the pages of a mapped file that were read; the file keeps them.

    Only for maps that share the file: a copy-on-write map would lose what was written to it.
    """
    if is_mapped(Y) and getattr(Y, "mode", None) in ("r", "r+") and hasattr(mmap, "MADV_DONTNEED"):
        with suppress(OSError, ValueError):  # advice only: refused or closed, nothing is lost
            _mapping(Y).madvise(mmap.MADV_DONTNEED)


def sampled_shift(part: NDArray[Any]) -> NDArray[np.float64] | None:
    """Return column offsets (b,) if some mean is large against its spread, else None."""
    stride = max(1, part.shape[0] // SAMPLED_ROWS)
    rows = part[::stride].astype(np.float64)
    mean, deviation = rows.mean(axis=0), rows.std(axis=0)
    if (np.abs(mean) <= LARGE_MEAN * deviation).all():
        return None
    # Rounded to the type of the data, the offset subtracts without error where it matters.
    rounded = mean.astype(part.dtype if part.dtype.kind == "f" else np.float64)
    offset: NDArray[np.float64] = rounded.astype(np.float64)
    return offset


class ColumnBlocks:
    """Iterate over blocks of the columns of Y (t, s) on a device.

    Parameters
    ----------
    Y : numpy array or memory map.
    width : columns per block.
    dtype : precision of the blocks.
    centring : "none"; "shift" takes off means that are large against the spread (the products'
        correction does the rest); "mean" takes off the mean of every column, always.
    device : where blocks are wanted.
    """

    def __init__(
        self,
        Y: NDArray[Any],
        width: int,
        *,
        dtype: np.dtype[Any],
        centring: Centring = "shift",
        device: Device,
    ) -> None:
        self.Y = Y
        self.width = min(width, Y.shape[1])
        self.dtype = np.dtype(dtype)
        self.centring = centring
        self.device = device
        self._views = device.is_numpy and not is_mapped(Y) and Y.dtype == self.dtype

    def __len__(self) -> int:
        return -(-self.Y.shape[1] // self.width)

    def __iter__(self) -> Iterator[Block]:
        s = self.Y.shape[1]
        columns = [slice(i, min(i + self.width, s)) for i in range(0, s, self.width)]
        if self.device.is_numpy:
            yield from self._on_host(columns)
        else:
            yield from self._on_torch(columns)

    def _on_host(self, columns: list[slice]) -> Iterator[Block]:
        buffers: list[NDArray[Any]] = []

        def read(i: int) -> Block:
            part = self.Y[:, columns[i]]
            if self._views and self.centring != "mean":
                offset = sampled_shift(part) if self.centring == "shift" else None
                if offset is None:
                    return Block(columns[i], part, None)
            while len(buffers) < min(BUFFERS, len(columns)):
                buffers.append(np.empty((self.Y.shape[0], self.width), self.dtype))
            return self._fill(buffers[i % BUFFERS], columns[i])

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

    def _fill(self, buffer: NDArray[Any], columns: slice) -> Block:
        """Copy columns of Y into the start of ``buffer``, centred as asked."""
        part = self.Y[:, columns]
        b = part.shape[1]
        values = (
            buffer[:, :b]
            if b == self.width
            else buffer.reshape(-1)[: part.size].reshape(part.shape)
        )
        offset = None if self.centring == "none" else sampled_shift(part)
        if offset is None:
            np.copyto(values, part, casting="unsafe")
        else:
            work = offset.astype(np.result_type(part.dtype, self.dtype))
            np.subtract(part, work, out=values, casting="unsafe")
        forget_pages(self.Y)
        if self.centring == "mean":
            mean = _means(values)
            values -= mean
            rest = _means(values)
            values -= rest
            total = mean.astype(np.float64) + rest
            offset = total if offset is None else offset + total
        return Block(columns, values, offset)

    def _on_torch(self, columns: list[slice]) -> Iterator[Block]:
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
            host = self._fill(pinned[slot].numpy(), columns[i])
            b = host.values.shape[1]
            target = there[slot].reshape(-1)[: host.values.size].reshape(shape[0], b)
            source = pinned[slot].reshape(-1)[: host.values.size].reshape(shape[0], b)
            if stream is None:
                target.copy_(source)
            else:
                with torch.cuda.stream(stream):
                    if done[slot] is not None:
                        stream.wait_event(done[slot])
                    target.copy_(source, non_blocking=True)
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


def _means(values: NDArray[Any]) -> NDArray[Any]:
    """Return the column means by a matrix product: both threads, and no pass in one core."""
    result: NDArray[Any] = np.full(values.shape[0], 1 / values.shape[0], values.dtype) @ values
    return result
