"""Accuracy beside speed: held-out r, its shuffled null and agreement with the definition."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from benchmarks.common import FitSuite, make_case

if TYPE_CHECKING:
    from bench_core.records.results import Agreement


def next_decade(agreement: Agreement) -> float:
    """Return the power of ten that the worst difference is at most, not below that of rounding."""
    from bench_core.history.figures import ROUNDING

    worst = max(agreement.worst, agreement.tolerance * ROUNDING)
    return 10.0 ** math.ceil(math.log10(worst) - 1e-9)


class Accuracy(FitSuite):
    suite = "accuracy"
    in_turn = False  # its times are in no comparison
    params = (["parcels", "haxby2001"], ["ridgecv", "bmor"], ["float64", "float32"])
    param_names = ("problem", "strategy", "dtype")

    def case(self, problem: str, strategy: str, dtype: str) -> Any:
        return make_case(
            self.suite,
            problem,
            "1" if problem == "haxby2001" else "1/32",
            strategy=strategy,
            nodes=1,
            threads=1,
            dtype=dtype,
            split="run" if problem == "haxby2001" else "random",
            repeats=1,
            until=None,
        )

    def track_r_shortfall(self, session: str, *parameters: Any) -> float:
        """1 - mean r, so that a loss of accuracy is an increase."""
        return 1 - self.record.accuracy.mean

    def track_largest_r_shortfall(self, session: str, *parameters: Any) -> float:
        """1 - largest r, so that a loss of accuracy is an increase."""
        return 1 - self.record.accuracy.max

    def track_null_r_maximum(self, session: str, *parameters: Any) -> float:
        return self.record.null.max

    def track_disagreement(self, session: str, *parameters: Any) -> float:
        """Worst difference from the strategy's definition, as the next power of ten above rounding.

        asv compares by ratios, and rounding alone doubles a difference of 1e-14.
        """
        return next_decade(self.record.agreement)

    track_disagreement.version = "2"


for _track in (
    Accuracy.track_r_shortfall,
    Accuracy.track_largest_r_shortfall,
    Accuracy.track_null_r_maximum,
):
    _track.unit = "Pearson r"
Accuracy.track_disagreement.unit = "relative difference, next power of ten"
