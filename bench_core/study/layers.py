"""Comparison of an encoder's layers: one fit each, and the layer that each target prefers.

All layers are encoded in one pass over the film, and targets are read and cleaned once (thesis,
figure 4.7 and table 4.5).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench_core.accuracy import summary
from bench_core.accuracy.regions import by_region
from bench_core.brain.build import plan
from bench_core.brain.settings import ProblemSettings
from bench_core.brain.stored_features import StoreSettings
from bench_core.data.space import TargetSpace
from bench_core.errors import InputError
from bench_core.files import new_folder, replace_file, write_json, write_text
from bench_core.progress import Progress, silent
from bench_core.records import Record, to_dict
from bench_core.study.settings import FitSettings
from bench_core.study.subjects import fit_problem, open_subject
from encoders import digests
from encoders.store import FeatureStore

SCHEMA = "ridgebench-layers/1"


@dataclass(frozen=True)
class LayersRequest:
    """One comparison of layers.

    Parameters
    ----------
    config : TOML file of a problem whose features are a store; see ``problem build``.
    layers : names; none for all that the store has of the problem's encoder.
    fit : strategy, penalties and held-out runs.
    least_r : r below which a target prefers no layer.
    regions : image of labels, over whose regions r is averaged.
    encode_seconds : what encoding took, if it was done just now.
    """

    config: Path
    layers: Sequence[str]
    fit: FitSettings
    least_r: float = 0.1
    regions: Path | None = None
    encode_seconds: float | None = None


@dataclass(frozen=True, eq=False)
class LayerFit:
    """The fit of one layer.

    Parameters
    ----------
    features, p : features of a TR, and of a sample. stored_bytes : of the layer's files.
    r : of every target (s,) on the held-out runs. penalty : the median of the targets'.
    record : of the fit: its time and its memory.
    """

    layer: str
    features: int
    p: int
    stored_bytes: int
    r: NDArray[np.float64]
    penalty: float
    record: Record

    def row(self) -> dict[str, Any]:
        """Return the figures of the layer, as JSON values."""
        times, memory = self.record.times, self.record.memory
        return {
            "layer": self.layer,
            "features": self.features,
            "p": self.p,
            "stored_bytes": self.stored_bytes,
            **{f"r_{name}": value for name, value in summary(self.r).items()},
            "penalty": self.penalty,
            "fit_s": None if times is None else times.median_s,
            "predict_s": None if times is None else times.predict_s,
            "peak_bytes": None if memory is None else memory.peak_bytes,
        }


@dataclass(frozen=True, eq=False)
class LayerComparison:
    """Fits of all layers.

    Parameters
    ----------
    preferred : (s,) the number of the layer with the largest r, counted from 1; 0 where no r
        reaches the least one.
    regions : (s,) the region of every target, None without an atlas.
    """

    name: str
    fits: Sequence[LayerFit]
    preferred: NDArray[np.intp]
    space: TargetSpace | None
    regions: NDArray[np.int64] | None
    least_r: float
    encode_seconds: float | None

    @property
    def layers(self) -> list[str]:
        """Names of the layers."""
        return [fit.layer for fit in self.fits]

    def rows(self) -> list[dict[str, Any]]:
        """Return the figures of every layer, and how many targets prefer it."""
        return [
            {**fit.row(), "preferred_by": int((self.preferred == number).sum())}
            for number, fit in enumerate(self.fits, 1)
        ]

    def region_rows(self) -> list[dict[str, Any]]:
        """Return the mean r of every layer in every region."""
        if self.regions is None:
            return []
        found: dict[int, dict[str, Any]] = {}
        for fit in self.fits:
            for each in by_region(fit.r, self.regions):
                row = found.setdefault(
                    each.region, {"region": each.region, "targets": each.targets}
                )
                row[fit.layer] = each.mean
        for row in found.values():
            known = {name: row[name] for name in self.layers if row.get(name) is not None}
            row["preferred"] = max(known, key=lambda name: known[name]) if known else None
        return list(found.values())


def preferred_layer(r: NDArray[np.float64], least: float) -> NDArray[np.intp]:
    """Return the number of the best layer of every target (s,), counted from 1; 0 for none.

    Parameters
    ----------
    r : (layers, s), NaN where undefined. Of equal ones the first layer counts.
    least : the r that the best layer must reach.

    >>> preferred_layer(np.array([[0.3, np.nan, 0.0], [0.2, 0.4, 0.05]]), 0.1).tolist()
    [1, 2, 0]
    """
    usable = np.where(np.isnan(r), -np.inf, r)
    return np.where(usable.max(axis=0) >= least, usable.argmax(axis=0) + 1, 0)


def compare_layers(
    request: LayersRequest, *, scratch: Path, progress: Progress = silent
) -> LayerComparison:
    """Fit every layer and return the comparison.

    Parameters
    ----------
    scratch : folder for the problems and the cleaned targets, which are removed at the end.

    Raises
    ------
    InputError : features that are no store, a layer that it does not have, or an atlas elsewhere.
    FitError : a fit that failed or is not the strategy's answer.
    """
    settings = ProblemSettings.read(request.config)
    if not isinstance(settings.features, StoreSettings):
        raise InputError(
            f"{request.config}: layers are compared of features in a store; give [features] "
            'source = "store"'
        )
    layers = list(dict.fromkeys(request.layers)) or _stored_layers(settings.features)
    if len(layers) < 2:
        raise InputError(f"layers {layers}: give two or more to compare (--layer)")
    alignment = settings.samples.alignment()
    scratch.mkdir(parents=True, exist_ok=True)
    fits = []
    with tempfile.TemporaryDirectory(dir=scratch, prefix="layers-") as folder:
        work = Path(folder)
        known = digests.KnownDigests(work / "digests.json")
        for done, layer in enumerate(layers):
            progress(f"layer {layer}", done, len(layers))
            features = replace(settings.features, layer=layer)
            opened = features.open(alignment)
            subject = open_subject(settings.name, settings, opened.stimuli, request.fit, known)
            own = replace(settings, features=features)
            fitted = fit_problem(
                subject, own, request.fit, cache=_made(work / "targets"), scratch=work
            )
            stored = sum(opened.file(one).stat().st_size for one in opened.stimuli)
            p = fitted.record.case.problem.p or 0
            fits.append(
                LayerFit(layer, opened.q, p, stored, fitted.r, fitted.penalty, fitted.record)
            )
        progress("", len(layers), len(layers))
    space = plan(
        replace(settings, features=replace(settings.features, layer=layers[0]))
    ).targets.space
    return LayerComparison(
        settings.name,
        fits,
        preferred_layer(np.array([fit.r for fit in fits]), request.least_r),
        space,
        _regions(request.regions, space, len(fits[0].r)),
        request.least_r,
        request.encode_seconds,
    )


def write_comparison(found: LayerComparison, out: Path, *, figures: bool = True) -> list[str]:
    """Write the comparison into a new folder, whole or not at all; return the names of its files.

    ``layers.json`` and ``layers.tsv`` have the figures, ``regions.tsv`` the regions', ``r.npy``
    (layers, s), ``preferred.npy`` (s,); with the targets' places ``preferred.nii.gz``, the layers'
    numbers, and figures.

    Raises `InputError` when the folder exists.
    """
    from bench_core.study.layer_figures import draw_layers, draw_preferred

    try:
        with new_folder(out) as folder:
            values = {
                "schema": SCHEMA,
                "name": found.name,
                "least_r": found.least_r,
                "encode_s": found.encode_seconds,
                "layers": found.rows(),
                "regions": found.region_rows(),
                "records": {fit.layer: to_dict(fit.record) for fit in found.fits},
            }
            write_json(folder / "layers.json", values)
            _write_table(folder / "layers.tsv", found.rows())
            if found.regions is not None:
                _write_table(folder / "regions.tsv", found.region_rows())
            np.save(folder / "r.npy", np.array([fit.r for fit in found.fits]))
            np.save(folder / "preferred.npy", found.preferred)
            if found.space is not None:
                from bench_core.accuracy.maps import to_image

                shown = np.where(found.preferred > 0, found.preferred, np.nan)
                image = to_image(found.space, shown)
                replace_file(folder / "preferred.nii.gz", image.to_filename)
                if figures and np.isfinite(shown).any():
                    title = f"{found.name}: preferred layer"
                    mni = (found.space.template or "").upper().startswith("MNI")
                    draw = partial(draw_preferred, image, found.layers, title, mni)
                    replace_file(folder / "preferred.png", draw)
            if figures:
                replace_file(folder / "layers.svg", partial(draw_layers, found.name, found.rows()))
    except FileExistsError as error:
        raise InputError(str(error)) from error
    return sorted(path.name for path in out.iterdir())


def _write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["\t".join(names)]
    for row in rows:
        cells = ("" if row.get(name) is None else row[name] for name in names)
        lines.append("\t".join(f"{x:.6g}" if isinstance(x, float) else str(x) for x in cells))
    write_text(path, "\n".join(lines) + "\n")


def _stored_layers(features: StoreSettings) -> list[str]:
    """Return the layers that the store has of the encoder, in the order of their names."""
    if not features.folder.is_dir():
        raise InputError(f"features.folder {features.folder} does not exist: run ridgebench encode")
    found = FeatureStore(features.folder).find()
    own = {each.layer for each in found if features.encoder in (None, each.encoder)}
    return sorted(own)


def _regions(path: Path | None, space: TargetSpace | None, s: int) -> NDArray[np.int64] | None:
    if path is None:
        return None
    if space is None:
        raise InputError(f"regions {path}: the problem does not say where its targets lie")
    import nibabel

    from bench_core.accuracy.atlas import regions_of

    try:
        image = nibabel.load(path)
    except (OSError, nibabel.filebasedimages.ImageFileError) as error:
        raise InputError(f"{path} cannot be read as an image: {error}") from error
    return regions_of(space, image, s)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
