"""From a film to r: every step timed on the example's films and fMRI, whose answer is planted.

It needs the extras brain and films, and no torch: the example's encoder computes in numpy. With
``RIDGEBENCH_ENCODING=FILE`` it also runs a user's own films, encoder and problems, as the file
says, or those of several files, one for each encoder (docs/encoders.md).
envs/asv.encoding.conf.json has the packages of networks.
"""

from __future__ import annotations

import math
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.common import Suite, publish

NEEDS = ("av", "h5py", "nilearn")

# Of `bench_core.study.encoding`, whose import is too heavy for a suite that is skipped.
GRIDS: dict[str, list[Any]] = {
    "problem": ["parcels", "whole-brain"],
    "layer": ["first", "second", "bars"],
    "reducer": ["none", "project=3"],
    "strategy": ["multitarget", "ridgecv"],
    "subject": ["sub-01", "sub-02"],
    "threads": [1, 2],
}


def own_grids(given: str) -> dict[str, tuple[Path, dict[str, list[Any]]]]:
    """Return the files that ``given`` names, separated as in PATH, and their grids, by problem.

    A relative path starts at the checkout.
    """
    from bench_core.study.encoding_settings import files_of

    return {
        file.name: (
            file.path,
            {
                "problem": [file.name],
                "layer": list(file.settings.layers),
                "reducer": list(file.settings.reducers),
                "strategy": list(file.settings.strategies),
                "subject": list(file.subjects),
                "threads": GRIDS["threads"],
            },
        )
        for file in files_of(given, Path(__file__).parents[1])
    }


# Of a user's own; nothing is imported for it where there is none.
_GIVEN = os.environ.get("RIDGEBENCH_ENCODING")
OWN = own_grids(_GIVEN) if _GIVEN else {}


def _grid(name: str) -> list[Any]:
    own = [value for _, grids in OWN.values() for value in grids[name]]
    return list(dict.fromkeys([*GRIDS[name], *own]))


class Encoding(Suite):
    suite = "encoding"
    params = tuple(_grid(name) for name in GRIDS)
    param_names = tuple(GRIDS)

    @classmethod
    def reason_to_skip(cls, *parameters: Any) -> str | None:
        absent = [name for name in NEEDS if find_spec(name) is None]
        if absent:
            return f"{', '.join(absent)} not installed here: pip install 'ridgebench[brain,films]'"
        named = dict(zip(cls.param_names, parameters, strict=True))
        own = OWN.get(named["problem"])
        grids = GRIDS if own is None else own[1]
        for key, value in named.items():
            if value not in grids[key]:
                return f"{named['problem']} has no {key} {value}"
        if own is not None:  # a profile names the example's
            return cls.too_large(1, named["threads"])
        return super().reason_to_skip(*parameters)

    def prepare(self, session: str, *parameters: Any) -> None:
        from bench_core.study.encoding import EncodingCase, measure_encoding

        folder = Path(session) / "encoding"
        folder.mkdir(parents=True, exist_ok=True)
        named = dict(zip(self.param_names, parameters, strict=True))
        own = OWN.get(named["problem"])
        case = EncodingCase(**named, file=None if own is None else own[0])
        self.figures = measure_encoding(case, folder)
        publish(self.figures.to_record(case))

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
        """1 - mean r where the response to the best layer was planted; NaN of a user's own."""
        return 1 - max(self.figures.planted.values(), default=math.nan)


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
