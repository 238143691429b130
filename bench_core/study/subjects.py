"""The subjects of a study: their targets, which runs test, and the fit of one cell's features."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core import strategies
from bench_core.accuracy import summary
from bench_core.accuracy.repeats import problem_ceiling
from bench_core.brain.build import build, plan
from bench_core.brain.pairing import pair
from bench_core.brain.settings import ProblemSettings
from bench_core.brain.stored_features import StoreSettings
from bench_core.brain.targets import Exclusion, FmriRun, Targets
from bench_core.cluster.settings import LOCAL, ClusterSettings, default_threads
from bench_core.data import Problem, run_split
from bench_core.data.space import TargetSpace
from bench_core.errors import InputError, RidgebenchError
from bench_core.files import replace_file
from bench_core.progress import Progress, silent
from bench_core.records import Record, to_dict
from bench_core.runner.arrays import FitData, ProblemRef
from bench_core.runner.preflight import preflight
from bench_core.runner.run import (
    RunSettings,
    begin_record,
    finish_record,
    run_fit,
)
from bench_core.runner.spec import FitSpec, ProblemShape
from bench_core.study.settings import FitSettings, Samples, chosen
from encoders import digests


class FitError(RidgebenchError, RuntimeError):
    """A subject's fit that failed or is not valid; the message gives the reason."""


@dataclass(eq=False)
class CachedTargets:
    """Targets that are read and cleaned once, and from ``.npy`` files in ``folder`` after that."""

    source: Targets
    folder: Path
    names: Sequence[str]
    space: TargetSpace | None
    about: Mapping[str, Any]
    runs: Sequence[FmriRun]
    exclusions: Sequence[Exclusion]
    files: Sequence[Path]
    notes: Sequence[str]

    @classmethod
    def of(cls, source: Targets, folder: Path) -> CachedTargets:
        """Return ``source`` with its runs kept in ``folder``."""
        names = ("names", "space", "about", "runs", "exclusions", "files", "notes")
        return cls(source, folder, *(getattr(source, name) for name in names))

    def read(self, run: FmriRun) -> NDArray[Any]:
        """Return the targets (m, s) of ``run``, memory-mapped."""
        # Which volumes are cleaned may depend on the length of the features: pairing.trim.
        volumes = digests.of_json([int(volume) for volume in run.kept])[:8]
        path = self.folder / f"{run.name}-{volumes}.npy"
        if not path.is_file():
            values = self.source.read(run)
            replace_file(path, partial(np.save, arr=values))
        found: NDArray[Any] = np.load(path, mmap_mode="r")
        return found


@dataclass(frozen=True, eq=False)
class Subject:
    """One subject: a problem's settings, and its runs by the stimulus shown.

    Parameters
    ----------
    stimuli : of every paired run, in the problem's order.
    test : the runs that test, by name.
    key : digest of the settings and of the content of the targets' files.
    """

    name: str
    settings: ProblemSettings
    targets: Targets
    stimuli: Mapping[str, str]
    test: Sequence[str]
    key: str

    @property
    def test_stimuli(self) -> set[str]:
        """Stimuli of the runs that test."""
        return {self.stimuli[run] for run in self.test}


def open_subject(
    name: str,
    settings: ProblemSettings,
    stimuli: Sequence[str],
    fit: FitSettings,
    known: digests.KnownDigests,
) -> Subject:
    """Return the subject; raise `InputError` when no run would be left to train or to test.

    ``known`` holds the digests of files that were read before.
    """
    base = settings.path.resolve().parent
    targets: Targets = settings.targets.open(base, settings.dtype, settings.pairing.exclude)
    pairs, _ = pair(targets.runs, stimuli, settings.pairing)
    shown = {each.run.name: each.stimulus for each in pairs}
    runs = list(shown)
    if fit.test_runs:
        test = chosen(runs, fit.test_runs, "fit.test_runs")
    else:
        test = runs[len(runs) - math.ceil(len(runs) * fit.test_fraction - 1e-9) :]
    if not 0 < len(test) < len(runs):
        raise InputError(
            f"subject {name} has {len(runs)} runs, of which {len(test)} test: at least one has to "
            "train and one to test; change fit.test_runs or fit.test_fraction"
        )
    seen = {run.name: [known.of_file(file) for file in run.files] for run in targets.runs}
    shared = sorted(known.of_file(file) for file in targets.files)
    # Content and not paths decides: a study may be moved or copied.
    used = {
        "targets": _without_paths(asdict(settings.targets)),
        "pairing": _without_paths(asdict(settings.pairing)),
        "dtype": settings.dtype,
    }
    key = digests.of_json(
        {"settings": used, "runs": seen, "files": shared, "stimuli": shown, "test": test}
    )
    return Subject(name, settings, targets, shown, test, key)


def _without_paths(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_paths(v) for k, v in value.items() if not _is_path(v)}
    if isinstance(value, list | tuple):
        return [_without_paths(each) for each in value if not _is_path(each)]
    return value


def _is_path(value: Any) -> bool:
    return isinstance(value, Path) or (isinstance(value, str) and Path(value).is_absolute())


@dataclass(frozen=True, eq=False)
class SubjectFit:
    """The fit of one subject's encoding model.

    Parameters
    ----------
    record : of the fit, with BLAS proof and agreement.
    r : (s,) on the runs that test. penalty : the median of the targets' penalties.
    ceiling : (s,) the noise ceiling, None where it was not asked for, or nothing was shown twice.
    """

    record: Record
    r: NDArray[np.float64]
    penalty: float
    ceiling: NDArray[np.float64] | None = None

    def report(self) -> dict[str, Any]:
        """Return the figures for the cell's record."""
        times, problem = self.record.times, self.record.case.problem
        return {
            "r": dict(summary(self.r)),
            "penalty": self.penalty,
            "samples_train": problem.t_train,
            "samples_test": problem.t_test,
            "seconds_fit": None if times is None else times.median_s + times.predict_s,
            "record": to_dict(self.record),
        }


def fit_subject(
    subject: Subject,
    features: StoreSettings,
    samples: Samples,
    fit: FitSettings,
    *,
    cache: Path,
    scratch: Path,
    progress: Progress = silent,
    cluster: ClusterSettings = LOCAL,
    allow_mixed: bool = False,
) -> SubjectFit:
    """Fit one subject's targets on stored features and score the held-out runs.

    The problem is built in ``scratch`` and removed; cleaned targets stay in ``cache``.

    Raises
    ------
    RidgebenchError : the fit is not possible, failed, or is not the strategy's answer.
    """
    settings = replace(subject.settings, features=features, samples=samples.settings())
    return fit_problem(
        subject,
        settings,
        fit,
        cache=cache,
        scratch=scratch,
        progress=progress,
        cluster=cluster,
        allow_mixed=allow_mixed,
    )


def fit_problem(
    subject: Subject,
    settings: ProblemSettings,
    fit: FitSettings,
    *,
    cache: Path,
    scratch: Path,
    progress: Progress = silent,
    thorough: bool = False,
    cluster: ClusterSettings = LOCAL,
    allow_mixed: bool = False,
) -> SubjectFit:
    """Fit one subject's targets on the features that ``settings`` state; see `fit_subject`.

    thorough : find r after training on shuffled rows, and the noise ceiling, too.
    """
    began = time.perf_counter()
    planned = plan(settings)
    kept = CachedTargets.of(planned.targets, cache / f"{subject.name}-{subject.key[:16]}")
    scratch = scratch.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=scratch, prefix="problem-"))
    try:
        problem = build(replace(planned, targets=kept), folder / "problem")
        test = [run.number for run in planned.runs if run.pair.run.name in subject.test]
        if not test:
            raise InputError(f"no run of subject {subject.name} that tests has features")
        split = run_split(problem, test_runs=test)
        train, held = split.apply(problem, folder)
        spec = _spec(subject, problem, fit, cluster, null="fit" if thorough else "skip")
        shape = ProblemShape(problem.name, problem.t, problem.p, problem.s, spec.dtype)
        checked = preflight(spec, shape, train.t, check_fits=False, cluster=cluster)
        if checked.error is not None:
            raise checked.error
        run = RunSettings(
            scratch=scratch,
            progress=progress,
            output=folder,
            cluster=cluster,
            allow_mixed=allow_mixed,
        )
        data = FitData(
            ProblemRef.share(train, folder),
            ProblemRef.share(held, folder),
            train.t,
            held.t,
            split.kind,
            split.warning,
        )
        record = begin_record(spec, shape, checked)
        record, _ = run_fit(record, spec, data, run)
        record = finish_record(record, began, run)
        if record.status != "ok":
            raise FitError(f"the fit of subject {subject.name} is {record.status}: {record.reason}")
        # With a penalty per batch or target the median stands for all.
        penalty = float(np.median(np.load(folder / "penalty.npy")))
        ceiling = problem_ceiling(problem) if thorough else None
        return SubjectFit(
            record,
            np.load(folder / "r.npy"),
            penalty,
            None if ceiling is None else ceiling.ceiling,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _spec(
    subject: Subject, problem: Problem, fit: FitSettings, cluster: ClusterSettings, *, null: str
) -> FitSpec:
    """Return the specification of the fit; strategies of one process have one node."""
    strategy = strategies.get(fit.strategy)
    nodes = fit.nodes if strategy.distributed else 1
    return FitSpec(
        suite="study",
        problem=problem.name,
        strategy=fit.strategy,
        subject=subject.name,
        # Predictions are all that is kept.
        options={"coef": None} if "coef" in strategy.supports else {},
        nodes=nodes,
        threads=fit.threads or default_threads(cluster, nodes),
        cluster=cluster.label,
        dtype=str(problem.dtype),
        split="run",
        alphas=fit.alphas,
        null=null,
    )
