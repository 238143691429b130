"""Problems from fMRI data: features and targets of every run, streamed into one folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bench_core import __version__
from bench_core.brain.features import Features
from bench_core.brain.joined_features import JoinedStimuli
from bench_core.brain.pairing import (
    Pair,
    check_lengths,
    check_repetition_times,
    pair,
    trimmed,
)
from bench_core.brain.settings import ProblemSettings
from bench_core.brain.targets import Exclusion, Targets, check_grids
from bench_core.checks import row_blocks
from bench_core.data.problem import Problem
from bench_core.data.resumable import ResumableFolderWriter
from bench_core.errors import InputError
from bench_core.progress import Progress, silent
from encoders.alignment import Alignment, align, usable_volumes


@dataclass(frozen=True, eq=False)
class PlannedRun:
    """One run of the problem.

    Parameters
    ----------
    number : its number in the problem's ``runs``, from 1.
    volumes : (m,) the volumes that become samples.
    start : the row of the first of them in the problem.
    notes : what of its stimulus reaches no sample.
    trimmed : volumes that were cut off after the stimulus's end.
    """

    number: int
    pair: Pair
    volumes: NDArray[np.intp]
    start: int
    notes: tuple[str, ...] = ()
    trimmed: int = 0


@dataclass(frozen=True, eq=False)
class BuildPlan:
    """Everything that is known of the problem before an image is read."""

    settings: ProblemSettings
    alignment: Alignment
    targets: Targets
    features: Features
    runs: Sequence[PlannedRun]
    exclusions: Sequence[Exclusion]

    @property
    def t(self) -> int:
        """Samples of the problem."""
        return sum(len(run.volumes) for run in self.runs)

    @property
    def p(self) -> int:
        """Features of the problem."""
        return self.features.q * self.alignment.window

    @property
    def s(self) -> int:
        """Targets of the problem."""
        return len(self.targets.names)

    def table(self) -> list[dict[str, Any]]:
        """Return one row per run and per excluded run or stimulus, as JSON values."""
        rows: list[dict[str, Any]] = []
        for run in self.runs:
            source = run.pair.run
            rows.append(
                {
                    "name": source.name,
                    "number": run.number,
                    "stimulus": run.pair.stimulus,
                    "volumes": source.volumes,
                    "unsteady": source.volumes - len(source.kept) - run.trimmed,
                    "trimmed": run.trimmed,
                    "stimulus_trs": self.features.length(run.pair.stimulus),
                    "samples": len(run.volumes),
                    "notes": [*source.notes, *run.notes],
                }
            )
        return rows + [{"name": each.name, "left_out": each.reason} for each in self.exclusions]

    def notes(self) -> list[str]:
        """Return what was lost or guessed for all runs, in whole sentences."""
        found = list(self.targets.notes)
        unknown = [run.pair.run for run in self.runs if run.pair.run.tr is None]
        if unknown:
            found.append(
                f"the repetition time of {len(unknown)} of {len(self.runs)} runs is unknown "
                f"({unknown[0].name}: {unknown[0].tr_source} has none): samples.tr = "
                f"{self.alignment.tr:g} s is taken"
            )
        return found

    def key(self) -> str:
        """Return a digest of everything that determines the problem's numbers.

        These are the settings, the files' sizes and times, the runs and the versions.
        """
        import nibabel
        import nilearn

        files = {path for run in self.runs for path in run.pair.run.files}
        features: Any = self.features
        for run in self.runs:
            stimulus = run.pair.stimulus
            if isinstance(features, JoinedStimuli):
                files |= set(features.files(stimulus))
            else:
                files.add(features.file(stimulus))
        files |= set(self.targets.files)
        seen = {str(f): (f.stat().st_size, f.stat().st_mtime_ns) for f in sorted(files)}
        what = {
            "settings": self.settings.description(),
            "files": seen,
            "targets": list(self.targets.names),
            "runs": [(run.pair.run.name, run.pair.stimulus, run.start) for run in self.runs],
            "versions": [__version__, np.__version__, nibabel.__version__, nilearn.__version__],
        }
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def plan(settings: ProblemSettings) -> BuildPlan:
    """Return the plan of the problem, from file names, headers and tables of confounds alone.

    Raises `InputError` or `UnknownNameError` for settings that do not fit the files, a run of
    another length than its stimulus, or of another repetition time than the features.
    """
    alignment = settings.samples.alignment()
    base = settings.path.resolve().parent
    targets: Targets = settings.targets.open(base, settings.dtype, settings.pairing.exclude)
    features: Features = settings.features.open(alignment)
    pairs, unpaired = pair(targets.runs, features.stimuli, settings.pairing)
    exclusions = [*targets.exclusions, *unpaired]
    check_repetition_times([each.run for each in pairs], alignment.tr)
    check_grids([each.run for each in pairs], targets.space)
    runs: list[PlannedRun] = []
    start = 0
    lengths = [features.length(each.stimulus) for each in pairs]
    expected = [None if length is None else length - alignment.first for length in lengths]
    check_lengths(list(zip(pairs, expected, strict=True)), settings.pairing)
    for whole, length in zip(pairs, expected, strict=True):
        each, cut = trimmed(whole, length, settings.pairing)
        run, stimulus = each.run, each.stimulus
        usable = usable_volumes(features.trs(stimulus, run.volumes), run.volumes, alignment)
        volumes = np.intersect1d(usable, run.kept, assume_unique=True)
        if not len(volumes):
            exclusions.append(Exclusion(run.name, "no volume has a full window of features"))
            continue
        used = np.unique(volumes[:, None] + alignment.first - np.array(alignment.delays))
        notes = tuple(features.notes(stimulus, run.volumes, used))
        runs.append(PlannedRun(len(runs) + 1, each, volumes, start, notes, cut))
        start += len(volumes)
    if start < 2:
        raise InputError(f"{settings.path}: {start} samples from all runs, a problem needs 2")
    return BuildPlan(settings, alignment, targets, features, runs, exclusions)


def build(planned: BuildPlan, folder: str | Path, *, progress: Progress = silent) -> Problem:
    """Write the problem into a new ``folder``, one run at a time, and return it memory-mapped.

    After an interruption, a call with the same plan continues with the next run. Memory stays near
    that of one run. ``progress`` is called with the name of the run and the runs done.

    Raises `InputError` for a damaged file, naming it; the runs written before are kept.
    """
    t, s, dtype = planned.t, planned.s, planned.settings.dtype
    runs = np.concatenate([np.full(len(r.volumes), r.number, np.int32) for r in planned.runs])
    small: dict[str, NDArray[Any]] = {
        "runs": runs,
        "volumes": np.concatenate([run.volumes for run in planned.runs]).astype(np.int32),
        "target_names": np.array(list(planned.targets.names), dtype=np.str_),
    }
    description: dict[str, Any] = {"name": planned.settings.name, "meta": describe(planned)}
    if planned.targets.space is not None:
        small |= planned.targets.space.arrays()
        description["space"] = planned.targets.space.description()
    features: Any = planned.features
    if isinstance(features, JoinedStimuli):
        delayed = features.spaces.delayed(planned.alignment.window)
        description["feature_spaces"] = delayed.to_json()
    arrays: dict[str, tuple[tuple[int, ...], DTypeLike]] = {
        "X": ((t, planned.p), dtype),
        "Y": ((t, s), dtype),
        **{name: (array.shape, array.dtype) for name, array in small.items()},
    }
    with ResumableFolderWriter(Path(folder), arrays, description, planned.key()) as writer:
        for done, run in enumerate(planned.runs):
            progress(run.pair.run.name, done, len(planned.runs))
            if run.pair.run.name not in writer.done:
                _write_run(planned, run, writer)
        for name, array in small.items():
            writer.put(name, 0, array)
        writer.commit()
    progress("", len(planned.runs), len(planned.runs))
    return Problem.open(folder)


def _write_run(planned: BuildPlan, run: PlannedRun, writer: ResumableFolderWriter) -> None:
    source, stimulus = run.pair.run, run.pair.stimulus
    Y = planned.targets.read(source)
    if Y.shape != (len(source.kept), planned.s):
        raise InputError(
            f"run {source.name} gives {Y.shape[0]} × {Y.shape[1]} values instead of "
            f"{len(source.kept)} × {planned.s}: copy its file again"
        )
    rows = np.searchsorted(source.kept, run.volumes)
    for block in row_blocks(len(rows), Y.shape[1] * Y.itemsize):
        writer.put("Y", run.start + block.start, Y[rows[block]])
    del Y
    trs = planned.features.trs(stimulus, source.volumes)
    features = planned.features.read(stimulus, source.volumes)
    samples = align(features, trs, source.volumes, planned.alignment)
    rows = np.searchsorted(samples.volumes, run.volumes)
    for block in row_blocks(len(rows), samples.X.shape[1] * samples.X.itemsize):
        writer.put("X", run.start + block.start, samples.X[rows[block]])
    writer.mark(source.name)


def describe(planned: BuildPlan) -> dict[str, Any]:
    """Return the problem's ``meta``: where it comes from, its runs, settings and versions."""
    import nibabel
    import nilearn

    alignment = planned.alignment
    meta: dict[str, Any] = {
        "source": f"built from {planned.settings.path.name}",
        "delays": list(alignment.delays),
        "repetition_time_s": alignment.tr,
        "alignment": asdict(alignment),
        "targets": dict(planned.targets.about),
        "features_of": dict(planned.features.about),
        "pairing": planned.table(),
        "notes": planned.notes(),
        "settings": planned.settings.description(),
        "versions": {
            "ridgebench": __version__,
            "nibabel": nibabel.__version__,
            "nilearn": nilearn.__version__,
        },
    }
    if planned.features.columns is not None:
        names = planned.features.columns
        meta["features"] = [f"{name} delay {d}" for d in alignment.delays for name in names]
    subject = planned.targets.about.get("subject")
    return meta if subject is None else {**meta, "subject": subject}
