"""From videos to stored features: what is there already is not computed again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError, unknown
from encoders import digests
from encoders.alignment import THESIS_TR, Alignment
from encoders.partial import PartialRows
from encoders.prefetch import prefetch
from encoders.protocol import Encoder
from encoders.reducers import FittedReducer, Reducer, check_order
from encoders.reducers.none import NoReduction
from encoders.store import DTYPES, FeatureStore, Identity, StoredFeatures
from encoders.video import batches

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class Encoded:
    """Features of one run and layer.

    Parameters
    ----------
    features : where they are.
    computed : rows that the network was run for; 0 when all were there before.
    """

    features: StoredFeatures
    computed: int


def encode(
    videos: Mapping[str, str | Path],
    encoder: Encoder,
    layers: Sequence[str],
    store: FeatureStore,
    *,
    reducers: Sequence[Reducer] = (),
    training: Sequence[str] | None = None,
    tr: float = THESIS_TR,
    phase: float = 0.0,
    dtype: str = "float32",
    batch: int = 16,
    progress: Progress | None = None,
) -> list[Encoded]:
    """Store the features of every run and layer; return them run by run, layers in order.

    Parameters
    ----------
    videos : run names and their video files.
    layers : several are taken in one pass.
    reducers : applied in order. One that must be fitted comes last; the features it is fitted on
        are stored as well.
    training : the runs that a fitted reducer learns from. No other run is seen by it.
    tr, phase : a row for every TR, from the frame shown ``phase`` seconds after its onset.
    dtype : ``"float32"`` or ``"float16"``.
    batch : samples that go through the network together.
    progress : called with a run's name and the TRs of it that are done, after every batch.

    Raises
    ------
    UnknownNameError : for a layer or training run that is not there, with near names.
    InputError : for a video that cannot be decoded, values that ``dtype`` cannot hold, a fitted
        reducer without training runs or not in last place.
    """
    check_order(reducers)
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    if batch < 1:
        raise InputError(f"batches of {batch} samples: give 1 or more")
    Alignment(tr=tr, phase=phase)
    for layer in layers:
        encoder.channel_axis(layer)  # an unknown layer is an error before anything is decoded
    stages = list(reducers) or [NoReduction()]
    fitted = stages.pop() if isinstance(stages[-1], FittedReducer) else None
    stages = stages or [NoReduction()]
    job = _Job(encoder, store, stages, tr, phase, dtype, batch, progress)
    stimuli = {run: digests.of_file(path) for run, path in videos.items()}
    if not isinstance(fitted, FittedReducer):
        return [
            each
            for run, path in videos.items()
            for each in job.run(run, Path(path), stimuli[run], layers)
        ]
    return _fitted(job, fitted, videos, stimuli, layers, training)


@dataclass(frozen=True)
class _Job:
    encoder: Encoder
    store: FeatureStore
    reducers: Sequence[Reducer]
    tr: float
    phase: float
    dtype: str
    batch: int
    progress: Progress | None

    def identity(
        self, run: str, stimulus: str, layer: str, further: Sequence[Mapping[str, Any]] = ()
    ) -> Identity:
        return Identity(
            run=run,
            encoder=self.encoder.name,
            preprocessing=self.encoder.preprocessing,
            layer=layer,
            weights=self.encoder.weights.digest,
            trained=self.encoder.weights.trained,
            reducers=(*(reducer.identity() for reducer in self.reducers), *further),
            stimulus=stimulus,
            tr=self.tr,
            phase=self.phase,
            takes={**asdict(self.encoder.takes), "size": list(self.encoder.takes.size)},
            dtype=self.dtype,
        )

    def run(self, run: str, path: Path, stimulus: str, layers: Sequence[str]) -> list[Encoded]:
        """Return the features of every layer, from one pass for those that are not there."""
        wanted = {layer: self.identity(run, stimulus, layer) for layer in layers}
        found = {layer: self.store.get(identity) for layer, identity in wanted.items()}
        missing = {layer: wanted[layer] for layer in layers if found[layer] is None}
        computed = self.compute(run, path, missing) if missing else {}
        return [
            Encoded(stored, 0) if (stored := found[layer]) is not None else computed[layer]
            for layer in layers
        ]

    def compute(self, run: str, path: Path, missing: Mapping[str, Identity]) -> dict[str, Encoded]:
        takes = self.encoder.takes
        with ExitStack() as stack:
            partial = {
                layer: stack.enter_context(
                    PartialRows(
                        self.store.path(identity).with_suffix(".partial"),
                        identity.key(),
                        takes.frames,
                        self.dtype,
                    )
                )
                for layer, identity in missing.items()
            }
            last = {layer: rows.last_tr() for layer, rows in partial.items()}
            # A layer further on than the others waits for them.
            done = {layer: -1 if tr is None else tr for layer, tr in last.items()}
            before = {layer: rows.count for layer, rows in partial.items()}
            decoded = batches(
                path, takes, self.batch, tr=self.tr, phase=self.phase, start=min(done.values()) + 1
            )
            ready = (
                (trs, frames.times, self.encoder.preprocess(frames)) for trs, frames in decoded
            )
            for trs, times, inputs in prefetch(ready):
                outputs = self.encoder.extract(inputs, list(missing))
                for layer, rows in partial.items():
                    new = trs > done[layer]
                    features = self.reduced(layer, outputs[layer])
                    rows.append(features[new], trs[new], times[new])
                if self.progress is not None:
                    self.progress(run, int(trs[-1]) + 1)
            encoded = {}
            for layer, identity in missing.items():
                rows_ = partial[layer].rows()
                if rows_ is None:
                    raise InputError(f"{path} is too short for one sample of {self.encoder.name}")
                stored = self.store.write(identity, rows_["features"], rows_["tr"], rows_["time"])
                encoded[layer] = Encoded(stored, partial[layer].count - before[layer])
        for rows in partial.values():
            rows.path.unlink()
        return encoded

    def reduced(self, layer: str, output: Any) -> NDArray[Any]:
        features: NDArray[Any] = output.float().cpu().numpy()
        axis = self.encoder.channel_axis(layer)
        for reducer in self.reducers:
            features, axis = reducer.reduce(features, axis), 1
        return as_dtype(features, self.dtype, layer)


def as_dtype(features: NDArray[Any], dtype: str, layer: str) -> NDArray[Any]:
    """Return ``features`` as ``dtype``; raise `InputError` for values that it cannot hold."""
    with np.errstate(over="ignore"):
        cast = features.astype(dtype, copy=False)
    if not np.isfinite(cast).all():
        largest = np.nanmax(np.abs(features))
        raise InputError(
            f"layer {layer!r} gives values up to {largest:.6g}, or NaN, that {dtype} cannot hold: "
            "store float32, or mend the weights"
        )
    return cast


def _fitted(
    job: _Job,
    reducer: FittedReducer,
    videos: Mapping[str, str | Path],
    stimuli: Mapping[str, str],
    layers: Sequence[str],
    training: Sequence[str] | None,
) -> list[Encoded]:
    if not training:
        raise InputError(f"{reducer.identity()['name']} is fitted: name the training runs")
    for run in training:
        if run not in videos:
            raise unknown("training run", run, videos)
    encoded: dict[tuple[str, str], Encoded] = {}
    before: dict[tuple[str, str], Encoded] = {}

    def unreduced(run: str) -> None:
        if (run, layers[0]) not in before:
            for each in job.run(run, Path(videos[run]), stimuli[run], layers):
                before[run, each.features.layer] = each

    learned = sorted(stimuli[run] for run in training)
    for layer in layers:
        # The key names what was learned from, so nothing is fitted to know it.
        further = {**reducer.identity(), "training": learned}
        wanted = {run: job.identity(run, stimuli[run], layer, [further]) for run in videos}
        found = {run: job.store.get(identity) for run, identity in wanted.items()}
        if not all(found.values()):
            # One key for all runs: that of no stimulus in particular.
            key = job.identity("", "", layer, [further]).key()
            state = job.store.fitted(key)
            for run in videos:
                if found[run] is None or (state is None and run in training):
                    unreduced(run)
            if state is None:
                _fit(reducer, [before[run, layer].features for run in dict.fromkeys(training)])
                job.store.write_fitted(key, reducer.state())
            else:
                reducer.restore(state)
        for run in videos:
            stored = found[run]
            if stored is not None:
                encoded[run, layer] = Encoded(stored, 0)
                continue
            source = before[run, layer]
            reduced = [reducer.reduce(rows, 1) for rows in source.features.batches()]
            encoded[run, layer] = Encoded(
                job.store.write(
                    wanted[run],
                    as_dtype(np.concatenate(reduced), job.dtype, layer),
                    source.features.trs,
                    source.features.times,
                ),
                source.computed,
            )
    return [encoded[run, layer] for run in videos for layer in layers]


def _fit(reducer: FittedReducer, training: Sequence[StoredFeatures]) -> None:
    n = sum(each.shape[0] for each in training)
    reducer.fit((rows for each in training for rows in each.batches()), (n, training[0].shape[1]))
