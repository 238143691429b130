"""Accuracy beside speed: held-out r, its shuffled null and agreement with the definition."""

from __future__ import annotations

from typing import Any

from benchmarks.common import FitSuite, make_case


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

    def track_r_mean(self, session: str, *parameters: Any) -> float:
        return self.record.accuracy.mean

    def track_r_maximum(self, session: str, *parameters: Any) -> float:
        return self.record.accuracy.max

    def track_r_shortfall(self, session: str, *parameters: Any) -> float:
        """1 - mean r, so that a loss of accuracy is an increase."""
        return 1 - self.record.accuracy.mean

    def track_null_r_maximum(self, session: str, *parameters: Any) -> float:
        return self.record.null.max

    def track_disagreement(self, session: str, *parameters: Any) -> float:
        """Worst difference from the strategy's definition, relative to its predictions."""
        return self.record.agreement.worst


for _track in (
    Accuracy.track_r_mean,
    Accuracy.track_r_maximum,
    Accuracy.track_r_shortfall,
    Accuracy.track_null_r_maximum,
):
    _track.unit = "Pearson r"
Accuracy.track_disagreement.unit = "relative difference"
