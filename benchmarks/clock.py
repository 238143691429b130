"""The machine's clock: `ridgecv` on one node and one thread, at the start of a run.

`ridgebench bench` repeats it through the run. Other suites are held against their own reference.
"""

from __future__ import annotations

from typing import Any

from benchmarks.common import FitSuite, reference


class Clock(FitSuite):
    suite = "clock"
    in_turn = False
    params = (["parcels"], ["1/32"])
    param_names = ("resolution", "scale")

    def case(self, resolution: str, scale: str) -> Any:
        return reference()

    def track_time(self, session: str, *parameters: Any) -> float:
        return self.record.times.median_s

    track_time.unit = "seconds"
