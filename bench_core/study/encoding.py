"""From a film to a fit, timed: decoding, network, reduction, fit and prediction, with r beside.

The problem is the example that ``problem example`` writes: films, an fMRIPrep folder and a small
encoder, in whose brain responses are planted to one of its layers in one place, to another layer
in another. Or it is a user's own, as a file says (`bench_core.study.encoding_settings`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.accuracy import summary
from bench_core.brain.example import PLANTED, brain, parcels, write_example
from bench_core.brain.settings import ProblemSettings
from bench_core.brain.stored_features import StoreSettings
from bench_core.errors import InputError, unknown
from bench_core.records import FiguresRecord, codec, make_figures
from bench_core.study.encoding_settings import EncodingFile
from bench_core.study.settings import FitSettings
from bench_core.study.subjects import SubjectFit, fit_problem, open_subject
from encoders import digests
from encoders.encode import encode
from encoders.outputs import as_array
from encoders.protocol import Encoder
from encoders.reducers import Reducer, parse
from encoders.registry import make
from encoders.store import FeatureStore
from encoders.video import batches

PROBLEMS = ("parcels", "whole-brain")
"""Sizes of the example: 122 parcels, or all voxels."""

SUBJECTS = ("sub-01", "sub-02")
"""Subjects of the example."""

BATCH = 64


@dataclass(frozen=True)
class EncodingCase:
    """One way from films to a fit.

    Parameters
    ----------
    problem : one of `PROBLEMS`, or the name of the file's. subject : one of `SUBJECTS`, or of the
        file's. layer, reducer : as ``ridgebench encode`` takes them.
    file : a user's own films and problems; None for the example.
    """

    problem: str
    layer: str
    reducer: str
    strategy: str
    threads: int = 1
    subject: str = SUBJECTS[0]
    file: Path | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of the case, without the file."""
        return {name: value for name, value in asdict(self).items() if name != "file"}


@dataclass(frozen=True)
class EncodingFigures:
    """What one case took and gave.

    Parameters
    ----------
    started : when, as ISO 8601 in UTC. encoder : its name.
    decode_s, network_s, reduce_s : seconds for all films, one after the other.
    fit_s, predict_s : of the fit. feature_bytes : of the stored features.
    r_mean, r_p95, r_max : over targets, of held-out runs. null_max : the largest r after training
        on shuffled rows. ceiling_p95 : 95th percentile of the noise ceiling.
    disagreement : worst difference of a prediction from scikit-learn's Ridge.
    planted : mean r of the targets of every planted response, by its name; none in a user's own.
    """

    started: str
    encoder: str
    decode_s: float
    network_s: float
    reduce_s: float
    fit_s: float
    predict_s: float
    feature_bytes: int
    r_mean: float | None
    r_p95: float | None
    r_max: float | None
    null_max: float | None
    ceiling_p95: float | None
    disagreement: float | None
    planted: dict[str, float] = field(default_factory=dict)

    def to_record(self, case: EncodingCase) -> FiguresRecord:
        """Return the figures as a record."""
        planted = max(self.planted.values()) if self.planted else None
        figures = {
            "decoding": (self.decode_s, "s"),
            "network": (self.network_s, "s"),
            "reduction": (self.reduce_s, "s"),
            "fit": (self.fit_s, "s"),
            "prediction": (self.predict_s, "s"),
            "features": (self.feature_bytes, "bytes"),
            "mean r": (self.r_mean, "r"),
            "95 % r": (self.r_p95, "r"),
            "max r": (self.r_max, "r"),
            "null max r": (self.null_max, "r"),
            "noise ceiling": (self.ceiling_p95, "r"),
            "planted r": (planted, "r"),
            "disagreement": (self.disagreement, ""),
        }
        problem, *rest = case.parameters().items()
        parameters = dict([problem, ("encoder", self.encoder), *rest])
        return make_figures("encoding", parameters, figures, self.started)


@dataclass(frozen=True)
class _Source:
    """What a case encodes and fits."""

    films: dict[str, Path]
    encoder: Callable[[], Encoder]
    problem: ProblemSettings
    fit: FitSettings
    planted: Mapping[str, NDArray[np.intp]]


def measure_encoding(case: EncodingCase, folder: Path) -> EncodingFigures:
    """Return the figures of one case; a second call reads what the first has kept in ``folder``.

    The example, the stored features, and the figures of every case are in ``folder``.

    Raises
    ------
    UnknownNameError : no such problem, subject, layer, reducer or strategy.
    FitError : a fit that failed or is not the strategy's answer.
    """
    own = None if case.file is None else EncodingFile.read(case.file)
    known = PROBLEMS if own is None else (own.name,)
    if case.problem not in known:
        raise unknown("problem", case.problem, known)
    subjects = SUBJECTS if own is None else tuple(own.subjects)
    if case.subject not in subjects:
        raise unknown("subject", case.subject, subjects)
    file = None if own is None else digests.of_file(own.path)
    identity = {**case.parameters(), "file": file}
    kept = folder / f"encoding-{digests.of_json(identity)[:16]}.json"
    if kept.is_file():
        return codec.read(EncodingFigures, kept)
    if own is not None:
        found = _measured(case, _of_file(case, own), folder)
    else:
        data = folder / "example"
        if not data.is_dir():
            write_example(data, subjects=len(SUBJECTS))
        with _own_package(data / "encoder"):
            found = _measured(case, _of_example(case, data), folder)
    codec.write(found, kept)
    return found


def _of_example(case: EncodingCase, data: Path) -> _Source:
    settings = ProblemSettings.read(data / f"{case.problem}.toml")
    targets = replace(settings.targets, subject=case.subject.removeprefix("sub-"))
    return _Source(
        {path.stem: path for path in sorted((data / "stimuli").glob("*.mkv"))},
        partial(make, "bars", offered={"tr": settings.samples.tr}),
        replace(settings, targets=targets),
        FitSettings(strategy=case.strategy, threads=case.threads, test_fraction=0.4),
        {place: _targets(case.problem, place) for place in PLANTED},
    )


def _of_file(case: EncodingCase, file: EncodingFile) -> _Source:
    own, problem = file.settings, file.subjects[case.subject]
    fit = FitSettings(
        strategy=case.strategy,
        threads=case.threads,
        test_fraction=own.test_fraction,
        test_runs=own.test_runs,
    )
    encoder = partial(
        make, own.encoder, own.weights, offered={"tr": problem.samples.tr}, **file.options
    )
    return _Source(file.films(), encoder, problem, fit, {})


def _measured(case: EncodingCase, source: _Source, folder: Path) -> EncodingFigures:
    settings, films, fit = source.problem, source.films, source.fit
    started = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    tr = settings.samples.tr
    encoder, reducers = source.encoder(), parse(case.reducer)
    decode, network, reduction = _times(films, encoder, case.layer, reducers, tr)
    own = digests.of_json([case.problem, case.layer, case.reducer, str(case.file)])[:16]
    store = FeatureStore(folder / f"features-{own}")
    encoded = encode(films, encoder, [case.layer], store, reducers=reducers, tr=tr, batch=BATCH)
    stored = sum(one.features.path.stat().st_size for one in encoded)
    # Reducers and weights are those of what was encoded, not those that the file may name.
    features = StoreSettings(
        folder=store.folder,
        layer=case.layer,
        keys=tuple(one.features.key for one in encoded),
    )
    subject = open_subject(
        settings.name,
        settings,
        sorted(films),
        fit,
        digests.KnownDigests(folder / "digests.json"),
    )
    targets = folder / "targets"
    targets.mkdir(exist_ok=True)
    fitted = fit_problem(
        subject,
        replace(settings, features=features),
        fit,
        cache=targets,
        scratch=folder / "scratch",
        thorough=True,
    )
    seconds = decode, network, reduction
    return _figures(case, fitted, source, seconds, stored, (started, encoder.name))


def _figures(
    case: EncodingCase,
    fitted: SubjectFit,
    source: _Source,
    seconds: tuple[float, float, float],
    stored: int,
    what: tuple[str, str],
) -> EncodingFigures:
    record = fitted.record
    if record.times is None:
        raise InputError(f"the fit of {case} has no times")
    r = summary(fitted.r)
    ceiling = None if fitted.ceiling is None else float(np.nanpercentile(fitted.ceiling, 95))
    return EncodingFigures(
        *what,
        *seconds,
        record.times.median_s,
        record.times.predict_s,
        stored,
        r["mean"],
        r["p95"],
        r["max"],
        None if record.null is None else record.null.max,
        ceiling,
        None if record.agreement is None else record.agreement.worst,
        {place: float(np.nanmean(fitted.r[own])) for place, own in source.planted.items()},
    )


def _times(
    films: dict[str, Path], encoder: Encoder, layer: str, reducers: list[Reducer], tr: float
) -> tuple[float, float, float]:
    """Return the seconds of decoding, of the network and of reduction, without overlap."""
    decode = network = reduction = 0.0
    for path in films.values():
        began = perf_counter()
        for _, frames in batches(path, encoder.input_spec, BATCH, tr=tr):
            ready = encoder.preprocess(frames)
            decoded = perf_counter()
            output = as_array(encoder.extract(ready, [layer])[layer])
            passed = perf_counter()
            axis = encoder.channel_axis(layer)
            for reducer in reducers:
                output, axis = reducer.reduce(output, axis), 1
            decode += decoded - began
            network += passed - decoded
            began = perf_counter()
            reduction += began - passed
    return decode, network, reduction


def _targets(problem: str, place: str) -> Any:
    """Return the targets of a planted response: their numbers."""
    inside = brain()
    box = np.zeros(inside.shape, bool)
    box[PLANTED[place].box] = True
    if problem == "parcels":
        return np.unique(parcels()[box & inside]) - 1
    return np.flatnonzero(box[inside])


@contextmanager
def _own_package(folder: Path) -> Iterator[None]:
    """Have the example's encoder importable meanwhile, as PYTHONPATH would."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
