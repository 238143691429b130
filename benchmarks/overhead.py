"""What watching costs a fit: the time with memory sampling and byte counters over that without."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from benchmarks.common import Suite, left_out


class Overhead(Suite):
    suite = "overhead"
    params = (["ridgecv", "bmor"], [1, 2])
    param_names = ("strategy", "threads")

    def setup(self, session: str, strategy: str, threads: int) -> None:
        from bench_core.machine import available_cores
        from bench_core.measure import Case
        from bench_core.measure.overhead import measure_overhead

        nodes = 2 if strategy == "bmor" else 1
        if reason := left_out(self.suite, strategy=strategy, threads=threads):
            raise NotImplementedError(reason)
        if nodes * threads > available_cores():
            raise NotImplementedError(f"{nodes} × {threads} cores, {available_cores()} available")
        case = Case(
            suite=self.suite,
            problem="parcels",
            scale=1 / 32,
            strategy=strategy,
            nodes=nodes,
            threads=threads,
            blas=os.environ.get("RIDGEBENCH_BLAS"),
            kernels=os.environ.get("RIDGEBENCH_KERNELS", "default"),
        )
        self.found = measure_overhead(case, store=Path(session))
        if self.found["status"] != "ok":
            raise RuntimeError(self.found["reason"])

    def track_ratio(self, session: str, *parameters: Any) -> float:
        return self.found["ratio"]

    track_ratio.unit = "watched / unwatched"

    def track_sampler_share(self, session: str, *parameters: Any) -> float:
        return self.found["sampler_share"]

    track_sampler_share.unit = "of one core"
