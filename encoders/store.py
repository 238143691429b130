"""The feature store: one HDF5 file per run, layer and reducer, found by its key.

The key is a hash of everything that determines the values: weights, preprocessing, layer,
reducers, stimulus, frame times and dtype. Files are written atomically. Rows computed before an
interruption are kept in a ``.partial`` file beside the store's and are not computed again.

A file holds ``features`` (n, q), one row per TR of the stimulus; ``tr`` (n,), the TR of each row;
``time`` (n, frames), the presentation time stamps in seconds of the row's frames; and the
attributes ``run``, ``trained``, ``identity`` and ``film`` (JSON). Features of an untrained network
have the further attribute ``note``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError, unknown
from bench_core.files import replace_file
from encoders import digests
from encoders.film import Film

FORMAT = "ridgebench-features/1"
DTYPES = ("float32", "float16")
_UNTRAINED = "untrained: random weights"
_BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Identity:
    """Everything that determines the values of one file of features.

    Parameters
    ----------
    run : name of the run; not part of the key.
    encoder, preprocessing, layer : of the encoder.
    weights : digest of the weights.
    trained : False for random weights.
    reducers : the ``identity()`` of each reducer, in order.
    stimulus : digest of the video file.
    tr, phase : seconds; TR i is read at i · tr + phase.
    input_spec : the fields of `encoders.protocol.InputSpec`.
    dtype : of the stored features.
    film : `encoders.film.Film.identity`: what is irregular about the film; empty for most.
    """

    run: str
    encoder: str
    preprocessing: str
    layer: str
    weights: str
    trained: bool
    reducers: tuple[Mapping[str, Any], ...]
    stimulus: str
    tr: float
    phase: float
    input_spec: Mapping[str, Any]
    dtype: str
    film: Mapping[str, Any] = field(default_factory=dict)

    def description(self) -> dict[str, Any]:
        """Return the JSON object that the key is a hash of."""
        fields = {name: value for name, value in vars(self).items() if name != "run"}
        # Its name in files of format 1.
        fields["takes"] = fields.pop("input_spec")
        # Without an entry for a regular film, as in files that were written before there was one.
        film = fields.pop("film")
        if film:
            fields["film"] = dict(film)
        return {"format": FORMAT, **fields, "reducers": [dict(r) for r in self.reducers]}

    def key(self) -> str:
        """Return the key of the features: a hex SHA-256."""
        return digests.of_json(self.description())


@dataclass(frozen=True)
class StoredFeatures:
    """One file of a store; `read` and `batches` read the features themselves.

    Parameters
    ----------
    path : the file.
    run, encoder, layer : names of the run, the encoder and its layer.
    trained : False for random weights.
    identity : the full description, as `Identity.description` returns it.
    shape : (n, q).
    trs : (n,) the TR of each row, ascending.
    times : (n, frames) presentation time stamps in seconds.
    film : the fields of `encoders.film.Film`; None in files that were written without them.
    """

    path: Path
    run: str
    encoder: str
    layer: str
    trained: bool
    identity: Mapping[str, Any]
    shape: tuple[int, int]
    trs: NDArray[np.int64]
    times: NDArray[np.float64]
    film: Mapping[str, Any] | None = None

    @property
    def key(self) -> str:
        """The key of the features."""
        return digests.of_json(dict(self.identity))

    def read(self) -> NDArray[Any]:
        """Return the features (n, q) in their stored dtype."""
        with _opened(self.path) as file:
            features: NDArray[Any] = file["features"][()]
        return features

    def batches(self, rows: int = 1024) -> Iterator[NDArray[Any]]:
        """Yield the features ``rows`` at a time."""
        with _opened(self.path) as file:
            for start in range(0, self.shape[0], rows):
                yield file["features"][start : start + rows]


def open_features(path: str | Path) -> StoredFeatures:
    """Return the features in one file.

    Raises `InputError` for a file that is damaged or of another format.
    """
    path = Path(path)
    with _opened(path) as file:
        if file.attrs.get("format") != FORMAT:
            raise InputError(
                f"{path} is not a file of features (format {FORMAT}): give one that encode wrote"
            )
        identity = json.loads(file.attrs["identity"])
        features, trs, times = file["features"], file["tr"][()], file["time"][()]
        if features.ndim != 2 or not len(features) == len(trs) == len(times):
            raise InputError(
                f"{path} is damaged ({len(features)} rows, {len(trs)} TRs): delete it to have it "
                "computed again"
            )
        return StoredFeatures(
            path=path,
            run=str(file.attrs["run"]),
            encoder=identity["encoder"],
            layer=identity["layer"],
            trained=bool(identity["trained"]),
            identity=identity,
            shape=(int(features.shape[0]), int(features.shape[1])),
            trs=trs,
            times=times,
            film=json.loads(file.attrs["film"]) if "film" in file.attrs else None,
        )


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError) as error:  # how h5py reports damage and absence
        raise InputError(
            f"{path} cannot be read as features ({error}): delete it to have it computed again"
        ) from error


class FeatureStore:
    """A folder of features, created where it is missing.

    Raises `InputError` for a folder that cannot be created.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     FeatureStore(folder).find(layer="fc2")
    []
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{folder} cannot be created ({error.strerror}): choose another folder"
            ) from error

    def path(self, identity: Identity) -> Path:
        """Return the file for the features of ``identity``, whether or not it exists."""
        reducers = "-".join(str(reducer["name"]) for reducer in identity.reducers) or "none"
        name = identity.encoder if identity.trained else f"{identity.encoder}-untrained"
        parts = (identity.run, name, identity.layer, reducers, identity.key()[:16])
        return self.folder / ("_".join(part.replace("/", "-") for part in parts) + ".h5")

    def partial(self, identity: Identity) -> Path:
        """Return the file for unfinished rows of ``identity``; one under another name goes on."""
        begun = sorted(self.folder.glob(f"*_{identity.key()[:16]}.partial"))
        return begun[0] if begun else self.path(identity).with_suffix(".partial")

    def get(self, identity: Identity) -> StoredFeatures | None:
        """Return the stored features of ``identity``, None without any.

        Those of the same run are returned where there are some, else those of any run.
        """
        key = identity.key()
        paths = sorted(self.folder.glob(f"*_{key[:16]}.h5"))
        found = [each for each in map(open_features, paths) if each.key == key]
        found.sort(key=lambda each: each.run != identity.run)
        return found[0] if found else None

    def under(self, identity: Identity, stored: StoredFeatures) -> StoredFeatures:
        """Return ``stored`` under the run of ``identity``; copy them if they have another.

        A renamed film, or one that is there twice, has its features under every name.
        """
        if stored.run == identity.run:
            return stored

        def save(part: Path) -> None:
            shutil.copyfile(stored.path, part)
            with h5py.File(part, "r+") as file:
                file.attrs["run"] = identity.run

        return open_features(replace_file(self.path(identity), save))

    def find(self, *, run: str | None = None, layer: str | None = None) -> list[StoredFeatures]:
        """Return all stored features, sorted by file name; of one ``run`` or ``layer`` if given."""
        found = [open_features(path) for path in sorted(self.folder.glob("[!.]*_*.h5"))]
        return [
            each
            for each in found
            if (run is None or each.run == run) and (layer is None or each.layer == layer)
        ]

    def one(self, run: str, layer: str) -> StoredFeatures:
        """Return the only features of ``run`` and ``layer``.

        Raises `UnknownNameError` when there are none, and `InputError` when there are several (of
        other weights, reducers or times).
        """
        found = self.find(run=run, layer=layer)
        if not found:
            known = [f"{each.run} {each.layer}" for each in self.find()]
            raise unknown("run and layer", f"{run} {layer}", known)
        if len(found) > 1:
            names = ", ".join(each.path.name for each in found)
            raise InputError(
                f"{self.folder} has several features of {run} {layer}: open one of {names} with "
                "open_features"
            )
        return found[0]

    def write(
        self,
        identity: Identity,
        features: NDArray[Any],
        trs: NDArray[np.int64],
        times: NDArray[np.float64],
        film: Film | None = None,
    ) -> StoredFeatures:
        """Write ``features`` (n, q) atomically and return them as stored."""

        def save(part: Path) -> None:
            with h5py.File(part, "w") as file:
                file.attrs.update(
                    format=FORMAT,
                    run=identity.run,
                    trained=identity.trained,
                    identity=json.dumps(identity.description()),
                )
                if not identity.trained:
                    file.attrs["note"] = _UNTRAINED
                if film is not None:
                    file.attrs["film"] = json.dumps(film.to_dict())
                file["tr"], file["time"] = trs, times
                stored = file.create_dataset("features", features.shape, features.dtype)
                # In blocks: the rows may be a map of a file larger than memory.
                rows = max(1, _BLOCK_BYTES // max(1, features.shape[1] * features.itemsize))
                for start in range(0, len(features), rows):
                    block = features[start : start + rows]
                    stored[start : start + rows] = np.ascontiguousarray(block)

        return open_features(replace_file(self.path(identity), save))

    def fitted(self, key: str) -> dict[str, NDArray[Any]] | None:
        """Return the arrays that `write_fitted` stored under ``key``, None without any."""
        path = self.folder / f"{key[:16]}.fitted"
        if not path.exists():
            return None
        with _opened(path) as file:
            return {name: file[name][()] for name in file}

    def write_fitted(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write the arrays of a fitted reducer atomically, for runs that are encoded later."""

        def save(part: Path) -> None:
            with h5py.File(part, "w") as file:
                for name, array in arrays.items():
                    file[name] = array

        replace_file(self.folder / f"{key[:16]}.fitted", save)
