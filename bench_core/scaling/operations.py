"""Work of a fit, in the terms that machines are calibrated in: kernels, bytes, tasks.

A fit is a sequence of stages. Within a stage nodes work at the same time, and the slowest of them
decides; its operations follow one another. What an operation takes on a machine is found by
`bench_core.scaling.prediction`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from bench_core.ridge.planning.flops import EIGH_FLOPS, Kernel, svd_flops

Resource = Literal["stream", "fresh", "pages", "file", "network", "round", "task", "message", "fit"]
"""What is not floating-point work.

stream : bytes read or written in memory that is in use. fresh : bytes of new memory, which the
system has to provide first; pages : the same without huge pages. file : bytes written to the file
system that nodes share. network : bytes sent between nodes. round : times that the driver waits
for nodes. task : tasks of Dask, as the node sees them. message : tasks as the one process sees
them that hands them out and collects their results. fit : calls of a library's ``fit``.
"""

OVERHEADS: tuple[Resource, ...] = ("round", "task", "message", "fit")
"""Resources that do not depend on the size of arrays."""

Phase = Literal[
    "reading",
    "centring",
    "Gram or covariance",
    "factorisation",
    "scores",
    "solution",
    "transfers",
]


@dataclass(frozen=True)
class Operation:
    """Work of one kind.

    phase : the part of the fit that it belongs to. flops : of a kernel. size : what its rate
    depends on: the smallest dimension of a product, the order of a decomposition, or the bytes of
    one array of a resource in memory, 0 for larger than any cache. amount : bytes, tasks or fits
    of a resource; for a kernel, the bytes of its operands, each once. count : kernel calls.

    Examples
    --------
    >>> product = gemm("scores", 100, 20, 50)
    >>> product.flops, product.size, product.amount
    (200000.0, 20, 64000)
    """

    phase: Phase
    kind: Kernel | Resource
    flops: float = 0.0
    size: float = 0.0
    amount: float = 0.0
    dtype: str = "float64"
    count: float = 1.0


def _itemsize(dtype: str) -> int:
    return 4 if dtype == "float32" else 8


def gemm(
    phase: Phase, m: float, n: float, k: float, *, dtype: str = "float64", count: float = 1
) -> Operation:
    """Return ``count`` products of (m, k) and (k, n) matrices: 2 m n k flops each."""
    operands = _itemsize(dtype) * (m * k + k * n + m * n)
    flops = 2.0 * m * n * k
    return Operation(phase, "gemm", count * flops, min(m, n, k), count * operands, dtype, count)


def syrk(
    phase: Phase, n: float, k: float, *, dtype: str = "float64", count: float = 1
) -> Operation:
    """Return ``count`` products A Aᵀ of an (n, k) matrix, by their triangle: n² k flops each."""
    operands = _itemsize(dtype) * (n * k + n * n)
    flops = 1.0 * n * n * k
    return Operation(phase, "syrk", count * flops, min(n, k), count * operands, dtype, count)


def eigh(n: float, *, dtype: str = "float64", count: float = 1) -> Operation:
    """Return ``count`` eigendecompositions of symmetric matrices of order n: 9 n³ flops each."""
    operands = _itemsize(dtype) * 2 * n * n
    flops = count * EIGH_FLOPS * n**3
    return Operation("factorisation", "eigh", flops, n, count * operands, dtype, count)


def svd(n: float, m: float, *, dtype: str = "float64", count: float = 1) -> Operation:
    """Return ``count`` thin singular value decompositions of (n, m) matrices."""
    operands = _itemsize(dtype) * 3 * n * m
    flops = count * svd_flops(n, m)
    return Operation("factorisation", "svd", flops, min(n, m), count * operands, dtype, count)


def resource(phase: Phase, kind: Resource, amount: float, *, each: float = 0.0) -> Operation:
    """Return bytes, tasks or fits; ``each`` : bytes of one of the arrays, where they are small."""
    return Operation(phase, kind, size=each, amount=amount)


@dataclass(frozen=True)
class Load:
    """Operations of one node, and the number of nodes that have the same.

    Examples
    --------
    >>> Load((eigh(100),), nodes=4).operations[0].flops
    9000000.0
    """

    operations: tuple[Operation, ...]
    nodes: int = 1


@dataclass(frozen=True)
class Stage:
    """Loads of nodes that work at the same time.

    Examples
    --------
    >>> stage = Stage((Load((eigh(100),)), driver(4)))
    >>> [load.operations[0].kind for load in stage.loads]
    ['eigh', 'message']
    """

    loads: tuple[Load, ...]


@dataclass(frozen=True)
class FitCost:
    """All work of one fit, and the memory of each node.

    form : "gram", "cov" or "svd" (scikit-learn's names for t × t, p × p and X itself), "dual" or
    "primal" (the same of this package), "kernel" or "ridge" (himalaya's). node_bytes : peak memory
    of every node beyond the files of X and Y; shared_bytes : those files and others that nodes map.
    resident_bytes : of these, what has to be in memory; the system can take back the rest.

    Examples
    --------
    >>> from bench_core.ridge.planning.flops import FitShape
    >>> from bench_core.scaling.costs.ridgecv import bmor
    >>> cost = bmor(FitShape(t=900, p=16_384, s=20_000, r=11), nodes=4)
    >>> cost.nodes, cost.form, cost.flops() > cost.flops("eigh") > 0
    (4, 'gram', True)
    """

    strategy: str
    form: str
    nodes: int
    stages: tuple[Stage, ...]
    node_bytes: tuple[int, ...]
    shared_bytes: int
    resident_bytes: int

    def operations(self) -> Iterator[tuple[Operation, int]]:
        """Yield every operation with the number of nodes that carry it out."""
        for stage in self.stages:
            for load in stage.loads:
                for operation in load.operations:
                    yield operation, load.nodes

    def flops(self, kernel: Kernel | None = None) -> float:
        """Return the flops of all nodes together, of one kernel or of all."""
        return sum(
            operation.flops * nodes
            for operation, nodes in self.operations()
            if kernel is None or operation.kind == kernel
        )

    def amount(self, kind: Resource) -> float:
        """Return the bytes, tasks or fits of all nodes together."""
        return sum(
            operation.amount * nodes
            for operation, nodes in self.operations()
            if operation.kind == kind
        )

    @property
    def peak_bytes(self) -> int:
        """Memory of all nodes together, with the files that they map counted once."""
        return sum(self.node_bytes) + self.shared_bytes

    def machine_bytes(self, nodes_per_machine: int) -> int:
        """Return the memory that the fullest machine needs, with so many nodes on each."""
        fullest = sorted(self.node_bytes, reverse=True)[:nodes_per_machine]
        return sum(fullest) + self.resident_bytes


def alone(operations: Iterable[Operation]) -> tuple[Stage, ...]:
    """Return the one stage of a fit in one process."""
    return (Stage((Load(tuple(operations)),)),)


def driver(tasks: float) -> Load:
    """Return the load of the process that hands out ``tasks`` while nodes work."""
    return Load((resource("transfers", "message", tasks),))


def waiting(rounds: float) -> Stage:
    """Return the stage in which the driver waits so many times for nodes to answer."""
    return Stage((Load((resource("transfers", "round", rounds),)),))
