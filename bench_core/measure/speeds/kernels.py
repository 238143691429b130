"""Rates of the kernels by precision and size, with the threads of this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench_core.measure.speeds.timing import seconds_in_rounds
from bench_core.scaling.calibration import KernelSpeed
from bench_core.scaling.operations import Kernel, eigh, gemm, svd, syrk

LONG = 1024
"""The dimensions of a product that do not limit its rate."""

WIDE = 2048
"""Targets of a product whose inner dimension is the smallest, as those of t × t matrices are."""

INNER = 128
"""Size from which the smallest dimension is the inner one; below it is that of few targets."""

PRODUCT_SIZES = (1, 8, 32, 128, 512, 1024)
DECOMPOSITION_SIZES = (32, 128, 512, 1024)
_SECONDS = 0.09
"""Time for which a kernel is repeated, all rounds together."""

_QUICK = 256


@dataclass(frozen=True)
class KernelTimes:
    """Rates of all kernels, and how far their rounds are apart.

    unsteady : part of the kernels whose slowest round took half as long again as the quickest.
    """

    speeds: tuple[KernelSpeed, ...]
    unsteady: float


@dataclass(frozen=True)
class _KernelCall:
    kernel: Kernel
    dtype: str
    size: int
    flops: float
    call: Callable[[], object]


def time_kernels(threads: int, *, quick: bool = False) -> KernelTimes:
    """Return the rates of all kernels, sizes and precisions with the threads of this process."""
    calls = [one for dtype in ("float64", "float32") for one in _calls(dtype, quick)]
    least, rounds = (0.0, 1) if quick else (_SECONDS, 3)
    times = seconds_in_rounds([one.call for one in calls], least, rounds)
    speeds = tuple(
        KernelSpeed(
            one.kernel,
            "float32" if one.dtype == "float32" else "float64",
            threads,
            one.size,
            max(one.flops / min(found) / 1e9, 1e-6),
        )
        for one, found in zip(calls, times, strict=True)
    )
    # A first call of a long one starts threads and touches memory: its two times say nothing.
    steady = [max(found) / min(found) for found in times if len(found) > 2]
    unsteady = sum(ratio > 1.5 for ratio in steady) / len(steady) if steady else 0.0
    return KernelTimes(speeds, unsteady)


def _calls(dtype: str, quick: bool) -> Iterator[_KernelCall]:
    """Yield every kernel with its size, flops and a call of it."""
    rng = np.random.default_rng(0)
    long = _QUICK if quick else LONG
    X = rng.standard_normal((long, long)).astype(dtype)
    wide = long if quick else WIDE
    targets = rng.standard_normal((long, wide)).astype(dtype)
    for size in PRODUCT_SIZES:
        if size > long:
            continue
        if size < INNER:
            left, right = X, rng.standard_normal((long, size)).astype(dtype)
        else:
            left, right = np.ascontiguousarray(X[:, :size]), targets[:size]
        m, n = left.shape[0], right.shape[1]
        out = np.empty((m, n), dtype)
        flops = gemm("scores", m, n, left.shape[1]).flops
        yield _KernelCall("gemm", dtype, size, flops, partial(np.matmul, left, right, out=out))
        if size > 1:
            A = np.ascontiguousarray(X[:size])
            flops = syrk("scores", size, long).flops
            yield _KernelCall("syrk", dtype, size, flops, partial(np.matmul, A, A.T))
        if size >= INNER:
            flops = gemm("solution", wide, long, size).flops
            out = np.empty((wide, long), dtype)
            call = partial(np.matmul, targets[:size].T, left.T, out=out)
            yield _KernelCall("transposed", dtype, size, flops, call)
    for size in DECOMPOSITION_SIZES:
        if size > long:
            continue
        square = rng.standard_normal((size, size))
        symmetric = np.asarray(square @ square.T, dtype)
        flops = eigh(size).flops
        yield _KernelCall("eigh", dtype, size, flops, partial(np.linalg.eigh, symmetric))
        if dtype == "float64":
            yield _KernelCall("staged", dtype, size, flops, partial(_staged, symmetric))
        rows = rng.standard_normal((size, 2 * size)).astype(dtype)
        call = partial(np.linalg.svd, rows, full_matrices=False)
        yield _KernelCall("svd", dtype, size, svd(size, 2 * size).flops, call)


def _staged(symmetric: NDArray[np.float64]) -> object:
    """Return the eigenvalues and eigenvectors by the ridge's own steps, which overwrite."""
    from bench_core.ridge.arrays import eigh as staged

    return staged.eigh(symmetric.copy())
