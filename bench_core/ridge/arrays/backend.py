"""Devices of arrays: numpy on the processor, torch on the processor or on a CUDA GPU.

The numerics of this package are written once against the array API standard. The few operations
that the standard lacks, or that one library does better by another route, are here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from array_api_compat import array_namespace
from numpy.typing import DTypeLike, NDArray

from bench_core.errors import InputError, install_command

Array = Any
"""A numpy array or a torch tensor."""

GRAM_ROWS = 1280
"""Rows up to which a Gram matrix is formed in one piece where it cannot be added in place."""

LARGEST_SYRK = 8192
"""Order up to which BLAS's syrk is given a whole matrix: OpenBLAS 0.3.31 crashes at 16,384."""


@dataclass(frozen=True)
class Device:
    """A place to compute: ``"cpu"`` is numpy, ``"torch"`` torch on the CPU, ``"cuda"`` a GPU."""

    name: str

    @property
    def is_numpy(self) -> bool:
        """True for numpy arrays in ordinary memory."""
        return self.name == "cpu"

    @property
    def torch_name(self) -> str:
        """The name that torch gives this device."""
        return "cpu" if self.name == "torch" else self.name

    def put(self, array: NDArray[Any], dtype: DTypeLike | None = None) -> Array:
        """Return ``array`` on this device as ``dtype``; not a copy where none is needed."""
        host = np.asarray(array, dtype=dtype)
        if self.is_numpy:
            return host
        import torch

        if not host.flags.writeable:
            host = host.copy()  # torch has no read-only tensors
        return torch.from_numpy(np.ascontiguousarray(host)).to(self.torch_name)

    @property
    def settle(self) -> Callable[[], None] | None:
        """What waits until a GPU has done its work; None where work is done when a call ends."""
        if not self.name.startswith("cuda"):
            return None
        import torch

        return partial(torch.cuda.synchronize, self.name)

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
        """Return an array of zeros on this device."""
        if self.is_numpy:
            return np.zeros(shape, dtype)
        import torch

        return torch.zeros(shape, dtype=torch_dtype(dtype), device=self.torch_name)


def find_device(name: str) -> Device:
    """Return the device called ``name``: "cpu", "torch", "cuda" or "cuda:1" and so on.

    Raises `InputError` for another name, without torch, or when torch sees no such GPU.
    """
    if name == "cpu":
        return Device(name)
    if name != "torch" and not name.startswith("cuda"):
        raise InputError(
            f"device {name!r} is unknown: use 'cpu', 'torch', 'cuda' or 'cuda:<number>'"
        )
    try:
        import torch
    except ImportError as error:
        raise InputError(
            f"device {name!r} needs torch: {install_command('torch')}, or use device='cpu'"
        ) from error
    if name == "torch":
        return Device(name)
    if not torch.cuda.is_available():
        raise InputError(f"device {name!r}: torch finds no CUDA GPU here; use device='cpu'")
    number = name.partition(":")[2] or "0"
    if not number.isdigit() or int(number) >= torch.cuda.device_count():
        raise InputError(
            f"device {name!r} does not exist: {torch.cuda.device_count()} GPU(s) found"
        )
    return Device(f"cuda:{number}")


def torch_dtype(dtype: DTypeLike) -> Any:
    """Return torch's name for a numpy ``dtype``."""
    import torch

    return getattr(torch, np.dtype(dtype).name)


def to_numpy(array: Array) -> NDArray[Any]:
    """Return ``array`` as a numpy array, copied from its device if need be."""
    if not hasattr(array, "detach"):
        return np.asarray(array)
    result: NDArray[Any] = array.detach().cpu().numpy()
    return result


def cast(array: Array, dtype: DTypeLike) -> Array:
    """Return ``array`` as a numpy-named ``dtype`` on its own device; itself if it already is."""
    xp = array_namespace(array)
    return xp.astype(array, getattr(xp, np.dtype(dtype).name), copy=False)


def is_float64(array: Array) -> bool:
    """Return True if ``array`` holds float64."""
    return bool(array.dtype == array_namespace(array).float64)


def add_gram(total: Array, A: Array) -> Array:
    """Return total + A Aᵀ for A (n, b); ``total`` (n, n), of A's precision or float64, is changed.

    Only the lower triangle counts; `mirror` fills the other in the end. Contiguous float64 arrays
    are updated in place with BLAS syrk. Others are multiplied by halves: no device computes what
    lies above the diagonal, and no more than a quarter of the product is held beside the sum.
    Views of wider arrays are not copied.
    """
    n = A.shape[0]
    if n <= LARGEST_SYRK and _gapless(total) and total.flags.c_contiguous and _gapless(A):
        from scipy.linalg import blas

        # BLAS counts columns first: the lower triangle of `total` is its transpose's upper one.
        rows_first = bool(A.flags.c_contiguous)
        left = A.T if rows_first else A
        blas.dsyrk(1.0, left, trans=rows_first, beta=1.0, c=total.T, overwrite_c=True)
        return total
    if n <= GRAM_ROWS:
        total += array_namespace(A).matmul(A, A.T)  # numpy knows this for BLAS's syrk
        return total
    half = n // 2
    add_gram(total[:half, :half], A[:half])
    add_gram(total[half:, half:], A[half:])
    total[half:, :half] += array_namespace(A).matmul(A[half:], A[:half].T)
    return total


def _gapless(A: Array) -> bool:
    """Return True for a contiguous float64 numpy array, which scipy's BLAS takes without a copy."""
    return isinstance(A, np.ndarray) and A.dtype == np.float64 and bool(A.flags.forc)


def at_once(n: int) -> int:
    """Return how many vectors of length n to multiply at once: n × n sums are then cheap."""
    return max(1024, n // 4)


def float64_pieces(A: Array, axis: int) -> Iterator[Array]:
    """Yield ``A`` in float64, `at_once` rows (axis 0) or columns (1) at a time.

    numpy's pieces have no gaps: views where they need no more, otherwise copies, all in the same
    memory. New memory for each would cost page faults, which is dear where a host gives a virtual
    machine its memory only when it is touched.
    """
    work: NDArray[np.float64] | None = None
    count = at_once(A.shape[1 - axis])
    for start in range(0, A.shape[axis], count):
        piece = A[start : start + count] if axis == 0 else A[:, start : start + count]
        if not isinstance(A, np.ndarray):
            yield cast(piece, "float64")
        elif _gapless(piece):
            yield piece
        else:
            if work is None:
                work = np.empty(piece.size)
            copy = work[: piece.size].reshape(piece.shape)
            np.copyto(copy, piece)
            yield copy


def mirror(G: Array, tile: int = 1024) -> Array:
    """Copy the lower triangle of G (n, n) to the upper one, in place, tile by tile; return G."""
    xp = array_namespace(G)
    n = G.shape[0]
    for i in range(0, n, tile):
        rows = slice(i, i + tile)
        G[rows, rows] = xp.tril(G[rows, rows]) + xp.tril(G[rows, rows], k=-1).T
        for j in range(i + tile, n, tile):
            G[rows, j : j + tile] = G[j : j + tile, rows].T
    return G


@contextmanager
def full_float32_products(device: Device) -> Iterator[None]:
    """Keep a GPU from rounding float32 products to TF32 (10 bits) meanwhile."""
    if device.is_numpy:
        yield
        return
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
