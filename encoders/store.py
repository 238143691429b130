"""Stored features: one HDF5 file for every run, layer and reducer, found again by a key.

The key is a hash of all that decides the values: weights, preprocessing, layer, reducers,
stimulus, the times of its frames and the dtype. A file is there whole or not at all; rows
computed before an interruption wait in a ``.partial`` file beside it and are not computed again.

A file holds ``features`` (n, q), one row per TR of the stimulus; ``tr`` (n,), the TR of every
row; ``time`` (n, frames), the presentation time stamps in seconds of the frames it was computed
from; and, as attributes, ``run``, ``trained`` and ``identity`` (JSON). Features of untrained
networks have the further attribute ``note``, which says so.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError, unknown
from encoders import digests

FORMAT = "ridgebench-features/1"
DTYPES = ("float32", "float16")
_UNTRAINED = "untrained: random weights"
_BLOCK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Identity:
    """All that decides the values of one file of features.

    Parameters
    ----------
    run : name of the run, for people; not part of the key.
    encoder, preprocessing, layer : names and text of the encoder.
    weights : digest of the weights.
    trained : False for random weights.
    reducers : what each reducer says of itself, in order.
    stimulus : digest of the video file.
    tr, phase : seconds; which frames were taken.
    takes : the parameters of `encoders.protocol.Takes`.
    dtype : of the stored features.
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
    takes: Mapping[str, Any]
    dtype: str

    def description(self) -> dict[str, Any]:
        """Return what the key is a hash of, in terms of JSON."""
        fields = {name: value for name, value in vars(self).items() if name != "run"}
        return {"format": FORMAT, **fields, "reducers": [dict(r) for r in self.reducers]}

    def key(self) -> str:
        """Return the hex SHA-256 that the features are stored under."""
        return digests.of_json(self.description())


@dataclass(frozen=True)
class StoredFeatures:
    """One file of a store; the features are read when asked for.

    Parameters
    ----------
    path : the file.
    run, encoder, layer : what they are features of.
    trained : False for random weights.
    identity : the full description, as `Identity.description` gives it.
    shape : (n, q).
    trs : (n,) the TR of every row, ascending.
    times : (n, frames) presentation time stamps in seconds.
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

    @property
    def key(self) -> str:
        """The hash that the features are stored under."""
        return digests.of_json(dict(self.identity))

    def read(self) -> NDArray[Any]:
        """Return the features (n, q) in the dtype they are stored in."""
        with _opened(self.path) as file:
            features: NDArray[Any] = file["features"][()]
        return features

    def batches(self, rows: int = 1024) -> Iterator[NDArray[Any]]:
        """Yield the features ``rows`` at a time."""
        with _opened(self.path) as file:
            for start in range(0, self.shape[0], rows):
                yield file["features"][start : start + rows]


def open_features(path: str | Path) -> StoredFeatures:
    """Return the features in one file; raise `InputError` if it is damaged or something else."""
    path = Path(path)
    with _opened(path) as file:
        if file.attrs.get("format") != FORMAT:
            raise InputError(f"{path} is no file of features of format {FORMAT}")
        identity = json.loads(file.attrs["identity"])
        features, trs, times = file["features"], file["tr"][()], file["time"][()]
        if features.ndim != 2 or not len(features) == len(trs) == len(times):
            raise InputError(f"{path} is damaged: its rows and TRs differ in number")
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
        )


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError) as error:  # how h5py reports damage and absence
        raise InputError(
            f"{path} cannot be read as features: {error}. Delete it to have it computed again"
        ) from error


class FeatureStore:
    """A folder of features.

    Raises `InputError` when ``folder`` cannot be made.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder} cannot be made: {error.strerror}") from error

    def path(self, identity: Identity) -> Path:
        """Return where the features of ``identity`` are or will be."""
        reducers = "-".join(str(reducer["name"]) for reducer in identity.reducers) or "none"
        name = identity.encoder if identity.trained else f"{identity.encoder}-untrained"
        parts = (identity.run, name, identity.layer, reducers, identity.key()[:16])
        return self.folder / ("_".join(part.replace("/", "-") for part in parts) + ".h5")

    def get(self, identity: Identity) -> StoredFeatures | None:
        """Return the stored features of ``identity``, None when they are not there.

        They are found whatever the run was called when they were stored.
        """
        key = identity.key()
        for path in sorted(self.folder.glob(f"*_{key[:16]}.h5")):
            found = open_features(path)
            if found.key == key:
                return found
        return None

    def find(self, *, run: str | None = None, layer: str | None = None) -> list[StoredFeatures]:
        """Return all stored features, of one ``run`` or ``layer`` where given, by file name."""
        found = [open_features(path) for path in sorted(self.folder.glob("*_*.h5"))]
        return [
            each
            for each in found
            if (run is None or each.run == run) and (layer is None or each.layer == layer)
        ]

    def one(self, run: str, layer: str) -> StoredFeatures:
        """Return the only features of ``run`` and ``layer``.

        Raises `UnknownNameError` when there are none, `InputError` when there are several (other
        weights, reducers or times): open the file meant with `open_features`.
        """
        found = self.find(run=run, layer=layer)
        if not found:
            known = [f"{each.run} {each.layer}" for each in self.find()]
            raise unknown("run and layer", f"{run} {layer}", known)
        if len(found) > 1:
            names = ", ".join(each.path.name for each in found)
            raise InputError(f"{self.folder} has several features of {run} {layer}: {names}")
        return found[0]

    def write(
        self,
        identity: Identity,
        features: NDArray[Any],
        trs: NDArray[np.int64],
        times: NDArray[np.float64],
    ) -> StoredFeatures:
        """Store ``features`` (n, q), atomically, and return them."""
        path = self.path(identity)
        with self._replacing(path) as part, h5py.File(part, "w") as file:
            file.attrs.update(
                format=FORMAT,
                run=identity.run,
                trained=identity.trained,
                identity=json.dumps(identity.description()),
            )
            if not identity.trained:
                file.attrs["note"] = _UNTRAINED
            file["tr"], file["time"] = trs, times
            stored = file.create_dataset("features", features.shape, features.dtype)
            # In blocks: the rows may be a map of a file larger than memory.
            rows = max(1, _BLOCK_BYTES // max(1, features.shape[1] * features.itemsize))
            for start in range(0, len(features), rows):
                stored[start : start + rows] = np.ascontiguousarray(features[start : start + rows])
        return open_features(path)

    def fitted(self, key: str) -> dict[str, NDArray[Any]] | None:
        """Return the arrays that `write_fitted` stored under ``key``, None without any."""
        path = self.folder / f"{key[:16]}.fitted"
        if not path.exists():
            return None
        with _opened(path) as file:
            return {name: file[name][()] for name in file}

    def write_fitted(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Store what a reducer has learned, atomically: the same for runs that come later."""
        path = self.folder / f"{key[:16]}.fitted"
        with self._replacing(path) as part, h5py.File(part, "w") as file:
            for name, array in arrays.items():
                file[name] = array

    @contextmanager
    def _replacing(self, path: Path) -> Iterator[Path]:
        """Give a temporary file that takes the place of ``path`` if nothing goes wrong."""
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=".", suffix=".tmp")
        os.close(handle)
        part = Path(name)
        try:
            yield part
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
