"""The record of kernel rates: gemm, syrk, eigh and svd of one thread count."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from bench_core.records.blas import BlasCalls
from bench_core.records.machine import ProcessorRecord, VariablesRecord
from bench_core.records.scalars import STRICT, KernelChoice, Positive, Seconds, Status

SCHEMA_KERNELS: Final = "ridgebench-kernels/2"
"""Version 2 added ``variables`` and ``processor``. Version 1 is still read."""
SCHEMA_KERNELS_1: Final = "ridgebench-kernels/1"
Rate = Annotated[float, Field(gt=0)]


@dataclass(frozen=True, config=STRICT)
class KernelCase:
    """Kernels of n × n matrices (eigh and svd: n / 2), and the threads they were timed with.

    Examples
    --------
    >>> KernelCase(threads=2, size=1024, blas=None, kernels="default", operations=("gemm",)).size
    1024
    """

    threads: Positive
    size: Positive
    blas: str | None
    kernels: KernelChoice
    operations: tuple[str, ...]


@dataclass(frozen=True, config=STRICT)
class KernelRate:
    """Median time of one kernel, its rate, and that as a fraction of the gemm beside it.

    Examples
    --------
    >>> KernelRate(seconds=0.5, gflops=4.0, fraction_of_gemm=1.0).gflops
    4.0
    """

    seconds: Seconds
    gflops: Rate
    fraction_of_gemm: Rate


@dataclass(frozen=True, config=STRICT)
class KernelsRecord:
    """Rates by precision and kernel; None where nothing was timed.

    ``variables`` and ``processor`` are as in `bench_core.records.Record`.

    Examples
    --------
    >>> case = KernelCase(2, 1024, None, "default", ("gemm",))
    >>> rates = {"float64": {"gemm": KernelRate(0.5, 4.0, 1.0)}}
    >>> KernelsRecord(SCHEMA_KERNELS, "ok", None, case, rates).rates["float64"]["gemm"].seconds
    0.5
    """

    schema: Literal["ridgebench-kernels/2", "ridgebench-kernels/1"]
    status: Status
    reason: str | None
    case: KernelCase
    rates: dict[str, dict[str, KernelRate]] | None = None
    blas: BlasCalls | None = None
    variables: VariablesRecord | None = None
    processor: ProcessorRecord | None = None
