"""The subjects of a study: their targets, which runs test, and the fit of one cell's features."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core import strategies
from bench_core.accuracy import pearson_r, summary
from bench_core.brain.build import build, plan
from bench_core.brain.features import StoreSettings
from bench_core.brain.pairing import pair
from bench_core.brain.settings import ProblemSettings
from bench_core.brain.targets import Exclusion, TargetRun, Targets
from bench_core.cluster import Cluster
from bench_core.data import run_split
from bench_core.data.space import TargetSpace
from bench_core.errors import InputError
from bench_core.files import replace_file
from bench_core.study.settings import FitSettings, Samples, chosen
from encoders import digests


@dataclass(eq=False)
class CachedTargets:
    """Targets that are read and cleaned once, and from ``.npy`` files in ``folder`` after that."""

    source: Targets
    folder: Path
    names: Sequence[str]
    space: TargetSpace | None
    about: Mapping[str, Any]
    runs: Sequence[TargetRun]
    exclusions: Sequence[Exclusion]
    files: Sequence[Path]

    @classmethod
    def of(cls, source: Targets, folder: Path) -> CachedTargets:
        """Return ``source`` with its runs kept in ``folder``."""
        names = ("names", "space", "about", "runs", "exclusions", "files")
        return cls(source, folder, *(getattr(source, name) for name in names))

    def read(self, run: TargetRun) -> NDArray[Any]:
        """Return the targets (m, s) of ``run``, memory-mapped."""
        path = self.folder / f"{run.name}.npy"
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
    key : digest of the settings and of the targets' files.
    """

    name: str
    settings: ProblemSettings
    targets: Targets
    stimuli: Mapping[str, str]
    test: Sequence[str]
    key: str

    @property
    def test_stimuli(self) -> set[str]:
        """What was shown in the runs that test."""
        return {self.stimuli[run] for run in self.test}


def open_subject(name: str, path: Path, stimuli: Sequence[str], fit: FitSettings) -> Subject:
    """Return the subject; raise `InputError` when no run would be left to train or to test."""
    settings = ProblemSettings.read(path)
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
    files = {file for run in targets.runs for file in run.files} | set(targets.files)
    seen = {str(f): (f.stat().st_size, f.stat().st_mtime_ns) for f in sorted(files)}
    about = settings.description()
    used = {part: about[part] for part in ("targets", "pairing")} | {"dtype": settings.dtype}
    key = digests.of_json({"settings": used, "files": seen, "stimuli": shown, "test": test})
    return Subject(name, settings, targets, shown, test, key)


@dataclass(frozen=True)
class Fitted:
    """Accuracy of one subject's encoding model on the runs that test."""

    r: NDArray[np.float64]
    penalty: float
    samples: tuple[int, int]
    seconds: float

    def report(self) -> dict[str, Any]:
        """Return the figures for the record."""
        return {
            "r": dict(summary(self.r)),
            "penalty": self.penalty,
            "samples_train": self.samples[0],
            "samples_test": self.samples[1],
            "seconds_fit": self.seconds,
        }


def fit_subject(
    subject: Subject,
    features: StoreSettings,
    samples: Samples,
    fit: FitSettings,
    *,
    cluster: Cluster | None,
    cache: Path,
    scratch: Path,
) -> Fitted:
    """Fit one subject's targets on stored features and score the held-out runs.

    ``cluster`` is what `cluster_for` gives.

    The problem is built in ``scratch`` and removed; cleaned targets stay in ``cache``.
    """
    settings = replace(subject.settings, features=features, samples=samples.settings())
    planned = plan(settings)
    kept = CachedTargets.of(planned.targets, cache / f"{subject.name}-{subject.key[:16]}")
    scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=scratch, prefix="problem-"))
    try:
        problem = build(replace(planned, targets=kept), folder / "problem")
        test = [run.number for run in planned.runs if run.pair.run.name in subject.test]
        if not test:
            raise InputError(f"no run of subject {subject.name} that tests has features")
        split = run_split(problem, test_runs=test)
        train, held = split.apply(problem, folder)
        started = time.perf_counter()
        model = strategies.get(fit.strategy)(fit.alphas, cluster=cluster).fit(train.X, train.Y)
        predicted = model.predict(held.X)
        seconds = time.perf_counter() - started
        # With a penalty per batch or target the median stands for all.
        penalty = float(np.median(model.chosen_alphas()))
        r = pearson_r(held.Y, predicted)
        return Fitted(r, penalty, (train.t, held.t), seconds)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def cluster_for(fit: FitSettings, scratch: Path) -> Iterator[Cluster | None]:
    """Give the nodes that the strategy runs on, None for one that needs none."""
    if not strategies.get(fit.strategy).distributed:
        yield None
        return
    from bench_core.cluster import local
    from bench_core.machine import available_cores

    scratch.mkdir(parents=True, exist_ok=True)
    threads = fit.threads or max(1, available_cores() // fit.nodes)
    with local(fit.nodes, threads, scratch=scratch) as cluster:
        yield cluster
