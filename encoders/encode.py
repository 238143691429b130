"""Encoding of videos into stored features; features in the store are not computed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError, unknown
from bench_core.progress import Progress, silent
from encoders import digests
from encoders.alignment import THESIS_TR, Alignment
from encoders.film import Film, film_of
from encoders.outputs import as_array
from encoders.partial import PartialRows
from encoders.prefetch import prefetch
from encoders.protocol import Encoder
from encoders.reducers import FittedReducer, Reducer, check_order
from encoders.reducers.none import NoReduction
from encoders.store import DTYPES, FeatureStore, Identity, StoredFeatures
from encoders.video import batches, duration


@dataclass(frozen=True)
class Encoded:
    """Features of one run and layer.

    Parameters
    ----------
    features : the stored features.
    computed : number of rows computed by this call; 0 when all were stored before.
    film : the film's clock, orientation and other properties.
    known_as : the run that the same film was stored under before; None for the same name.
    """

    features: StoredFeatures
    computed: int
    film: Film
    known_as: str | None = None


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
    clock: str = "file",
    dtype: str = "float32",
    batch: int = 16,
    progress: Progress = silent,
    on_refused: Callable[[str, InputError], None] | None = None,
) -> list[Encoded]:
    """Store the features of each run and layer; return them run by run, layers in order.

    Parameters
    ----------
    videos : run name → video file.
    layers : layer names; all layers come from one pass.
    reducers : applied in order. A fitted reducer must be the last; the features that it is fitted
        on are stored as well.
    training : the runs that a fitted reducer is fitted on.
    tr, phase : seconds. TR i is at i · ``tr`` + ``phase``; each TR gives one row.
    clock : ``"file"``, times count from the file's time 0 (see `encoders.film`); ``"picture"``,
        from the first picture.
    dtype : ``"float32"`` or ``"float16"``.
    batch : samples per forward pass.
    progress : called after each batch with the run's name, the TRs done and their expected number
        (0 where the video states no duration).
    on_refused : called with the run and the error of a film that cannot be encoded; the others go
        on. A film that a reducer is fitted on, and every film without ``on_refused``, raises.

    Raises
    ------
    UnknownNameError : an unknown layer, training run, clock or dtype; the message has near names.
    InputError : a video that cannot be decoded, values that ``dtype`` cannot hold, an encoder made
        for another TR, or a fitted reducer that is not the last or has no training runs.

    Examples
    --------
    >>> import tempfile
    >>> from encoders.registry import make
    >>> from encoders.synthetic import numbered, write_video
    >>> encoder = make("vgg16", widths=(2, 2, 2, 2, 2), hidden=4, classes=3, size=32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     movie = Path(folder) / "movie.mkv"
    ...     write_video(movie, map(numbered, range(20)), [k / 10 for k in range(20)])
    ...     (encoded,) = encode({"movie": movie}, encoder, ["fc2"], FeatureStore(folder), tr=0.5)
    >>> encoded.computed, encoded.features.shape, encoded.features.trs.tolist()
    (4, (4, 4), [0, 1, 2, 3])
    """
    check_order(reducers)
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    if batch < 1:
        raise InputError(f"batch {batch}: give 1 sample or more")
    Alignment(tr=tr, phase=phase)
    _check_tr(encoder, tr)
    for layer in layers:
        encoder.channel_axis(layer)  # raises for an unknown layer before anything is decoded
    stages = list(reducers) or [NoReduction()]
    fitted = stages.pop() if isinstance(stages[-1], FittedReducer) else None
    stages = stages or [NoReduction()]
    job = _EncodingJob(encoder, store, stages, tr, phase, clock, dtype, batch, progress)
    needed = frozenset(training or ()) if fitted is not None else frozenset()
    refusals = _Refusals(on_refused, needed)
    films: dict[str, _FilmFile] = {}
    for run, path in videos.items():
        with refusals.of(run):
            film = film_of(path, clock)
            films[run] = _FilmFile(run, Path(path), digests.of_file(path), film)
    if isinstance(fitted, FittedReducer):
        return _fitted(job, fitted, films, layers, training, refusals)
    found: list[Encoded] = []
    for film_file in films.values():
        with refusals.of(film_file.run):
            found += job.run(film_file, layers)
    return found


@dataclass(frozen=True)
class _Refusals:
    """Films that cannot be encoded: told to ``tell``, unless they are ``needed``."""

    tell: Callable[[str, InputError], None] | None
    needed: frozenset[str]

    @contextmanager
    def of(self, run: str) -> Iterator[None]:
        """Tell an `InputError` of the block as a refusal of this run's film, or let it through."""
        try:
            yield
        except InputError as error:
            if self.tell is None or run in self.needed:
                raise
            self.tell(run, error)


def _check_tr(encoder: Encoder, tr: float) -> None:
    made = getattr(encoder, "tr", None)
    if made is not None and abs(made - tr) > 1e-9:
        raise InputError(
            f"{encoder.name} was made for clips of {made:g} s and the TR is {tr:g} s: make it with "
            f"tr={tr:g}"
        )


@dataclass(frozen=True)
class _FilmFile:
    """A film to encode: its run, its file, the file's digest, and its properties."""

    run: str
    path: Path
    digest: str
    film: Film

    def content(self) -> str:
        """Return text that changes with what is read of the film."""
        irregular = self.film.identity()
        return digests.of_json([self.digest, irregular]) if irregular else self.digest


@dataclass(frozen=True)
class _EncodingJob:
    encoder: Encoder
    store: FeatureStore
    reducers: Sequence[Reducer]
    tr: float
    phase: float
    clock: str
    dtype: str
    batch: int
    progress: Progress

    def identity(
        self, film: _FilmFile | None, layer: str, further: Sequence[Mapping[str, Any]] = ()
    ) -> Identity:
        """Return the identity of a film's features; without a film, of what all films share."""
        spec = self.encoder.input_spec
        return Identity(
            run="" if film is None else film.run,
            encoder=self.encoder.name,
            preprocessing=self.encoder.preprocessing,
            layer=layer,
            weights=self.encoder.weights.digest,
            trained=self.encoder.weights.trained,
            reducers=(*(reducer.identity() for reducer in self.reducers), *further),
            stimulus="" if film is None else film.digest,
            tr=self.tr,
            phase=self.phase,
            input_spec={**asdict(spec), "size": list(spec.size)},
            dtype=self.dtype,
            film={} if film is None else film.film.identity(),
        )

    def run(self, film: _FilmFile, layers: Sequence[str]) -> list[Encoded]:
        """Return the features of every layer; compute the missing ones in one pass."""
        wanted = {layer: self.identity(film, layer) for layer in layers}
        found = {layer: self.stored(identity, film) for layer, identity in wanted.items()}
        missing = {layer: wanted[layer] for layer in layers if found[layer] is None}
        computed = self.compute(film, missing) if missing else {}
        return [
            stored if (stored := found[layer]) is not None else computed[layer] for layer in layers
        ]

    def stored(self, identity: Identity, film: _FilmFile) -> Encoded | None:
        """Return features that are in the store, under the run's own name; None without any."""
        found = self.store.get(identity)
        if found is None:
            return None
        own = self.store.under(identity, found)
        return Encoded(own, 0, film.film, None if found.run == own.run else found.run)

    def compute(self, film: _FilmFile, missing: Mapping[str, Identity]) -> dict[str, Encoded]:
        partial: dict[str, PartialRows] = {}
        try:
            encoded = self._compute(film, missing, partial)
        except InputError:
            # What a film gave before it was refused is of no use, and would stay for ever.
            for rows in partial.values():
                rows.path.unlink(missing_ok=True)
            raise
        for rows in partial.values():
            rows.path.unlink()
        return encoded

    def _compute(
        self, film: _FilmFile, missing: Mapping[str, Identity], partial: dict[str, PartialRows]
    ) -> dict[str, Encoded]:
        """Compute the missing layers; ``partial`` gets the files of rows that this call opened."""
        spec = self.encoder.input_spec
        seconds = duration(film.path, self.clock)
        total = 0 if seconds is None else max(1, round(seconds / self.tr))
        with ExitStack() as stack:
            for layer, identity in missing.items():
                path = self.store.partial(identity)
                rows = PartialRows(path, identity.key(), spec.frames, self.dtype)
                partial[layer] = stack.enter_context(rows)
            last = {layer: rows.last_tr() for layer, rows in partial.items()}
            # A layer with more rows than the others waits until they have caught up.
            done = {layer: -1 if tr is None else tr for layer, tr in last.items()}
            before = {layer: rows.count for layer, rows in partial.items()}
            decoded = batches(
                film.path,
                spec,
                self.batch,
                tr=self.tr,
                phase=self.phase,
                start=min(done.values()) + 1,
                clock=self.clock,
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
                # Headers round: no more is done than there is.
                done_trs = int(trs[-1]) + 1
                self.progress(film.run, done_trs, max(total, done_trs) if total else 0)
            encoded = {}
            for layer, identity in missing.items():
                rows_ = partial[layer].rows()
                if rows_ is None:
                    raise InputError(
                        f"{film.path} is too short for one sample of {self.encoder.name}: give a "
                        f"video of {spec.frames} frames or more"
                        + "".join(f"; {note}" for note in film.film.notes())
                    )
                stored = self.store.write(
                    identity, rows_["features"], rows_["tr"], rows_["time"], film.film
                )
                encoded[layer] = Encoded(stored, partial[layer].count - before[layer], film.film)
        return encoded

    def reduced(self, layer: str, output: Any) -> NDArray[Any]:
        features = as_array(output)
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
            f"layer {layer!r}: {dtype} cannot hold its values (NaN, or up to {largest:.6g}): "
            "use float32, or check the weights"
        )
    return cast


def _fitted(
    job: _EncodingJob,
    reducer: FittedReducer,
    films: dict[str, _FilmFile],
    layers: Sequence[str],
    training: Sequence[str] | None,
    refusals: _Refusals,
) -> list[Encoded]:
    if not training:
        raise InputError(
            f"{reducer.identity()['name']} must be fitted: name the training runs (training=…)"
        )
    for run in training:
        if run not in films:
            raise unknown("training run", run, films)
    encoded: dict[tuple[str, str], Encoded] = {}
    before: dict[tuple[str, str], Encoded] = {}

    def unreduced(run: str) -> None:
        if (run, layers[0]) not in before:
            for each in job.run(films[run], layers):
                before[run, each.features.layer] = each

    learned = sorted(films[run].content() for run in training)
    for layer in layers:
        # The key holds the training runs and not the fit, so that it is known before fitting.
        further = {**reducer.identity(), "training": learned}
        wanted = {run: job.identity(film, layer, [further]) for run, film in films.items()}
        found = {run: job.stored(identity, films[run]) for run, identity in wanted.items()}
        if not all(found.values()):
            # The fit has one key for all runs, without a stimulus.
            key = job.identity(None, layer, [further]).key()
            state = job.store.fitted(key)
            for run in list(films):
                if found[run] is None or (state is None and run in training):
                    with refusals.of(run):
                        unreduced(run)
                    if (run, layer) not in before:
                        del films[run]
            if state is None:
                _fit(reducer, [before[run, layer].features for run in dict.fromkeys(training)])
                job.store.write_fitted(key, reducer.state())
            else:
                reducer.restore(state)
        for run, film in films.items():
            stored = found[run]
            if stored is not None:
                encoded[run, layer] = stored
                continue
            source = before[run, layer]
            reduced = [reducer.reduce(rows, 1) for rows in source.features.batches()]
            encoded[run, layer] = Encoded(
                job.store.write(
                    wanted[run],
                    as_dtype(np.concatenate(reduced), job.dtype, layer),
                    source.features.trs,
                    source.features.times,
                    film.film,
                ),
                source.computed,
                film.film,
            )
    return [encoded[run, layer] for run in films for layer in layers]


def _fit(reducer: FittedReducer, training: Sequence[StoredFeatures]) -> None:
    n = sum(each.shape[0] for each in training)
    reducer.fit((rows for each in training for rows in each.batches()), (n, training[0].shape[1]))
