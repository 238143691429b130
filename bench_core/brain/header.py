"""Headers of functional images: length and repetition time, without the data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench_core.brain import extraction
from bench_core.errors import InputError
from bench_core.files import read_json


@dataclass(frozen=True)
class BoldHeader:
    """A run's length and repetition time in seconds, None when unknown."""

    name: str
    path: Path
    volumes: int
    tr: float | None


def read_header(path: Path, name: str) -> BoldHeader:
    """Return the run's length and repetition time from the header and the JSON file beside it."""
    image = extraction.load_image(path, "image")
    if len(image.shape) != 4:
        raise InputError(f"{path} has shape {image.shape}: a functional image has four axes")
    tr: float | None = float(image.header.get_zooms()[3]) or None
    side = path.with_name(path.name.partition(".nii")[0] + ".json")
    if side.is_file():
        try:
            tr = float(read_json(side).get("RepetitionTime", tr))
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{side} is damaged ({error}): copy it again") from error
    return BoldHeader(name, path, int(image.shape[3]), tr)
