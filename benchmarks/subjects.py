"""Figures 3.10 and 3.11 by subject: brains differ in their number of voxels, up to 281,532.

One node and one thread, and the thesis's largest configuration; the suite `nodes_bmor` has the
whole grid of nodes and threads for one subject.
"""

from __future__ import annotations

from typing import Any

from benchmarks.common import FitSuite, make_case, measured

SUBJECTS = ["sub-01", "sub-02", "sub-03", "sub-04", "sub-05", "sub-06"]


class Subjects(FitSuite):
    suite = "subjects"
    params = (["ridgecv", "bmor"], SUBJECTS, [1, 8], [1, 32], ["1/24", "1"])
    param_names = ("strategy", "subject", "nodes", "threads", "scale")

    @classmethod
    def reason_to_skip(cls, *parameters: Any) -> str | None:
        strategy, _, nodes, _, _ = parameters
        if strategy == "ridgecv" and nodes > 1:
            return "ridgecv runs on one node"
        return super().reason_to_skip(*parameters)

    def case(self, strategy: str, subject: str, nodes: int, threads: int, scale: str) -> Any:
        return make_case(
            self.suite,
            "whole-brain-bmor",
            scale,
            subject=subject,
            strategy=strategy,
            nodes=nodes,
            threads=threads,
        )

    def track_time(self, session: str, *parameters: Any) -> float:
        return self.record.times.median_s

    track_time.unit = "seconds"

    def track_inverse_dsu(
        self, session: str, strategy: str, subject: str, nodes: int, threads: int, scale: str
    ) -> float:
        """T(strategy, c nodes, N threads) / T(ridgecv, 1 node, 1 thread), of the same subject."""
        reference = measured(session, self.case("ridgecv", subject, 1, 1, scale))
        return self.record.times.median_s / reference.times.median_s

    track_inverse_dsu.unit = "of the ridgecv 1-thread time"
