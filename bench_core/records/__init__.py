"""Records: typed results of measurements, and the JSON files that hold them.

`Record` is of one fit, `KernelsRecord` of kernel rates, `SkipsRecord` of what did not run,
`SessionRecord` of one `ridgebench bench`, `FiguresRecord` of what is not one fit: encoders,
training, the way from a film to r.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_core.lazy import lazy

if TYPE_CHECKING:
    from bench_core.records.codec import from_json, json_schema, read, to_dict, to_json, write
    from bench_core.records.figures import SCHEMA_FIGURES, Figure, FiguresRecord, make_figures
    from bench_core.records.fit_plan import FitPlan
    from bench_core.records.kernels import SCHEMA_KERNELS, KernelCase, KernelRate, KernelsRecord
    from bench_core.records.reading import (
        AnyRecord,
        RecordSet,
        identity,
        parse_record,
        read_all,
        read_folder,
        read_lines,
        read_records,
        record_line,
    )
    from bench_core.records.record import SCHEMA, Record
    from bench_core.records.runs import EnvironmentRun, read_runs
    from bench_core.records.session import SCHEMA_SESSION, SessionRecord
    from bench_core.records.skips import SCHEMA_SKIPS, SkippedSets, SkipsRecord

__all__ = [
    "SCHEMA",
    "SCHEMA_FIGURES",
    "SCHEMA_KERNELS",
    "SCHEMA_SESSION",
    "SCHEMA_SKIPS",
    "AnyRecord",
    "EnvironmentRun",
    "Figure",
    "FiguresRecord",
    "FitPlan",
    "KernelCase",
    "KernelRate",
    "KernelsRecord",
    "Record",
    "RecordSet",
    "SessionRecord",
    "SkippedSets",
    "SkipsRecord",
    "from_json",
    "identity",
    "json_schema",
    "make_figures",
    "parse_record",
    "read",
    "read_all",
    "read_folder",
    "read_lines",
    "read_records",
    "read_runs",
    "record_line",
    "to_dict",
    "to_json",
    "write",
]

# A node that fits needs two of these modules, not the types of all.
_PLACES = {
    "SCHEMA": "record",
    "SCHEMA_FIGURES": "figures",
    "SCHEMA_KERNELS": "kernels",
    "SCHEMA_SESSION": "session",
    "SCHEMA_SKIPS": "skips",
    "AnyRecord": "reading",
    "EnvironmentRun": "runs",
    "Figure": "figures",
    "FiguresRecord": "figures",
    "FitPlan": "fit_plan",
    "KernelCase": "kernels",
    "KernelRate": "kernels",
    "KernelsRecord": "kernels",
    "Record": "record",
    "RecordSet": "reading",
    "SessionRecord": "session",
    "SkippedSets": "skips",
    "SkipsRecord": "skips",
    "from_json": "codec",
    "identity": "reading",
    "json_schema": "codec",
    "make_figures": "figures",
    "parse_record": "reading",
    "read": "codec",
    "read_all": "reading",
    "read_folder": "reading",
    "read_lines": "reading",
    "read_records": "reading",
    "read_runs": "runs",
    "record_line": "reading",
    "to_dict": "codec",
    "to_json": "codec",
    "write": "codec",
}


__getattr__ = lazy(__name__, _PLACES)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
