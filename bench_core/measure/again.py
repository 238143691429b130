"""Further runs of a case that was measured: its times in a new process, and nothing twice."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from bench_core.cluster import NodeLostError
from bench_core.cluster.settings import LOCAL, ClusterSettings, mixed_allowed
from bench_core.errors import ResourceError
from bench_core.measure.run import ACCEPT_LOAD
from bench_core.progress import Progress, silent
from bench_core.records import codec
from bench_core.records.pooling import pool_runs
from bench_core.records.record import Record
from bench_core.records.scalars import Status
from bench_core.runner.problem_cache import cached, prepare_scratch
from bench_core.runner.protocol import WorkerResult
from bench_core.runner.run import RunSettings, disturbed_reason, finish_record, launch_fit
from bench_core.runner.spec import FitSpec


def measure_again(
    spec: FitSpec,
    *,
    store: Path,
    scratch: Path | None = None,
    progress: Progress = silent,
    timeout: float | None = None,
    accept_load: bool | None = None,
    cluster: ClusterSettings = LOCAL,
    allow_mixed: bool | None = None,
) -> Record:
    """Return the record of ``spec`` with the times of one more run, and write it to ``store``.

    The run proves its BLAS and its threads. What does not change from run to run (accuracy, null,
    agreement) is that of the first. A record that has no times comes back as it is. A run on other
    processors than those of the record, which a cluster may give, is left out with a warning.

    Parameters
    ----------
    store : holds the record of the first run, from `bench_core.measure.measure`.
    scratch, progress, timeout, accept_load, cluster, allow_mixed : as there; ``spec`` names the
        cluster.

    Raises
    ------
    InputError : the store has no record of ``spec``, or a damaged one.
    """
    began = perf_counter()
    path = store / f"{spec.stem}.json"
    record = codec.read(Record, path)
    if record.status not in ("ok", "disturbed") or record.times is None:
        return record
    settings = RunSettings(
        scratch=prepare_scratch(scratch or cluster.scratch, progress),
        log=path.with_suffix(".log"),
        timeout=timeout,
        progress=progress,
        accept_load=bool(os.environ.get(ACCEPT_LOAD)) if accept_load is None else accept_load,
        cluster=cluster,
        allow_mixed=mixed_allowed() if allow_mixed is None else allow_mixed,
    )
    number = 1 + max((one.number for one in record.times.runs), default=0)
    try:
        with cached(spec, scratch=settings.scratch, progress=progress) as entry:
            data = entry.data(settings.scratch)
            found, _ = launch_fit(spec, data, settings, record.plan, run=number, timing_only=True)
    except ResourceError as error:
        note = f"run {number} was left out: {error}"
        record = replace(record, warnings=(*record.warnings, note))
    else:
        record = add_run(record, found, number, accept_load=settings.accept_load)
    record = finish_record(record, began - record.seconds, settings)
    codec.write(record, path)
    return record


def add_run(record: Record, found: WorkerResult, number: int, *, accept_load: bool) -> Record:
    """Return a record with the times of a further run; invalid or failed if that run is so.

    A run that lost a node elsewhere, or was on other processors there, is left out with a warning:
    jobs end, and what was measured before is as good as it was.
    """
    reason = found.reason
    left_out = _left_out(record, found)
    if left_out is not None:
        note = f"run {number} was left out: {left_out}"
        return replace(record, warnings=(*record.warnings, note))
    if found.status == "ok" and found.processor is not None:
        reason = found.processor.note
    if found.times is None or reason is not None:
        status: Status = "failed" if found.status == "failed" else "invalid"
        return replace(
            record,
            status=status,
            reason=f"run {number}: {reason}",
            times=None if status == "failed" else record.times,
        )
    assert record.times is not None
    times = pool_runs(record.times, found.times.runs, seed=record.seed)
    disturbed = None if accept_load else disturbed_reason(times.runs)
    return replace(
        record,
        status="ok" if disturbed is None else "disturbed",
        reason=disturbed,
        times=times,
    )


def _left_out(record: Record, found: WorkerResult) -> str | None:
    """Return why a further run does not count and says nothing against the others; None if not."""
    lost = found.status == "failed" and found.error == NodeLostError.__name__
    if lost and record.cluster is not None:
        return found.reason
    return other_processors(record, found) if found.status == "ok" else None


def other_processors(record: Record, found: WorkerResult) -> str | None:
    """Return how the processors of a further run's hosts are others than the record's.

    None where they are the same, and on this machine.
    """
    if record.cluster is None or found.cluster is None:
        return None
    before, now = (
        sorted({str(host.cpu["model"]) for host in one.hosts})
        for one in (record.cluster, found.cluster)
    )
    if before == now:
        return None
    return f"its nodes had {', '.join(now)}, those of the first run {', '.join(before)}"
