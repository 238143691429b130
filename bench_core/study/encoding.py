"""From a film to a fit, timed: decoding, network, reduction, fit and prediction, with r beside.

The problem is the example that ``problem example`` writes: films, an fMRIPrep folder and a small
encoder, in whose brain responses are planted to one of its layers in one place, to another layer
in another.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from bench_core.accuracy import summary
from bench_core.brain.example import PLANTED, brain, parcels, write_example
from bench_core.brain.settings import ProblemSettings
from bench_core.brain.stored_features import StoreSettings
from bench_core.errors import InputError, unknown
from bench_core.records import codec
from bench_core.study.settings import FitSettings
from bench_core.study.subjects import fit_problem, open_subject
from encoders import digests
from encoders.encode import encode
from encoders.protocol import Encoder
from encoders.reducers import Reducer, parse
from encoders.registry import make
from encoders.store import FeatureStore
from encoders.video import batches

PROBLEMS = ("parcels", "whole-brain")
"""Sizes of the example: 122 parcels, or all voxels."""

BATCH = 64


@dataclass(frozen=True)
class EncodingCase:
    """One way from the example's films to a fit.

    Parameters
    ----------
    problem : one of `PROBLEMS`. layer, reducer : as ``ridgebench encode`` takes them.
    """

    problem: str
    layer: str
    reducer: str
    strategy: str
    threads: int = 1


@dataclass(frozen=True)
class EncodingFigures:
    """What one case took and gave.

    Parameters
    ----------
    decode_s, network_s, reduce_s : seconds for all films, one after the other.
    fit_s, predict_s : of the fit. feature_bytes : of the stored features.
    r_mean, r_p95, r_max : over targets, of held-out runs. null_max : the largest r after training
        on shuffled rows. ceiling_p95 : 95th percentile of the noise ceiling.
    planted : mean r of the targets of every planted response, by its name.
    """

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
    planted: dict[str, float]


def measure_encoding(case: EncodingCase, folder: Path) -> EncodingFigures:
    """Return the figures of one case; a second call reads what the first has kept in ``folder``.

    The example, and the figures of every case, are in ``folder``.

    Raises
    ------
    UnknownNameError : no such problem, layer, reducer or strategy.
    FitError : a fit that failed or is not the strategy's answer.
    """
    if case.problem not in PROBLEMS:
        raise unknown("problem", case.problem, PROBLEMS)
    kept = folder / f"encoding-{digests.of_json(asdict(case))[:16]}.json"
    if kept.is_file():
        return codec.read(EncodingFigures, kept)
    data = folder / "example"
    if not data.is_dir():
        write_example(data)
    with _own_package(data / "encoder"):
        found = _measured(case, data, folder)
    codec.write(found, kept)
    return found


def _measured(case: EncodingCase, data: Path, folder: Path) -> EncodingFigures:
    settings = ProblemSettings.read(data / f"{case.problem}.toml")
    assert isinstance(settings.features, StoreSettings)
    tr = settings.samples.tr
    films = {path.stem: path for path in sorted((data / "stimuli").glob("*.mkv"))}
    encoder, reducers = make("bars", offered={"tr": tr}), parse(case.reducer)
    decode, network, reduction = _times(films, encoder, case.layer, reducers, tr)
    name = f"features-{case.layer}-{case.reducer}".replace("=", "-")
    store = FeatureStore(folder / name)
    encoded = encode(films, encoder, [case.layer], store, reducers=reducers, tr=tr, batch=BATCH)
    stored = sum(one.features.path.stat().st_size for one in encoded)
    features = replace(settings.features, folder=store.folder, layer=case.layer)
    fit = FitSettings(strategy=case.strategy, threads=case.threads, test_fraction=0.4)
    subject = open_subject(
        settings.name,
        settings.path,
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
    times, null = fitted.record.times, fitted.record.null
    if times is None:
        raise InputError(f"the fit of {case} has no times")
    r = summary(fitted.r)
    ceiling = None if fitted.ceiling is None else float(np.percentile(fitted.ceiling, 95))
    return EncodingFigures(
        decode,
        network,
        reduction,
        times.median_s,
        times.predict_s,
        stored,
        r["mean"],
        r["p95"],
        r["max"],
        None if null is None else null.max,
        ceiling,
        {place: float(np.nanmean(fitted.r[_targets(case.problem, place)])) for place in PLANTED},
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
            output = encoder.extract(ready, [layer])[layer].float().cpu().numpy()
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
