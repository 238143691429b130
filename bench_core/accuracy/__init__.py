"""Held-out accuracy: Pearson's r per target, its null, its significance, and its ceiling."""

from bench_core.accuracy.agreement import Ceiling, map_correlations, mean_between, noise_ceiling
from bench_core.accuracy.correlation import Summary, pearson_r, signed_square, summary
from bench_core.accuracy.held_out import HeldOutShifts, held_out_null
from bench_core.accuracy.null import Null, Permutations, refit_null, shifted_rows, shuffled_rows
from bench_core.accuracy.permutation import ridge_null
from bench_core.accuracy.regions import RegionAccuracy, by_region
from bench_core.accuracy.result import FitResult
from bench_core.fdr import adjusted_p, significant, threshold

__all__ = [
    "Ceiling",
    "FitResult",
    "HeldOutShifts",
    "Null",
    "Permutations",
    "RegionAccuracy",
    "Summary",
    "adjusted_p",
    "by_region",
    "held_out_null",
    "map_correlations",
    "mean_between",
    "noise_ceiling",
    "pearson_r",
    "refit_null",
    "ridge_null",
    "shifted_rows",
    "shuffled_rows",
    "signed_square",
    "significant",
    "summary",
    "threshold",
]
