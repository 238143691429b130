"""scikit-learn against itself: RidgeCV's ways to factorise, on tall and wide data.

Run over releases with ``RIDGEBENCH_PROFILE=sklearn asv run --config envs/asv.sklearn.conf.json
--bench SklearnVersions``; other profiles leave it out, for it wants releases and not libraries.
Since 1.9 the default takes eigenvalues of XᵀX on tall data and forms (XᵀX + λI)⁻¹, p × p, and its
product with X for every penalty; before, it took the singular values of X once.
"""

from __future__ import annotations

from typing import Any

from benchmarks.common import FitSuite, make_case, measured, samples


class SklearnVersions(FitSuite):
    suite = "sklearn_versions"
    params = (["auto", "svd"], ["parcels", "whole-brain-mor"], ["1/16", "1/8", "1/2"])
    param_names = ("gcv_mode", "problem", "scale")

    @classmethod
    def reason_to_skip(cls, *parameters: Any) -> str | None:
        _, problem, scale = parameters
        if (problem == "whole-brain-mor") != (scale == "1/2"):
            return "tall data at 1/16 and 1/8, wide data at 1/2"
        return super().reason_to_skip(*parameters)

    def case(self, gcv_mode: str, problem: str, scale: str) -> Any:
        return make_case(
            self.suite,
            problem,
            scale,
            strategy="ridgecv",
            options={"gcv_mode": gcv_mode},
            nodes=1,
            threads=1,
            null="skip",
        )

    def track_time(self, session: str, *parameters: Any) -> dict[str, Any]:
        return samples(self.record.times)

    track_time.unit = "seconds"

    def track_over_svd(self, session: str, gcv_mode: str, problem: str, scale: str) -> float:
        """The time over that of ``gcv_mode="svd"`` in the same run."""
        svd = measured(session, self.case("svd", problem, scale))
        return self.record.times.median_s / svd.times.median_s

    track_over_svd.unit = "of the time with gcv_mode=svd"
