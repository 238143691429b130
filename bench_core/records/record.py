"""The record of one fit: everything needed to trust it and to draw it.

These types are the schema: `bench_core.records.codec` reads and writes them as JSON, and
`json_schema` there states them as a JSON schema. Names are the JSON keys. ``None`` is
JSON's null: not known, or not reached. ``docs/measurements.md`` explains the record.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from bench_core.records.blas import BlasRecord
from bench_core.records.case import CaseRecord
from bench_core.records.machine import (
    ClusterRecord,
    LoadRecord,
    MachineRecord,
    ProcessorRecord,
    VariablesRecord,
)
from bench_core.records.phases import PhasesRecord
from bench_core.records.results import Accuracy, Agreement, NullAccuracy, PenaltyCounts
from bench_core.records.scalars import STRICT, Bytes, Count, Seconds, Status
from bench_core.records.times import DeviceMemory, Memory, Times

SCHEMA: Final = "ridgebench-measurement/3"
"""Version 3 added ``variables``, ``processor``, ``backend`` of a library and kernels by name.

Version 2 added ``plan`` and ``memory_needed.check_bytes``. Versions 1 and 2 are still read.
"""
SCHEMA_2: Final = "ridgebench-measurement/2"
SCHEMA_1: Final = "ridgebench-measurement/1"


@dataclass(frozen=True, config=STRICT)
class MemoryNeeded:
    """Memory estimated before the start.

    Parameters
    ----------
    needed_bytes : of the fit.
    available_bytes : of the machine at that time.
    check_bytes : of the comparison with scikit-learn's Ridge; None in records of version 1.
    """

    needed_bytes: Bytes
    available_bytes: Bytes
    check_bytes: Bytes | None = None


@dataclass(frozen=True, config=STRICT)
class PlanRecord:
    """The plan that the strategy made before the fit; see `bench_core.records.FitPlan`."""

    form: str | None
    flops: float | None
    useful_flops: float | None
    peak_bytes: Bytes
    node_bytes: tuple[Bytes, ...]
    slowdown: float | None
    settings: dict[str, Any]


@dataclass(frozen=True, config=STRICT)
class RecoveryRecord:
    """What a fit lost on its way and did again, or took from an earlier attempt.

    Its times are no measurement.

    Parameters
    ----------
    lost : every node or process that was lost, and how it ended.
    redone : times that work was begun again.
    resumed : batches that an earlier attempt had finished.

    Examples
    --------
    >>> RecoveryRecord(("node 1 (pid 4711) was killed by SIGKILL",), 1, 0).redone
    1
    """

    lost: tuple[str, ...]
    redone: Count
    resumed: Count


@dataclass(frozen=True, config=STRICT)
class Record:
    """One fit of one problem by one strategy.

    Parameters
    ----------
    id : unique: the key and the start.
    key : digest of the case without its suite; equal for equal cases.
    reason : why the status is not "ok".
    bytes_moved : between processes during one fit, by Dask's counters.
    environment : name that asv gives the environment; None outside asv.
    uncommitted : whether tracked files differed from the commit; None if unknown.
    started : UTC, ISO 8601. ``seconds`` : from start to record, everything included.
    plan : as it was carried out; None for strategies that make none, and in records of version 1.
    session : of the `ridgebench bench` that measured it interleaved with others; None outside one.
    warnings : what a fit was warned of: values left out, or less exact than asked for.
    device_memory : of every process on its GPU; empty where there is none.
    recovery : of a fit that lost a node or was resumed; None for every other.
    variables, processor : None where nothing ran, and in records before version 3.
    phases : seconds by phase; None for strategies that do not take them, and in older records.
    cluster : None where all processes were of the machine that the record names.

    Examples
    --------
    >>> from bench_core.records import parse_record, record_line
    >>> from bench_core.runner.run import start_record
    >>> from bench_core.runner.spec import FitSpec, ProblemShape
    >>> spec = FitSpec("parcels", "bmor", nodes=2)
    >>> record = start_record(spec, ProblemShape("parcels", 1081, 256, 6, "float64"))
    >>> record.status, record.case.nodes
    ('failed', 2)
    >>> parse_record(record_line(record), "the example") == record
    True
    """

    schema: Literal[
        "ridgebench-measurement/3", "ridgebench-measurement/2", "ridgebench-measurement/1"
    ]
    id: str
    key: Annotated[str, Field(pattern="^[0-9a-f]{20}$")]
    status: Status
    reason: str | None
    case: CaseRecord
    times: Times | None
    memory: Memory | None
    bytes_moved: dict[str, Bytes] | None
    penalty: PenaltyCounts | None
    accuracy: Accuracy | None
    null: NullAccuracy | None
    agreement: Agreement | None
    blas: BlasRecord | None
    machine: MachineRecord
    load: LoadRecord
    versions: dict[str, str]
    environment: str | None
    commit: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None
    uncommitted: bool | None
    memory_needed: MemoryNeeded | None
    started: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    seconds: Seconds
    seed: Count
    plan: PlanRecord | None = None
    variables: VariablesRecord | None = None
    processor: ProcessorRecord | None = None
    warnings: tuple[str, ...] = ()
    device_memory: tuple[DeviceMemory, ...] = ()
    recovery: RecoveryRecord | None = None
    phases: PhasesRecord | None = None
    session: str | None = None
    cluster: ClusterRecord | None = None

    def __post_init__(self) -> None:
        """Check what one field demands of another."""
        if self.status != "ok":
            if not self.reason:
                raise ValueError(f"status {self.status!r} needs a reason")
            if self.status in ("skipped", "failed") and self.times is not None:
                raise ValueError(f"status {self.status!r} has no times")
            return
        if self.reason is not None:
            raise ValueError("status 'ok' has no reason")
        needed = ("times", "memory", "bytes_moved", "penalty", "accuracy", "agreement", "blas")
        absent = [name for name in needed if getattr(self, name) is None]
        if absent:
            raise ValueError(f"status 'ok' needs {', '.join(absent)}")
        if self.agreement is not None and not self.agreement.agrees:
            raise ValueError("status 'ok' needs an agreement that agrees")
