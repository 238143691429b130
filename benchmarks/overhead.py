"""What watching costs a fit: the time with memory sampling and byte counters over that without."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from benchmarks.common import Suite


class Overhead(Suite):
    suite = "overhead"
    params = (["ridgecv", "bmor"], [1, 2], [1, 2])
    param_names = ("strategy", "nodes", "threads")

    @classmethod
    def reason_to_skip(cls, *parameters: Any) -> str | None:
        strategy, nodes, _ = parameters
        if (strategy == "bmor") != (nodes == 2):
            return "ridgecv is watched on 1 node and bmor on 2"
        return super().reason_to_skip(*parameters)

    def prepare(self, session: str, *parameters: Any) -> None:
        from bench_core.measure import FitSpec, measure_overhead

        strategy, nodes, threads = parameters
        case = FitSpec(
            suite=self.suite,
            problem="parcels",
            scale=1 / 32,
            strategy=strategy,
            nodes=nodes,
            threads=threads,
            split="random",
            blas=os.environ.get("RIDGEBENCH_BLAS"),
            kernels=os.environ.get("RIDGEBENCH_KERNELS", "default"),
        )
        self.found = measure_overhead(case, store=Path(session))
        if self.found.status != "ok":
            raise RuntimeError(self.found.reason)

    def track_ratio(self, session: str, *parameters: Any) -> float:
        return self.found.ratio

    track_ratio.unit = "watched / unwatched"

    def track_sampler_share(self, session: str, *parameters: Any) -> float:
        return self.found.sampler_share

    track_sampler_share.unit = "of one core"
