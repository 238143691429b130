"""Solvers of the same problem against each other, and against the machine's own matrix product.

Every ratio is of two fits of one run, inverse to a speed-up, so that a loss is an increase. The
fits' useful flops and the gemm rate that they are held against come from the plan and from
`benchmarks.kernels` in the same run and with the same threads.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from benchmarks.common import FitSuite, make_case, measured, publish, samples, usable

# Solver: strategy, its options, and the precision of the problem that it is given.
SOLVERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "ridgecv": ("ridgecv", {}, "float64"),
    "ridgecv svd": ("ridgecv", {"gcv_mode": "svd"}, "float64"),
    "himalaya float32": ("himalaya", {}, "float32"),
    "multitarget": ("multitarget", {}, "float64"),
    "multitarget float32": ("multitarget", {}, "float32"),
    "multitarget no coef": ("multitarget", {"coef": None}, "float64"),
    "multitarget no coef float32": ("multitarget", {"coef": None}, "float32"),
}
GEMM_SIZE = 4096


class Solvers(FitSuite):
    suite = "solvers"
    params = (
        list(SOLVERS),
        ["whole-brain-bmor", "parcels", "roi"],
        ["1/24", "1/8", "1/4"],
        [1, 2],
    )
    param_names = ("solver", "problem", "scale", "threads")

    @classmethod
    def reason_to_skip(cls, *parameters: Any) -> str | None:
        solver, problem, scale, threads = parameters
        if scale == ("1/8" if problem == "whole-brain-bmor" else "1/4"):
            return "whole-brain is compared at 1/24 and 1/4, parcels and roi at 1/24 and 1/8"
        if threads == 1 and (solver != "ridgecv" or problem != "whole-brain-bmor"):
            return "one thread is for the reference of whole-brain fits only"
        return super().reason_to_skip(*parameters)

    def case(self, solver: str, problem: str, scale: str, threads: int) -> Any:
        strategy, options, dtype = SOLVERS[solver]
        return make_case(
            self.suite,
            problem,
            scale,
            strategy=strategy,
            options=options,
            nodes=1,
            threads=threads,
            dtype=dtype,
            # The null of the problem's targets: solvers that agree share theirs. The reference is
            # the case of other suites too, and is not measured again for another null.
            null="auto" if solver == "ridgecv" else "sample",
        )

    def track_time(self, session: str, *parameters: Any) -> dict[str, Any]:
        return samples(self.record.times)

    track_time.unit = "seconds"

    def track_time_with_predictions(self, session: str, *parameters: Any) -> float:
        """Fit and prediction of the held-out samples: what an encoding map takes."""
        return self.record.times.median_s + self.record.times.predict_s

    track_time_with_predictions.unit = "seconds"

    def track_over_ridgecv(
        self, session: str, solver: str, problem: str, scale: str, threads: int
    ) -> float:
        """The time over that of scikit-learn's quicker way, with the same threads."""
        quicker = min(
            self._seconds(session, one, problem, scale, threads)
            for one in (["ridgecv", "ridgecv svd"] if threads > 1 else ["ridgecv"])
        )
        return self.record.times.median_s / quicker

    track_over_ridgecv.unit = "of the better ridgecv's time"

    def track_over_one_thread(
        self, session: str, solver: str, problem: str, scale: str, threads: int
    ) -> float:
        """The time with predictions over that of ridgecv on one thread: the thesis's 1 / DSU."""
        if problem != "whole-brain-bmor":
            return math.nan  # not available: that reference is measured for whole-brain only
        reference = self._seconds(session, "ridgecv", problem, scale, 1)
        times = self.record.times
        return (times.median_s + times.predict_s) / reference

    track_over_one_thread.unit = "of ridgecv's 1-thread time"

    def track_gemm_over_solver(
        self, session: str, solver: str, problem: str, scale: str, threads: int
    ) -> float:
        """The gemm rate over the fit's useful flops per second: 1 where all is a product."""
        from bench_core.measure import measure_kernels

        plan = self.record.plan
        if plan is None or plan.useful_flops is None:
            return math.nan  # not available: only a planned fit knows its flops
        dtype = SOLVERS[solver][2]
        kernels = measure_kernels(
            threads,
            GEMM_SIZE,
            operations=["gemm"],
            blas=os.environ.get("RIDGEBENCH_BLAS"),
            kernels=os.environ.get("RIDGEBENCH_KERNELS", "default"),
            store=Path(session),
        )
        publish(kernels)
        gemm = usable(kernels).rates[dtype]["gemm"].gflops
        return gemm / (plan.useful_flops / self.record.times.median_s / 1e9)

    track_gemm_over_solver.unit = "gemm rate over useful flops per second"

    def track_peak_memory(self, session: str, *parameters: Any) -> float:
        return self.record.memory.peak_bytes

    track_peak_memory.unit = "bytes"

    def _seconds(self, session: str, solver: str, problem: str, scale: str, threads: int) -> float:
        record = measured(session, self.case(solver, problem, scale, threads))
        return record.times.median_s
