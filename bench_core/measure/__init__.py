"""Measurements: one fit in a process of its own, and one record of everything it showed.

`measure` runs a `Case` and returns its record; `docs/measurements.md` documents the record.
"""

from bench_core.measure.case import Case
from bench_core.measure.record import SCHEMA, read, read_all, schema, validate
from bench_core.measure.run import measure, skipped
from bench_core.records.store import publish, publish_kernels, records_folder, session_store

__all__ = [
    "SCHEMA",
    "Case",
    "measure",
    "publish",
    "publish_kernels",
    "read",
    "read_all",
    "records_folder",
    "schema",
    "session_store",
    "skipped",
    "validate",
]
