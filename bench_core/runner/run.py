"""One fit from its specification to its record: the pipeline of `measure`, `fit` and `study`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, cast

from bench_core import machine, strategies
from bench_core.cluster.settings import LOCAL, ClusterSettings
from bench_core.disk import FULL, explained
from bench_core.errors import ResourceError
from bench_core.leftovers import owned_folder
from bench_core.progress import Progress, silent
from bench_core.records import codec
from bench_core.records.case import CaseRecord, ProblemRecord, SplitRecord
from bench_core.records.machine import Load, LoadRecord, MachineRecord, VariablesRecord
from bench_core.records.provenance import (
    commit,
    environment,
    machine_name,
    versions,
    without_paths,
)
from bench_core.records.record import SCHEMA, PlanRecord, Record
from bench_core.records.results import Agreement
from bench_core.records.statistics import few_samples
from bench_core.records.times import RunTimes
from bench_core.runner.agreement import disagreement
from bench_core.runner.arrays import FitData
from bench_core.runner.launcher import launch, worker_environment
from bench_core.runner.memory import INTERVAL_MS
from bench_core.runner.modelled_phases import with_modelled
from bench_core.runner.planning import plan_record
from bench_core.runner.preflight import Preflight
from bench_core.runner.problem_cache import CachedProblem
from bench_core.runner.protocol import FitJob, WorkerResult
from bench_core.runner.reference_penalty import reference_penalty
from bench_core.runner.spec import FitSpec, ProblemShape
from bench_core.runner.tied_penalties import compare_scores, compare_targets

if TYPE_CHECKING:
    from bench_core.blas import ProcessEnvironment

WORKER = "bench_core.runner.worker"
NOT_COMPARED = "RidgeCV is not run for comparison by a fit; `ridgebench measure` does that"
UNCHECKED = "too little memory to compare with scikit-learn's Ridge: not checked"


@dataclass(frozen=True)
class RunSettings:
    """Settings of a run that do not change what is fitted.

    Parameters
    ----------
    scratch : folder for shared arrays, absolute.
    options : of the strategy, where they differ from the specification's (a path for coefficients).
    log : file for what a failed worker printed.
    timeout : seconds that the worker may take.
    interval_ms : between two samples of memory.
    accept_load : keep times as they are where others used the machine; else they are measured again
        once, and the record is "disturbed" if that did not help.
    read_ahead, output, save_coef, retries, ledger : see `bench_core.runner.protocol.FitJob`.
    paths : further folders → the names that the record calls them by.
    cluster, allow_mixed : see `bench_core.runner.protocol.FitJob`.
    """

    scratch: Path
    options: Mapping[str, Any] | None = None
    log: Path | None = None
    timeout: float | None = None
    progress: Progress = silent
    interval_ms: float = INTERVAL_MS
    accept_load: bool = True
    read_ahead: bool = True
    output: Path | None = None
    save_coef: bool = False
    retries: int | None = None
    ledger: Path | None = None
    paths: Mapping[str, str] = field(default_factory=dict)
    cluster: ClusterSettings = LOCAL
    allow_mixed: bool = False


def start_record(spec: FitSpec, shape: ProblemShape) -> Record:
    """Return a record in which everything that needs a fit is None."""
    started = datetime.now(UTC)
    sha, uncommitted = commit()
    return Record(
        schema=SCHEMA,
        id=f"{spec.key()}-{started:%Y%m%dT%H%M%S%fZ}",
        key=spec.key(),
        status="failed",
        reason="not measured",
        case=CaseRecord(
            suite=spec.suite,
            problem=ProblemRecord(
                name=shape.name,
                subject=shape.subject,
                scale=shape.scale,
                seed=spec.seed,
                t=shape.t,
                p=shape.p,
                s=shape.s,
                t_train=None,
                t_test=None,
                dtype=cast(Literal["float64", "float32"], spec.dtype),
                fingerprint=None,
            ),
            split=SplitRecord(
                kind=cast(Literal["auto", "random", "run"], spec.split),
                seed=spec.seed,
                warning=None,
                reason=spec.split_reason,
            ),
            strategy=spec.strategy,
            options=dict(spec.options),
            nodes=spec.nodes,
            threads=spec.threads,
            repeats=spec.repeats,
            kernels=spec.kernels,
            alphas=spec.penalties,
            fit_intercept=spec.fit_intercept,
            blas=spec.blas,
            null=cast(Literal["auto", "fit", "sample", "skip"], spec.null),
            hardware_threads=spec.hardware_threads,
            until=spec.until,
            cluster=spec.cluster,
        ),
        times=None,
        memory=None,
        bytes_moved=None,
        penalty=None,
        accuracy=None,
        null=None,
        agreement=None,
        blas=None,
        machine=MachineRecord(machine_name()),
        load=LoadRecord(),
        versions=versions(),
        environment=environment(),
        commit=sha,
        uncommitted=uncommitted,
        memory_needed=None,
        started=f"{started:%Y-%m-%dT%H:%M:%SZ}",
        seconds=0.0,
        seed=spec.seed,
    )


def begin_record(spec: FitSpec, shape: ProblemShape, checked: Preflight) -> Record:
    """Return the record before the fit: machine, load, plan, memory, and a refusal if any."""
    record = replace(
        start_record(spec, shape),
        machine=MachineRecord(machine_name(), **machine.describe()),
        load=LoadRecord(before=_load()),
        plan=plan_record(checked.plan),
        memory_needed=checked.memory,
    )
    if checked.error is not None:
        record = replace(record, status="skipped", reason=str(checked.error))
    return record


def run_fit(
    record: Record,
    spec: FitSpec,
    data: FitData,
    settings: RunSettings,
    *,
    cached: CachedProblem | None = None,
) -> tuple[Record, WorkerResult]:
    """Fit in a process of its own; return the record of it, checked, and the worker's result.

    Parameters
    ----------
    record : from `begin_record`.
    cached : the problem in the cache, where the penalty is to be compared with RidgeCV's.
    """
    problem = replace(
        record.case.problem,
        t_train=data.t_train,
        t_test=data.t_test,
        fingerprint=data.fingerprint,
    )
    split = replace(record.case.split, warning=data.warning)
    record = replace(record, case=replace(record.case, problem=problem, split=split))
    found, variables = launch_fit(spec, data, settings, record.plan)
    record = replace(record, load=replace(record.load, after=_load()), variables=variables)
    agreement = _compare_or_note(found, spec, data, settings, cached)
    status, reason = found.status, found.reason
    if status == "ok":
        reason = UNCHECKED if agreement is None else disagreement(agreement, found.penalty)
        status = "ok" if reason is None else "invalid"
        if agreement is not None:
            agreement = replace(agreement, agrees=reason is None)
    doubt = None if found.processor is None else found.processor.note
    # A fit is wanted for its results, which are right however slowly they came.
    if status == "ok" and doubt is not None and settings.output is None:
        status, reason = "invalid", doubt
    if status == "ok" and not settings.accept_load and found.times is not None:
        reason = disturbed_reason(found.times.runs)
        status = "ok" if reason is None else "disturbed"
    assert status != "unfinished"
    names = (
        "times",
        "memory",
        "device_memory",
        "cluster",
        "bytes_moved",
        "penalty",
        "accuracy",
        "null",
        "blas",
        "processor",
        "warnings",
        "recovery",
        "phases",
    )
    values = {name: getattr(found, name) for name in names}
    if found.phases is not None and found.blas is not None:
        options = spec.options if settings.options is None else settings.options
        values["phases"] = with_modelled(found.phases, record.case, options, found.blas.numpy.name)
    if found.accuracy is not None and (few := few_samples(data.t_test)) is not None:
        values["warnings"] = (*found.warnings, few)
    if found.plan is not None:  # what was done, where the data asked for a more exact way
        values["plan"] = found.plan
    return replace(record, status=status, reason=reason, agreement=agreement, **values), found


def launch_fit(
    spec: FitSpec,
    data: FitData,
    settings: RunSettings,
    plan: PlanRecord | None,
    *,
    run: int = 0,
    timing_only: bool = False,
) -> tuple[WorkerResult, VariablesRecord]:
    """Fit in a process of its own; return the worker's result and the variables it was given.

    Parameters
    ----------
    run, timing_only : see `bench_core.runner.protocol.FitJob`.
    """
    options = dict(spec.options if settings.options is None else settings.options)
    built = _environment(spec, settings.cluster, options)
    variables = VariablesRecord(built.chosen, built.overridden, built.passed)
    with owned_folder(settings.scratch, "run") as own:
        job = FitJob(
            spec=spec,
            options=options,
            train=data.train,
            test=data.test,
            scratch=str(own),
            kept=str(settings.scratch),
            interval_ms=settings.interval_ms,
            cluster=settings.cluster,
            allow_mixed=settings.allow_mixed,
            read_ahead=settings.read_ahead,
            output=None if settings.output is None else str(settings.output),
            save_coef=settings.save_coef,
            retries=settings.retries,
            ledger=None if settings.ledger is None else str(settings.ledger),
            accept_load=settings.accept_load,
            run=run,
            timing_only=timing_only,
            planned=plan is not None,
            flops=None if plan is None else plan.flops,
        )
        try:
            found = launch(
                WORKER,
                job,
                WorkerResult,
                environment=built.variables,
                log=settings.log,
                timeout=settings.timeout,
                progress=settings.progress,
            )
        finally:
            if settings.cluster.elsewhere:
                settings.cluster.clean_up(job.scratch)
    return found, variables


def disturbed_reason(runs: Sequence[RunTimes]) -> str | None:
    """Return what disturbed every counted run, None if nothing did."""
    counted = [one for one in runs if one.counted]
    reasons = [one.disturbed for one in counted if one.disturbed is not None]
    if not reasons or len(reasons) < len(counted):
        return None
    return f"others used the machine during the fits: {reasons[-1]}"


def _environment(
    spec: FitSpec, cluster: ClusterSettings, options: Mapping[str, Any]
) -> ProcessEnvironment:
    """Return the environment of the worker, whose threads are its nodes' only where they are here.

    With nodes elsewhere it plans, checks and predicts on this machine, by this machine's cores.
    """
    if cluster.elsewhere:
        built = worker_environment(machine.available_cores(), "default", spec.blas)
    else:
        built = worker_environment(spec.threads, spec.kernels, spec.blas)
    own = strategies.get(spec.strategy)(spec.penalties, **options).variables
    return replace(built, variables=built.variables | own, chosen=built.chosen | own)


def finish_record(record: Record, began: float, settings: RunSettings) -> Record:
    """Return the record with its seconds and without the folders of this machine.

    Parameters
    ----------
    began : `time.perf_counter` at the start.
    """
    record = replace(record, seconds=perf_counter() - began)
    roots = {str(settings.scratch): "<scratch>", **settings.paths}
    text = json.dumps(without_paths(codec.to_dict(record), roots))
    return codec.from_json(Record, text, "this record")


def _compare_or_note(
    found: WorkerResult,
    spec: FitSpec,
    data: FitData,
    settings: RunSettings,
    cached: CachedProblem | None,
) -> Agreement | None:
    """Return `_compare_penalty`'s agreement; on a full disk a note, for the fit is measured."""
    try:
        return _compare_penalty(found, spec, data, settings, cached)
    except ResourceError as error:
        note = str(error)
    except OSError as error:
        if error.errno not in FULL:
            raise
        note = str(explained(error))
    assert found.agreement is not None
    return replace(found.agreement, note=f"RidgeCV was not compared: {note}")


def _compare_penalty(
    found: WorkerResult,
    spec: FitSpec,
    data: FitData,
    settings: RunSettings,
    cached: CachedProblem | None,
) -> Agreement | None:
    """Return the agreement with the comparison of the penalty, where the strategy claims it."""
    agreement = found.agreement
    if agreement is None or not strategies.get(spec.strategy).claims_ridgecv:
        return agreement
    if cached is None:
        return replace(agreement, note=NOT_COMPARED)
    settings.progress("comparing with RidgeCV")
    penalty = found.penalty
    tried = spec.penalties
    if penalty is not None and penalty.tried is not None and {*tried} <= {*penalty.tried}:
        tried = penalty.tried  # an extended grid
    if penalty is not None and penalty.scope == "target":
        assert found.sampled_penalties is not None
        each = compare_targets(cached, data, spec, tried, found.sampled_penalties, settings.timeout)
        return replace(agreement, same_penalty=each.same, tie=each.tie, note=each.note)
    expected, note = reference_penalty(
        cached, data, tried, spec.fit_intercept, spec.options, settings.timeout
    )
    if expected is None:
        return replace(agreement, note=note)
    chosen = () if penalty is None else penalty.values
    same = chosen == (expected,)
    agreement = replace(agreement, reference_penalty=expected, same_penalty=same)
    if same or len(chosen) != 1:
        return agreement
    settings.progress("comparing the scores of both penalties")
    found_tie = compare_scores(cached, data, spec, chosen[0], expected, settings.timeout)
    return replace(agreement, tie=found_tie.tie, note=found_tie.note)


def _load() -> Load:
    found = machine.load()
    average = found["average"]
    return Load(found["busy_cores"], None if average is None else tuple(average))
