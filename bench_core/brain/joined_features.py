"""Features of several spaces side by side, each from a source of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bench_core.data.feature_spaces import FeatureSpaces
from bench_core.errors import InputError

if TYPE_CHECKING:
    from bench_core.brain.features import Features
    from encoders.alignment import Alignment


@dataclass(frozen=True, kw_only=True)
class SpacesSettings:
    """``[features]`` with ``source = "spaces"``: a table ``[features.spaces.NAME]`` for each."""

    spaces: Mapping[str, Any]

    def open(self, alignment: Alignment) -> JoinedStimuli:
        """Return the features; raise `InputError` unless all spaces have the same stimuli."""
        opened = {name: settings.open(alignment) for name, settings in self.spaces.items()}
        everything = sorted({one for each in opened.values() for one in each.stimuli})
        for name, each in opened.items():
            absent = sorted(set(everything) - set(each.stimuli))
            if absent:
                raise InputError(
                    f"features.spaces.{name} has no features of {', '.join(absent)}, which another "
                    "space has: make them, or leave their files out of the other"
                )
        return JoinedStimuli(opened)


@dataclass(frozen=True)
class JoinedStimuli:
    """Features of several spaces; see `bench_core.brain.features.Features`.

    A TR has features where all spaces have.
    """

    parts: Mapping[str, Features]

    @property
    def stimuli(self) -> Sequence[str]:
        """Names of the stimuli."""
        return self._first.stimuli

    @property
    def q(self) -> int:
        """Features per TR, of all spaces."""
        return self.spaces.p

    @property
    def columns(self) -> Sequence[str] | None:
        """Names of the features with their spaces, None unless all spaces name theirs."""
        found: list[str] = []
        for name, part in self.parts.items():
            if part.columns is None:
                return None
            found += [f"{name} {column}" for column in part.columns]
        return found

    @property
    def about(self) -> dict[str, Any]:
        """Description for the problem's ``meta``, one for each space."""
        return {name: dict(part.about) for name, part in self.parts.items()}

    @property
    def spaces(self) -> FeatureSpaces:
        """Columns of every space, without delays."""
        return FeatureSpaces.of({name: part.q for name, part in self.parts.items()})

    def trs(self, stimulus: str, volumes: int) -> NDArray[np.int64]:
        """Return the TRs that have features in all spaces."""
        each = [part.trs(stimulus, volumes) for part in self.parts.values()]
        found: NDArray[np.int64] = reduce(np.intersect1d, each)
        return found

    def length(self, stimulus: str) -> int | None:
        """Return the TRs of the stimulus in the shortest space, None when all are unknown."""
        known = [part.length(stimulus) for part in self.parts.values()]
        return min((one for one in known if one is not None), default=None)

    def read(self, stimulus: str, volumes: int) -> NDArray[Any]:
        """Return the features (n, q), space beside space."""
        common = self.trs(stimulus, volumes)
        found = []
        for part in self.parts.values():
            own = part.trs(stimulus, volumes)
            found.append(part.read(stimulus, volumes)[np.searchsorted(own, common)])
        return np.hstack(found)

    def file(self, stimulus: str) -> Path:
        """Return the file of the first space; `files` has all."""
        return self._first.file(stimulus)

    def files(self, stimulus: str) -> list[Path]:
        """Return the files that are read."""
        return [part.file(stimulus) for part in self.parts.values()]

    def notes(self, stimulus: str, volumes: int, used: NDArray[np.integer[Any]]) -> list[str]:
        """Return what of each space does not reach a sample, and TRs that one space lacks."""
        found = [
            f"{name}: {note}"
            for name, part in self.parts.items()
            for note in part.notes(stimulus, volumes, used)
        ]
        common = len(self.trs(stimulus, volumes))
        for name, part in self.parts.items():
            further = len(part.trs(stimulus, volumes)) - common
            if further:
                found.append(f"{name}: {further} TRs are left out, which another space has not")
        return found

    @property
    def _first(self) -> Features:
        return next(iter(self.parts.values()))
