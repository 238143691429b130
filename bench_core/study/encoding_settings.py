"""The file of a user's own film and fMRI for the suite `benchmarks/encoding.py`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from bench_core import strategies
from bench_core.brain.settings import ProblemSettings
from bench_core.brain.stored_features import StoreSettings
from bench_core.errors import InputError, unknown
from bench_core.toml import read_section, read_toml
from encoders.reducers import parse
from encoders.registry import names as encoder_names

VARIABLE = "RIDGEBENCH_ENCODING"
"""Environment variable that names the file, or several separated as in PATH."""

SECTIONS = ("options",)


@dataclass(frozen=True, kw_only=True)
class EncodingSettings:
    """What the suite runs beside the example: films, an encoder, and the problems of subjects.

    A problem's features are replaced by those that are encoded here.
    """

    name: Annotated[str | None, "what the problem is called"] = None
    films: Annotated[tuple[Path, ...], "video files, with * and ? in their names"]
    problem: Annotated[Path, "a file of ridgebench problem build, of one subject or of several"]
    encoder: Annotated[str, "name of the encoder"]
    weights: Annotated[str | None, 'a file of weights, or "fetch"'] = None
    layers: Annotated[tuple[str, ...], "layers to compare"]
    reducers: Annotated[tuple[str, ...], "reducers, each as ridgebench encode takes them"] = (
        "none",
    )
    strategies: Annotated[tuple[str, ...], "strategies to fit with"] = ("multitarget",)
    test_runs: Annotated[tuple[str, ...], "runs that test, with * and ?"] = ()
    test_fraction: Annotated[float, "share of the runs, the last ones, that test"] = 0.1

    def __post_init__(self) -> None:
        for name, values in (("films", self.films), ("layers", self.layers)):
            if not values:
                raise InputError(f"{name} is empty: name one or more")
        if self.encoder not in encoder_names():
            raise unknown("encoder", self.encoder, encoder_names())
        for each in self.strategies:
            if each not in strategies.names():
                raise unknown("strategy in strategies", each, strategies.names())
        for each in self.reducers:
            parse(each)


@dataclass(frozen=True)
class EncodingFile:
    """The settings in a file, with the encoder's options and the subjects' problems.

    Parameters
    ----------
    subjects : settings of the problem of every subject, by name.
    """

    path: Path
    name: str
    settings: EncodingSettings
    options: Mapping[str, Any] = field(default_factory=dict)
    subjects: Mapping[str, ProblemSettings] = field(default_factory=dict)

    @classmethod
    def read(cls, path: str | Path) -> EncodingFile:
        """Return what the file says; raise `InputError` or `UnknownNameError`, naming the key."""
        path = Path(path)
        tables = read_toml(path)
        options = tables.pop("options", {})
        try:
            if not isinstance(options, dict):
                raise InputError(f"options is {options!r}: it must be a table, [options]")
            settings = read_section(EncodingSettings, tables, "", path.resolve().parent)
        except (InputError, LookupError) as error:
            raise type(error)(f"{path}: {error}") from error
        problems = ProblemSettings.read_all(settings.problem)
        for each in problems:
            if not isinstance(each.features, StoreSettings):
                raise InputError(
                    f'{settings.problem}: give [features] source = "store", whose folder the '
                    "suite replaces by its own"
                )
        return cls(
            path.resolve(),
            settings.name or path.stem,
            settings,
            options,
            {each.subject or each.name: each for each in problems},
        )

    def films(self) -> dict[str, Path]:
        """Return the films by the names of their files; raise `InputError` where there is none."""
        found = [file for one in self.settings.films for file in sorted(one.parent.glob(one.name))]
        if not found:
            given = ", ".join(map(str, self.settings.films))
            raise InputError(f"{self.path}: no file is named {given}: correct films")
        return {file.stem: file for file in found}


def files_of(given: str, folder: Path) -> list[EncodingFile]:
    """Return the files named in ``given``, separated as in PATH, relative to ``folder``.

    Raises `InputError` for two files whose problems have one name, and as `EncodingFile.read`.
    """
    found = [EncodingFile.read(folder / path) for path in given.split(os.pathsep)]
    names = [file.name for file in found]
    for file in found:
        if names.count(file.name) > 1:
            raise InputError(f"{file.path}: another file has the name {file.name}: give it its own")
    return found
