"""Ways to choose the penalty that the field uses daily: one per target, and folds.

Every ratio is of two fits of one run that choose in the same way, inverse to a speed-up, so that a
loss is an increase. Generalised cross-validation is another criterion: it is held against
leave-one-out.
"""

from __future__ import annotations

import math
from typing import Any

from benchmarks.common import FitSuite, make_case, measured, samples

MSE = "neg_mean_squared_error"

# Way: strategy, its options, the precision of the problem, and the ways that it is held against.
WAYS: dict[str, tuple[str, dict[str, Any], str, tuple[str, ...]]] = {
    "ridgecv, per target": ("ridgecv", {"alpha_per_target": True}, "float64", ()),
    "himalaya, per target, 5 folds": ("himalaya", {"alpha_per_target": True}, "float32", ()),
    "himalaya, 10 folds": ("himalaya", {"cv": 10}, "float32", ()),
    "himalaya, folds by run": ("himalaya", {"cv": "run"}, "float32", ()),
    "himalaya, folds by run, r2": ("himalaya", {"cv": "run", "scoring": "r2"}, "float32", ()),
    "multitarget, per target": (
        "multitarget",
        {"alpha_per_target": True},
        "float32",
        ("ridgecv, per target", "himalaya, per target, 5 folds"),
    ),
    "multitarget, per target, gcv": (
        "multitarget",
        {"alpha_per_target": True, "cv": "gcv"},
        "float32",
        ("multitarget, per target",),
    ),
    "multitarget, per target, 5 folds": (
        "multitarget",
        {"alpha_per_target": True, "cv": 5, "scoring": MSE},
        "float32",
        ("himalaya, per target, 5 folds",),
    ),
    "multitarget, 10 folds": (
        "multitarget",
        {"cv": 10, "scoring": MSE},
        "float32",
        ("himalaya, 10 folds",),
    ),
    "multitarget, folds by run": (
        "multitarget",
        {"cv": "run", "scoring": MSE},
        "float32",
        ("himalaya, folds by run",),
    ),
    "multitarget, folds by run, r2": (
        "multitarget",
        {"cv": "run", "scoring": "r2"},
        "float32",
        ("himalaya, folds by run, r2",),
    ),
}


class PenaltyChoices(FitSuite):
    suite = "penalty_choices"
    params = (list(WAYS), ["whole-brain-bmor"], ["1/24", "1/8"], [2])
    param_names = ("way", "problem", "scale", "threads")

    def case(self, way: str, problem: str, scale: str, threads: int) -> Any:
        strategy, options, dtype, _ = WAYS[way]
        return make_case(
            self.suite,
            problem,
            scale,
            strategy=strategy,
            options=options,
            nodes=1,
            threads=threads,
            dtype=dtype,
            null="skip",
        )

    def track_time(self, session: str, *parameters: Any) -> dict[str, Any]:
        return samples(self.record.times)

    track_time.unit = "seconds"

    def track_over_peer(self, session: str, way: str, *rest: Any) -> float:
        """The time over that of the quickest way that it is held against."""
        peers = WAYS[way][3]
        if not peers:
            return math.nan  # not available: this is what others are held against
        return self.record.times.median_s / min(self._seconds(session, one, *rest) for one in peers)

    track_over_peer.unit = "of the quickest peer's time"

    def track_peak_memory(self, session: str, *parameters: Any) -> float:
        return self.record.memory.peak_bytes

    track_peak_memory.unit = "bytes"

    def _seconds(self, session: str, *parameters: Any) -> float:
        return measured(session, self.case(*parameters)).times.median_s
