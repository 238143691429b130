"""Headers of functional images: length, grid and repetition time, without the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench_core.brain import extraction
from bench_core.brain.targets import Grid
from bench_core.errors import InputError
from bench_core.files import read_json

_SECONDS = {"sec": 1.0, "msec": 1e-3, "usec": 1e-6, "unknown": 1.0}
_NOT_A_TR_S = 60.0
"""A repetition time above this is taken for one in another unit."""


@dataclass(frozen=True)
class RepetitionTime:
    """Seconds between two volumes, None when unknown, and where that stands.

    ``doubt`` says why the value may be wrong although it was read correctly, "" without a reason.
    """

    seconds: float | None
    source: str
    doubt: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class BoldHeader:
    """A run's length, grid and repetition time."""

    name: str
    path: Path
    grid: Grid
    volumes: int
    tr: RepetitionTime


def read_header(path: Path, name: str, tr: float | None = None) -> BoldHeader:
    """Return what the header of a functional image says; ``tr`` replaces its repetition time.

    Raises `InputError` for a damaged file, or one that has not four axes.
    """
    image = extraction.load_image(path, "image")
    if len(image.shape) != 4:
        raise InputError(f"{path} has shape {image.shape}: a functional image has four axes")
    i, j, k, volumes = map(int, image.shape)
    found = repetition_time(path, image)
    if tr is not None:
        notes: tuple[str, ...] = ()
        if found.seconds is not None and not math.isclose(found.seconds, tr, abs_tol=1e-3):
            notes = (f"targets.tr = {tr:g} s replaces {found.seconds:g} s of {found.source}",)
        found = RepetitionTime(tr, "targets.tr", "", notes)
    affine = np.asarray(image.affine, dtype=np.float64)
    return BoldHeader(name, path, Grid((i, j, k), affine), volumes, found)


def repetition_time(path: Path, image: Any) -> RepetitionTime:
    """Return the repetition time: from the JSON file beside the image, else from its header.

    The header's unit is honoured (seconds, milliseconds, microseconds). 0 means unknown.
    """
    value, unit = float(image.header.get_zooms()[3]), "sec"
    if hasattr(image.header, "get_xyzt_units"):
        unit = image.header.get_xyzt_units()[1]
    elif path.name.endswith((".mgz", ".mgh")):
        unit = "msec"
    seconds = value * _SECONDS.get(unit, math.nan)
    known = math.isfinite(seconds) and seconds > 0
    header = f"the header of {path.name}"
    side = path.with_name(path.name.partition(".nii")[0] + ".json")
    content = read_json(side) if side.is_file() else {}
    if not isinstance(content, dict):
        raise InputError(f"{side} is damaged (no table of keys): copy it again")
    if "RepetitionTime" in content:
        stated = _positive(content["RepetitionTime"], side)
        notes: tuple[str, ...] = ()
        if known and seconds != 1 and not math.isclose(stated, seconds, abs_tol=1e-3):
            notes = (f"{side.name} says {stated:g} s, which is used, and {header} {seconds:g} s",)
        return RepetitionTime(stated, side.name, _doubt(stated, ""), notes)
    if not known:
        return RepetitionTime(None, header)
    return RepetitionTime(seconds, header, _doubt(seconds, unit))


def _positive(value: object, side: Path) -> float:
    number = float(value) if isinstance(value, int | float) else math.nan
    if not math.isfinite(number) or number <= 0:
        raise InputError(
            f"{side} has RepetitionTime {value!r}: it must be seconds above 0; correct it"
        )
    return number


def _doubt(seconds: float, unit: str) -> str:
    if seconds == 1 and unit:
        return "1 is what converters write where they do not know it"
    if seconds > _NOT_A_TR_S:
        said = "it gives no unit" if unit == "unknown" else "it is given as seconds"
        return f"{said}; perhaps {seconds:g} milliseconds, {seconds / 1000:g} s"
    return ""
