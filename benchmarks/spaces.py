"""Banded ridge against himalaya's, with the same candidates and folds, in one run.

Ratios are inverse to speed-ups, so that a loss is an increase. Both spaces are halves of the
features: what counts is the work, not what is found.
"""

from __future__ import annotations

from typing import Any

from benchmarks.common import FitSuite, make_case, measured

CANDIDATES = 20

# Solver: strategy and its options beside the candidates.
SOLVERS: dict[str, tuple[str, dict[str, Any]]] = {
    "banded per target": ("banded", {"alpha_per_target": True, "refine": 0, "balanced": False}),
    "banded": ("banded", {"refine": 0, "balanced": False}),
    "himalaya-banded": ("himalaya-banded", {}),
}


class Spaces(FitSuite):
    suite = "spaces"
    params = (
        list(SOLVERS),
        ["whole-brain-bmor", "roi"],
        ["1/24", "1/8"],
        ["float64", "float32"],
        [1, 2],
    )
    param_names = ("solver", "problem", "scale", "dtype", "threads")

    def case(self, solver: str, problem: str, scale: str, dtype: str, threads: int) -> Any:
        from fractions import Fraction

        from bench_core.data import shape

        strategy, options = SOLVERS[solver]
        p = shape(problem, scale=float(Fraction(scale))).p
        spaces = {"first": [[0, p // 2]], "second": [[p // 2, p]]}
        return make_case(
            self.suite,
            problem,
            scale,
            strategy=strategy,
            options={**options, "candidates": CANDIDATES, "spaces": spaces},
            nodes=1,
            threads=threads,
            dtype=dtype,
            null="skip",
        )

    def track_time(self, session: str, *parameters: Any) -> float:
        return self.record.times.median_s

    track_time.unit = "seconds"

    def track_over_himalaya(self, session: str, solver: str, *rest: Any) -> float:
        """The time over himalaya's, with the same threads, candidates and folds."""
        peer = measured(session, self.case("himalaya-banded", *rest))
        return self.record.times.median_s / peer.times.median_s

    track_over_himalaya.unit = "of himalaya's time"

    def track_r_shortfall(self, session: str, *parameters: Any) -> float:
        return 1 - self.record.accuracy.mean

    track_r_shortfall.unit = "1 - Pearson r"

    def track_peak_memory(self, session: str, *parameters: Any) -> float:
        return self.record.memory.peak_bytes

    track_peak_memory.unit = "bytes"
