"""Rates of gemm, syrk, eigh and svd, next to each other in one process per thread count."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from benchmarks.common import THREADS, Suite, publish, usable


class Kernels(Suite):
    suite = "kernels"
    params = (
        ["gemm", "syrk", "eigh", "svd"],
        ["float64", "float32"],
        THREADS,
        [1024, 4096],
    )
    param_names = ("kernel", "precision", "threads", "size")

    def prepare(self, session: str, kernel: str, precision: str, threads: int, size: int) -> None:
        from bench_core.measure import measure_kernels

        record = measure_kernels(
            threads,
            size,
            blas=os.environ.get("RIDGEBENCH_BLAS"),
            kernels=os.environ.get("RIDGEBENCH_KERNELS", "default"),
            store=Path(session),
        )
        publish(record)
        self.rate = usable(record).rates[precision][kernel]

    def track_time(self, session: str, *parameters: Any) -> float:
        return self.rate.seconds

    track_time.unit = "seconds"

    def track_ns_per_operation(self, session: str, *parameters: Any) -> float:
        """1 / (GFLOP/s), so that a loss is an increase."""
        return 1 / self.rate.gflops

    track_ns_per_operation.unit = "ns per floating-point operation"

    def track_gemm_over_kernel(self, session: str, *parameters: Any) -> float:
        """The gemm rate over the kernel's, so that a loss is an increase."""
        return 1 / self.rate.fraction_of_gemm

    track_gemm_over_kernel.unit = "gemm rate over the kernel's"
