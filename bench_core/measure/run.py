"""`measure`: one specification in, one record out, whatever happens on the way."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from bench_core.disk import check_writable, explained, readable_path
from bench_core.errors import RidgebenchError
from bench_core.progress import Progress, silent
from bench_core.records import codec
from bench_core.records.record import Record
from bench_core.runner.memory import INTERVAL_MS
from bench_core.runner.spec import FitSpec
from bench_core.runner.split_choice import with_split

ACCEPT_LOAD = "RIDGEBENCH_ACCEPT_LOAD"

if TYPE_CHECKING:
    from bench_core.cluster.settings import ClusterSettings
    from bench_core.runner.run import RunSettings


class RecordNotWrittenError(RidgebenchError):
    """A record was measured and could not be written; it is ``record``, and the command prints it.

    Its space is reserved, so this happens where a file system does not keep its word.

    Examples
    --------
    >>> from bench_core.measure import FitSpec
    >>> from bench_core.runner.run import start_record
    >>> from bench_core.runner.spec import ProblemShape
    >>> spec = FitSpec("parcels", "bmor")
    >>> record = start_record(spec, ProblemShape("parcels", 1081, 256, 6, "float64"))
    >>> error = RecordNotWrittenError(Path("bmor.json"), record, "the disk is full")
    >>> error.record.case.strategy, error.exit_code
    ('bmor', 1)
    """

    exit_code = 1

    def __init__(self, path: Path, record: Record, reason: str) -> None:
        super().__init__(f"{reason}; the record that {path.name} should hold is printed: save it")
        self.record = record


def measure(
    spec: FitSpec,
    *,
    store: Path,
    progress: Progress | None = None,
    scratch: Path | None = None,
    timeout: float | None = None,
    again: bool = False,
    interval_ms: float = INTERVAL_MS,
    accept_load: bool | None = None,
    cluster: ClusterSettings | None = None,
    allow_mixed: bool | None = None,
) -> Record:
    """Return the record of ``spec``: read from ``store`` if it is there, else measured now.

    A split that is left to the problem (`FitSpec.split`) is decided first: the record is that of
    the same case with that split.
    The fit runs in a fresh process whose thread and kernel variables are set before numpy loads.
    The record is written to ``store`` whole or, when interrupted, not at all; its space on the
    disk is reserved before. Of a fit that failed, what it printed is beside it with the suffix
    ``.log``.

    Parameters
    ----------
    progress : called from another thread.
    scratch : folder for problems and shared arrays; see
        `bench_core.runner.problem_cache.scratch_folder`.
    timeout : seconds that the worker may take; it is then killed and recorded as failed.
    again : measure although there is a record.
    interval_ms : between two samples of memory.
    accept_load : keep times as they are where others used the machine. Else they are measured
        again, once, and the record is "disturbed" if that did not help. None for what the variable
        ``RIDGEBENCH_ACCEPT_LOAD`` says: it is set to accept, and not set otherwise.
    cluster : where the nodes are; None: this machine. A strategy of one process then runs on the
        first node.
    allow_mixed : accept nodes that differ, and record how. None for what the variable
        ``RIDGEBENCH_ALLOW_MIXED`` says, in the same way.

    Raises
    ------
    UnknownNameError : no such problem, strategy, or option of the strategy.
    InputError : a damaged problem folder, data that no fit can use, or a store or scratch that
        cannot be written.
    ResourceError : the disk of the store has no space for the record; nothing was measured.
    RecordNotWrittenError : the file system did not keep what it had reserved; has the record.
    """
    readable_path(store.absolute())
    readable_path(spec.problem)
    label = "local" if cluster is None else cluster.label
    spec = replace(with_problem_spaces(with_split(spec)), cluster=label)
    path = store / f"{spec.stem}.json"
    if path.is_file() and not again:
        record = codec.read(Record, path)
        # Suites share records; each sees its own name in them.
        return replace(record, case=replace(record.case, suite=spec.suite))
    check_writable(store)
    # What fits is imported here: most calls only read a record.
    from bench_core.cluster.settings import LOCAL, mixed_allowed
    from bench_core.runner.problem_cache import prepare_scratch
    from bench_core.runner.run import RunSettings

    cluster = cluster or LOCAL
    with codec.reserved(path) as write:
        if accept_load is None:
            accept_load = bool(os.environ.get(ACCEPT_LOAD))
        settings = RunSettings(
            scratch=prepare_scratch(scratch or cluster.scratch, progress or silent),
            log=path.with_suffix(".log"),
            timeout=timeout,
            progress=progress or silent,
            interval_ms=interval_ms,
            cluster=cluster,
            allow_mixed=mixed_allowed() if allow_mixed is None else allow_mixed,
            accept_load=accept_load,
        )
        record = _measure_now(spec, settings)
        try:
            write(record)
        except RidgebenchError as error:
            raise RecordNotWrittenError(path, record, str(error)) from error
        except OSError as error:
            raise RecordNotWrittenError(path, record, str(explained(error, path))) from error
    return record


def with_problem_spaces(spec: FitSpec) -> FitSpec:
    """Return the specification with the feature spaces of its problem folder, in full.

    It is the same where the strategy knows no spaces, or neither options nor folder have any.
    """
    folder = Path(spec.problem)
    if "spaces" not in spec.options and not folder.is_dir():
        return spec
    from bench_core.data import Problem
    from bench_core.runner.planning import with_spaces

    own = Problem.open(folder).feature_spaces if folder.is_dir() else None
    options = with_spaces(spec.strategy, spec.options, own)
    return spec if options == spec.options else replace(spec, options=options)


def _measure_now(spec: FitSpec, settings: RunSettings) -> Record:
    """Return a new record."""
    from bench_core.errors import ResourceError
    from bench_core.runner.planning import plan_record
    from bench_core.runner.preflight import preflight
    from bench_core.runner.problem_cache import cached, problem_shape
    from bench_core.runner.run import begin_record, finish_record, run_fit

    began = perf_counter()
    shape = problem_shape(spec)
    training = shape.training_samples(spec.split)
    checked = preflight(spec, shape, training, check_fits=True, cluster=settings.cluster)
    record = begin_record(spec, shape, checked)
    if checked.error is None:
        try:
            with cached(spec, scratch=settings.scratch, progress=settings.progress) as entry:
                data = entry.data(settings.scratch)
                # Runs differ in length: the split alone knows how many samples train.
                runs = data.train.runs.open()
                exact = preflight(
                    spec,
                    shape,
                    data.t_train,
                    check_fits=False,
                    runs=runs,
                    cluster=settings.cluster,
                )
                record = replace(record, plan=plan_record(exact.plan))
                record, _ = run_fit(record, spec, data, settings, cached=entry)
        except ResourceError as error:
            record = replace(record, status="skipped", reason=str(error))
    return finish_record(record, began, settings)
