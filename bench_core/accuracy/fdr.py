"""False-discovery rate over many targets; the functions are in `bench_core.fdr`."""

from bench_core.fdr import adjusted_p, significant, threshold

__all__ = ["adjusted_p", "significant", "threshold"]
