"""Figures 3.10 and 3.11: whole-brain strategies against nodes and threads, and DSU.

The reference of DSU is `ridgecv` on one node and one thread of the same environment.
"""

from __future__ import annotations

from typing import Any

from benchmarks.common import NODES, THREADS, FitSuite, make_case, measured, samples


class WholeBrain(FitSuite):
    suite = "nodes_bmor"
    params = (["ridgecv", "bmor", "bmor-shared"], NODES, THREADS, ["1/24", "1/4", "1"])
    param_names = ("strategy", "nodes", "threads", "scale")

    def case(self, strategy: str, nodes: int, threads: int, scale: str) -> Any:
        return make_case(
            self.suite, "whole-brain-bmor", scale, strategy=strategy, nodes=nodes, threads=threads
        )

    def track_time(self, session: str, *parameters: Any) -> dict[str, Any]:
        return samples(self.record.times)

    track_time.unit = "seconds"

    def track_inverse_dsu(
        self, session: str, strategy: str, nodes: int, threads: int, scale: str
    ) -> dict[str, Any]:
        """T(strategy, c nodes, N threads) / T(ridgecv, 1 node, 1 thread): 1 / DSU."""
        reference = measured(session, self.case("ridgecv", 1, 1, scale))
        return samples(self.record.times, reference.times)

    track_inverse_dsu.unit = "of the ridgecv 1-thread time"

    def track_peak_memory(self, session: str, *parameters: Any) -> float:
        return self.record.memory.peak_bytes

    track_peak_memory.unit = "bytes"

    def track_bytes_moved(self, session: str, *parameters: Any) -> float:
        return self.record.bytes_moved["total"]

    track_bytes_moved.unit = "bytes"
