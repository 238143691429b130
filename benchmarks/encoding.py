"""From a film to r: every step timed on the example's films and fMRI, whose answer is planted.

Needs the extras brain and encoders (envs/asv.encoding.conf.json). Elsewhere it is skipped.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.common import Suite

NEEDS = ("av", "h5py", "nilearn", "torch")


class Encoding(Suite):
    suite = "encoding"
    params = (
        ["parcels", "whole-brain"],
        ["first", "second", "bars"],
        ["none", "project=3"],
        ["multitarget", "ridgecv"],
        [1, 2],
    )
    param_names = ("problem", "layer", "reducer", "strategy", "threads")

    @classmethod
    def reason_to_skip(cls, *parameters: Any) -> str | None:
        absent = [name for name in NEEDS if find_spec(name) is None]
        if absent:
            return (
                f"{', '.join(absent)} not installed here: pip install 'ridgebench[brain,encoders]'"
            )
        return super().reason_to_skip(*parameters)

    def prepare(
        self, session: str, problem: str, layer: str, reducer: str, strategy: str, threads: int
    ) -> None:
        from bench_core.study.encoding import EncodingCase, measure_encoding

        folder = Path(session) / "encoding"
        folder.mkdir(parents=True, exist_ok=True)
        case = EncodingCase(problem, layer, reducer, strategy, threads)
        self.figures = measure_encoding(case, folder)

    def track_decode_time(self, session: str, *parameters: Any) -> float:
        return self.figures.decode_s

    def track_network_time(self, session: str, *parameters: Any) -> float:
        return self.figures.network_s

    def track_reduction_time(self, session: str, *parameters: Any) -> float:
        return self.figures.reduce_s

    def track_fit_time(self, session: str, *parameters: Any) -> float:
        return self.figures.fit_s

    def track_predict_time(self, session: str, *parameters: Any) -> float:
        return self.figures.predict_s

    def track_feature_bytes(self, session: str, *parameters: Any) -> float:
        return self.figures.feature_bytes

    def track_r_shortfall(self, session: str, *parameters: Any) -> float:
        """1 - mean r, so that a loss of accuracy is an increase."""
        return 1 - _number(self.figures.r_mean)

    def track_r_p95_shortfall(self, session: str, *parameters: Any) -> float:
        return 1 - _number(self.figures.r_p95)

    def track_largest_r_shortfall(self, session: str, *parameters: Any) -> float:
        return 1 - _number(self.figures.r_max)

    def track_null_r_maximum(self, session: str, *parameters: Any) -> float:
        return _number(self.figures.null_max)

    def track_ceiling_shortfall(self, session: str, *parameters: Any) -> float:
        return 1 - _number(self.figures.ceiling_p95)

    def track_planted_shortfall(self, session: str, *parameters: Any) -> float:
        """1 - mean r where the response to the best layer was planted."""
        return 1 - max(self.figures.planted.values())


def _number(value: float | None) -> float:
    return math.nan if value is None else value


for _name in ("decode", "network", "reduction", "fit", "predict"):
    getattr(Encoding, f"track_{_name}_time").unit = "seconds"
Encoding.track_feature_bytes.unit = "bytes"
for _name in (
    "r_shortfall",
    "r_p95_shortfall",
    "largest_r_shortfall",
    "null_r_maximum",
    "ceiling_shortfall",
):
    getattr(Encoding, f"track_{_name}").unit = "Pearson r"
Encoding.track_planted_shortfall.unit = "1 - Pearson r"
