"""Measurements: one fit in a process of its own, and one record of everything it showed.

`measure` runs a `FitSpec` and returns its record; `docs/measurements.md` documents the record.
"""

from bench_core.deprecated import renamed
from bench_core.measure.kernels import measure_kernels
from bench_core.measure.overhead import measure_overhead
from bench_core.measure.run import measure
from bench_core.records.store import publish, records_folder, session_store
from bench_core.runner.spec import FitSpec

__all__ = [
    "FitSpec",
    "measure",
    "measure_kernels",
    "measure_overhead",
    "publish",
    "records_folder",
    "session_store",
]

__getattr__ = renamed(__name__, {"Case": "bench_core.runner.spec:FitSpec"})
