"""What watching costs a fit: the time with memory, bytes and phases watched over that without.

Phases have a ratio of their own, and the largest difference of their sums from the fit.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from benchmarks.common import Suite

# Difference of the sums of phases from the fit, relative to the fit, beyond which they are wrong.
MOST_DEVIATION = 0.02


class Overhead(Suite):
    suite = "overhead"
    params = (["ridgecv", "multitarget", "bmor", "bmor-shared"], [1, 2], [1, 2])
    param_names = ("strategy", "nodes", "threads")

    @classmethod
    def reason_to_skip(cls, *parameters: Any) -> str | None:
        strategy, nodes, _ = parameters
        if (strategy in ("bmor", "bmor-shared")) != (nodes == 2):
            return "strategies of one process are watched on 1 node, those of a cluster on 2"
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

    def track_phases_ratio(self, session: str, *parameters: Any) -> float:
        """The time with phases alone over that without."""
        return math.nan if self.found.phases is None else self.found.phases.ratio

    track_phases_ratio.unit = "with phases / without"

    def track_phases_deviation(self, session: str, *parameters: Any) -> float:
        """The difference of the sums of phases from the fit, median; an error beyond 2 %."""
        found = self.found.phases
        if found is None:
            return math.nan
        if found.deviation > MOST_DEVIATION:
            raise RuntimeError(f"phases differ from their fit by {found.deviation:.1%}")
        return found.deviation

    track_phases_deviation.unit = "of the fit"

    def track_phases_other(self, session: str, *parameters: Any) -> float:
        """The part of the critical path that no phase claims."""
        return math.nan if self.found.phases is None else self.found.phases.other_share

    track_phases_other.unit = "of the fit"
