"""Figure 3.9: MultiOutput (one RidgeCV per target) against nodes and threads."""

from __future__ import annotations

from typing import Any

from benchmarks.common import NODES, THREADS, FitSuite, make_case, measured, profile, samples

SCALES = ["1/32", "1/8", "1/7", "1"]
"""1/7 is the smallest that holds out enough samples for r to mean anything, 15 of 142.

Profiles run no smaller one. 1/32 and 1/8 are in committed results.
"""


class MultiOutput(FitSuite):
    suite = "nodes_mor"
    params = (["ridgecv", "mor"], NODES, THREADS, SCALES)
    param_names = ("strategy", "nodes", "threads", "scale")

    def case(self, strategy: str, nodes: int, threads: int, scale: str) -> Any:
        return make_case(
            self.suite,
            "whole-brain-mor",
            scale,
            strategy=strategy,
            nodes=nodes,
            threads=threads,
            repeats=profile()["mor_repeats" if strategy == "mor" else "repeats"],
        )

    def track_time(self, session: str, *parameters: Any) -> dict[str, Any]:
        return samples(self.record.times)

    track_time.unit = "seconds"

    def track_inverse_dsu(
        self, session: str, strategy: str, nodes: int, threads: int, scale: str
    ) -> dict[str, Any]:
        """T(mor, c nodes, N threads) / T(ridgecv, 1 node, 1 thread): 1 / DSU."""
        reference = measured(session, self.case("ridgecv", 1, 1, scale))
        return samples(self.record.times, reference.times)

    track_inverse_dsu.unit = "of the ridgecv 1-thread time"
