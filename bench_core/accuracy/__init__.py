"""Held-out accuracy: Pearson's r per target, its summary, and its null."""

from bench_core.accuracy.correlation import Summary, pearson_r, summary
from bench_core.accuracy.null import shuffled_rows

__all__ = ["Summary", "pearson_r", "shuffled_rows", "summary"]
