"""The process in which every fit runs: ``python -m bench_core.runner.worker JOB.json OUT.json``.

Its caller has set the thread and kernel variables in its environment, so that they are in force
before numpy loads. `bench_core.runner.run` starts it for `measure`, `fit` and `study`,
`bench_core.measure.overhead` for pairs of fits with and without observation.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from bench_core.runner.protocol import HELD, FitJob, FurtherResults, Keep, WorkerResult, serve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from bench_core.data import Problem
    from bench_core.progress import Progress
    from bench_core.records.times import Times
    from bench_core.runner.one_run import Run
    from bench_core.runner.session import Session


def run_job(job: FitJob, progress: Progress, keep: Keep) -> WorkerResult:
    """Fit, prove the BLAS, predict, save, and compare with scikit-learn's Ridge."""
    from time import perf_counter

    import numpy as np

    from bench_core.accuracy import pearson_r, summary
    from bench_core.accuracy.result import SHUFFLED
    from bench_core.records.blas import BlasCalls
    from bench_core.records.results import Accuracy
    from bench_core.runner.agreement import count_penalties, sample_targets
    from bench_core.runner.blas_proof import mixture
    from bench_core.runner.link_meter import link_records
    from bench_core.runner.one_run import time_run
    from bench_core.runner.planning import plan_record
    from bench_core.runner.processor import processor_record
    from bench_core.runner.setup import open_session
    from bench_core.runner.timing import kept_warnings, null_accuracy

    spec = job.spec
    with open_session(job, progress) as session:
        on_device = session.start_device_memory()
        loads = session.loads()
        with session.watch_memory(job.interval_ms) as watch, kept_warnings() as warned:
            session.start_recovery()
            run = time_run(session, watch, progress)
        model, times = run.fits.model, run.fits.times
        device_memory = session.device_memory(on_device)
        links = link_records(run.fits.moved, run.fits.link_seconds)
        hosts = session.cluster_record(loads, watch, links)
        blas, reason = session.prove_blas()
        if reason:
            return WorkerResult("invalid", reason, blas=blas, cluster=hosts)
        progress("counting threads")
        processor = processor_record(
            run.meter,
            session.products(),
            threads=spec.threads,
            flops=job.flops,
            further=mixture([BlasCalls(blas.numpy, blas.scipy), *blas.workers]),
            quota=session.quota(),
        )
        processor = replace(processor, placement=session.placement())
        if job.timing_only:
            return WorkerResult(
                status="ok",
                times=_times(session, run, 0.0),
                blas=blas,
                processor=processor,
                cluster=hosts,
            )
        progress("predicting")
        started = perf_counter()
        predictions = np.asarray(model.predict(session.test.X))
        predict_s = perf_counter() - started
        if predictions.shape != session.test.Y.shape:
            reason = f"predictions have shape {predictions.shape}, not {session.test.Y.shape}"
            return WorkerResult("invalid", reason, blas=blas)
        penalty = count_penalties(
            chosen := model.chosen_alphas(), model.scope, tried=model.tried_alphas()
        )
        plan = plan_record(model.carried_out())
        r = pearson_r(session.test.Y, predictions)
        further = None
        if job.output is not None:
            progress("writing")
            further = _save(job, model, session.test, predictions, chosen, r)
        scales = model.feature_scales(sample_targets(session.train.s, spec.seed))
        del model
        result = WorkerResult(
            status="ok",
            times=_times(session, run, predict_s),
            memory=run.memory,
            device_memory=device_memory,
            bytes_moved=run.fits.moved,
            penalty=penalty,
            accuracy=Accuracy(**summary(r)),
            blas=blas,
            sampled_penalties=tuple(chosen[sample_targets(session.train.s, spec.seed)].tolist()),
            plan=plan,
            warnings=tuple(warned),
            processor=processor,
            recovery=session.recovery(),
            phases=run.fits.phases,
            cluster=hosts,
            further=further,
        )
        progress("checking")
        keep(result, "not compared with scikit-learn's Ridge")
        result = replace(result, agreement=_agreement(session, predictions, chosen, scales))
        del predictions
        if spec.null != "skip":
            progress("fitting to shuffled rows")
            session.forget_batches()
        null = null_accuracy(
            partial(session.make, shuffled=True),
            session.train,
            session.test,
            method=spec.null,
            fit_seconds=median(times),
            alphas=spec.penalties,
            fit_intercept=spec.fit_intercept,
            seed=spec.seed,
            per_target=penalty.scope == "target",
            keep=None if job.output is None else partial(_save_array, job.output, SHUFFLED),
        )
        return replace(result, null=null)


def _times(session: Session, run: Run, predict_s: float) -> Times:
    """Return the record's ``times``."""
    from bench_core.records.statistics import time_summary
    from bench_core.records.times import Times

    return Times(
        **time_summary(run.fits.times, seed=session.job.spec.seed),
        predict_s=predict_s,
        warm_up_s=session.warm_up_s,
        cluster_start_s=session.cluster_start_s,
        runs=run.attempts,
    )


def _save(
    job: FitJob,
    model: Any,
    test: Problem,
    predictions: NDArray[Any],
    chosen: NDArray[Any],
    r: NDArray[Any],
) -> FurtherResults | None:
    """Save the arrays of a fit to the job's output folder; name those of the strategy's own."""
    import numpy as np

    from bench_core.files import link_or_copy

    assert job.output is not None
    folder = Path(job.output)
    kept = {
        "prediction": predictions,
        "penalty": chosen,
        "r": r,
        "intercept": np.asarray(model.intercept_),
    }
    further = model.held_out_results(test.X, test.Y)
    kept |= further
    coef = folder / "coef.npy"
    if job.save_coef and not coef.exists():
        if (whole := ledger_file(job, model.coef_)) is not None:
            link_or_copy(whole, coef)
        else:
            kept["coef"] = model.coef_
    for name, array in kept.items():
        _save_array(job.output, name, array)
    return FurtherResults(tuple(further), model.held_out_names()) if further else None


def _save_array(output: str, name: str, array: NDArray[Any]) -> None:
    """Save an array of a fit to the output folder, into the disk space that is held for it."""
    from bench_core.disk import give_back
    from bench_core.npy import HEADER_BYTES, save_array

    folder = Path(output)
    give_back(folder / HELD, array.nbytes + HEADER_BYTES)
    save_array(folder / f"{name}.npy", array)


def ledger_file(job: FitJob, coef: Any) -> Path | None:
    """Return the file of the job's ledger that ``coef`` maps, None where it is no such file."""
    name = getattr(coef, "filename", None)
    if job.ledger is None or name is None or Path(name).parent != Path(job.ledger):
        return None
    return Path(name)


def _agreement(
    session: Session,
    predictions: NDArray[Any],
    chosen: NDArray[Any],
    scales: NDArray[Any] | None,
) -> Any:
    """Return the record's ``agreement``; None where memory does not suffice to check it."""
    from bench_core.machine import available_memory
    from bench_core.runner.agreement import agreement_bytes, compare_with_ridge

    train, test, spec = session.train, session.test, session.job.spec
    if agreement_bytes(train.t, train.p, test.t, train.s) > available_memory():
        return None
    return compare_with_ridge(
        train,
        test,
        predictions,
        chosen,
        fit_intercept=spec.fit_intercept,
        seed=spec.seed,
        scales=scales,
    )


def _work(job: FitJob, progress: Progress, keep: Keep) -> Any:
    if job.pairs:
        from bench_core.runner.observation import time_pairs

        return time_pairs(job, progress)
    return run_job(job, progress, keep)


if __name__ == "__main__":
    serve(_work, FitJob, WorkerResult, *sys.argv[1:3])
