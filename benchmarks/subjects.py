"""The thesis's figures by subject: 3.6 and 3.8 (threads), 3.9 (MOR), 3.10 and 3.11 (B-MOR).

Brains differ in their number of voxels, up to 281,532; parcels, ROI and MOR's voxels are as many in
all, of other data. The suites `threads`, `nodes_mor` and `nodes_bmor` have the whole grids for one
subject. Here a profile chooses the subjects.
"""

from __future__ import annotations

from typing import Any

from benchmarks.common import THREADS, FitSuite, make_case, measured, profile, samples

SUBJECTS = ["sub-01", "sub-02", "sub-03", "sub-04", "sub-05", "sub-06"]
SCALES = ["1/24", "1"]
MOR_SCALES = ["1/7", "1"]
"""At 1/24 MOR's 41 samples leave 5 to hold out, of which r says nothing."""


class _BySubject(FitSuite):
    suite = "subjects"

    @classmethod
    def reason_to_skip(cls, *parameters: Any) -> str | None:
        named = dict(zip(cls.param_names, parameters, strict=True))
        if named.get("strategy") == "ridgecv" and named["nodes"] > 1:
            return "ridgecv runs on one node"
        return super().reason_to_skip(*parameters)


class Subjects(_BySubject):
    params = (["ridgecv", "bmor"], SUBJECTS, [1, 8], [1, 32], SCALES)
    param_names = ("strategy", "subject", "nodes", "threads", "scale")

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


class SubjectsSpeedUp(_BySubject):
    params = (["parcels", "roi"], SUBJECTS, THREADS, SCALES)
    param_names = ("resolution", "subject", "threads", "scale")

    def case(self, resolution: str, subject: str, threads: int, scale: str) -> Any:
        return make_case(
            self.suite,
            resolution,
            scale,
            subject=subject,
            strategy="ridgecv",
            nodes=1,
            threads=threads,
        )

    def track_time(self, session: str, *parameters: Any) -> dict[str, Any]:
        return samples(self.record.times)

    track_time.unit = "seconds"

    def track_inverse_speed_up(
        self, session: str, resolution: str, subject: str, threads: int, scale: str
    ) -> dict[str, Any]:
        """T(N) / T(1) of the same subject: 1 / SU, so that a loss is an increase."""
        one = measured(session, self.case(resolution, subject, 1, scale))
        return samples(self.record.times, one.times)

    track_inverse_speed_up.unit = "of the 1-thread time"


class SubjectsMor(_BySubject):
    params = (["ridgecv", "mor"], SUBJECTS, [1, 2, 8], [1, 2, 32], MOR_SCALES)
    param_names = ("strategy", "subject", "nodes", "threads", "scale")

    def case(self, strategy: str, subject: str, nodes: int, threads: int, scale: str) -> Any:
        return make_case(
            self.suite,
            "whole-brain-mor",
            scale,
            subject=subject,
            strategy=strategy,
            nodes=nodes,
            threads=threads,
            repeats=profile()["mor_repeats" if strategy == "mor" else "repeats"],
        )

    def track_time(self, session: str, *parameters: Any) -> dict[str, Any]:
        return samples(self.record.times)

    track_time.unit = "seconds"

    def track_inverse_dsu(
        self, session: str, strategy: str, subject: str, nodes: int, threads: int, scale: str
    ) -> dict[str, Any]:
        """T(mor, c nodes, N threads) / T(ridgecv, 1 node, 1 thread), of the same subject."""
        reference = measured(session, self.case("ridgecv", subject, 1, 1, scale))
        return samples(self.record.times, reference.times)

    track_inverse_dsu.unit = "of the ridgecv 1-thread time"
