"""Figures 3.6 and 3.8 of the thesis: RidgeCV against threads, at parcel and ROI resolution."""

from __future__ import annotations

from typing import Any

from benchmarks.common import THREADS, FitSuite, make_case, measured, samples


class Threads(FitSuite):
    suite = "threads"
    params = (["parcels", "roi"], THREADS, ["1/24", "1/8", "1"])
    param_names = ("resolution", "threads", "scale")

    def case(self, resolution: str, threads: int, scale: str) -> Any:
        return make_case(
            self.suite, resolution, scale, strategy="ridgecv", nodes=1, threads=threads
        )

    def _one_thread(self, session: str, resolution: str, scale: str) -> Any:
        return measured(session, self.case(resolution, 1, scale)).times

    def track_time(self, session: str, *parameters: Any) -> dict[str, Any]:
        return samples(self.record.times)

    track_time.unit = "seconds"

    def track_inverse_speed_up(
        self, session: str, resolution: str, threads: int, scale: str
    ) -> dict[str, Any]:
        """T(N) / T(1): 1 / SU, so that a loss is an increase."""
        return samples(self.record.times, self._one_thread(session, resolution, scale))

    track_inverse_speed_up.unit = "of the 1-thread time"

    def track_inverse_efficiency(
        self, session: str, resolution: str, threads: int, scale: str
    ) -> float:
        """N T(N) / T(1): 1 / PE."""
        seconds = self.record.times.median_s
        return threads * seconds / self._one_thread(session, resolution, scale).median_s

    track_inverse_efficiency.unit = "1 / parallel efficiency"

    def track_peak_memory(self, session: str, *parameters: Any) -> float:
        return self.record.memory.peak_bytes

    track_peak_memory.unit = "bytes"
