"""Features of the stimuli: from ``.npy`` files, or from events (`stored_features`: a store)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench_core.brain.bids import Pattern
from bench_core.brain.timeseries import load_npy
from bench_core.data.events import Event, boxcars, on_samples, read_events
from bench_core.errors import InputError, listed, unknown

if TYPE_CHECKING:
    from encoders.alignment import Alignment


class Features(Protocol):
    """Features of every stimulus, opened: sizes are known, values are read on demand.

    ``stimuli`` are the names, ``q`` is the number of features, ``columns`` their names or None,
    ``about`` their description in the problem's ``meta``.
    """

    stimuli: Sequence[str]
    q: int
    columns: Sequence[str] | None
    about: Mapping[str, Any]

    def trs(self, stimulus: str, volumes: int) -> NDArray[np.int64]:
        """Return the TRs (n,) that have features, ascending; the run has ``volumes``."""

    def length(self, stimulus: str) -> int | None:
        """Return the TRs of the stimulus, None when its length is unknown."""

    def read(self, stimulus: str, volumes: int) -> NDArray[Any]:
        """Return the features (n, q), one row for each of `trs`."""

    def file(self, stimulus: str) -> Path:
        """Return the file that holds them, the first of several."""

    def notes(self, stimulus: str, volumes: int, used: NDArray[np.integer[Any]]) -> list[str]:
        """Return, in whole sentences, what does not reach a sample; ``used`` are TRs that do."""


@dataclass(frozen=True, kw_only=True)
class NpyFeatureSettings:
    """``[features]`` with ``source = "npy"``: one array (TRs, features) per stimulus."""

    folder: Annotated[Path, "the folder of the arrays"]
    pattern: Annotated[str, "pattern of the files, * for the stimulus's name"] = "*.npy"

    def open(self, alignment: Alignment) -> NpyStimuli:
        """Return the features."""
        files = Pattern(self.pattern).find(self.folder)
        if not files:
            raise InputError(f"{self.folder} has no file {self.pattern}: correct features.pattern")
        sizes = {name: load_npy(path).shape for name, path in files.items()}
        first = next(iter(sizes))
        for name, (_, q) in sizes.items():
            if q != sizes[first][1]:
                raise InputError(
                    f"{files[name]} has {q} features and {files[first]} has {sizes[first][1]}: "
                    "use files of the same encoder and layer"
                )
        return NpyStimuli(files, {name: n for name, (n, _) in sizes.items()}, sizes[first][1])


@dataclass(frozen=True, kw_only=True)
class EventSettings:
    """``[features]`` with ``source = "events"``: one 0/1 feature for every category."""

    folder: Annotated[Path, "the folder of the tables of events"]
    pattern: Annotated[str, "pattern of the tables, * for the run's name"] = "*_events.tsv"
    categories: Annotated[tuple[str, ...], "trial types to use, all where not given"] = ()

    def open(self, alignment: Alignment) -> EventStimuli:
        """Return the features."""
        files = Pattern(self.pattern).find(self.folder)
        if not files:
            raise InputError(f"{self.folder} has no file {self.pattern}: correct features.pattern")
        events = {name: read_events(path, columns=("trial_type",)) for name, path in files.items()}
        types = {event.trial_type for each in events.values() for event in each}
        known = sorted(each for each in types if each is not None)
        if not known:
            raise InputError(f"{self.folder}: no event of {self.pattern} has a trial_type")
        for category in self.categories:
            if category not in known:
                raise unknown("trial type in features.categories", category, known)
        used = list(self.categories) or known
        kept = {
            name: [event for event in each if event.trial_type in used]
            for name, each in events.items()
        }
        wrong = [
            f"{files[name]}, line {event.line}: {event.trial_type} at {event.onset:g} s"
            for name, each in kept.items()
            for event in each
            if math.isnan(event.duration)
        ]
        if wrong:
            raise listed(
                wrong,
                "events without a duration",
                "give seconds, 0 for an impulse, or leave their trial type out with "
                "features.categories",
            )
        unnamed = {
            name: [event for event in each if event.trial_type is None]
            for name, each in events.items()
        }
        if alignment.first:
            raise InputError(
                f"samples.first is {alignment.first}: events need 0, as onsets count from volume 0"
            )
        return EventStimuli(files, kept, used, alignment.tr, max(alignment.delays), unnamed)


@dataclass(frozen=True)
class NpyStimuli:
    """Features from ``.npy`` files; see `Features`."""

    files: Mapping[str, Path]
    lengths: Mapping[str, int]
    q: int
    columns: Sequence[str] | None = None

    @property
    def stimuli(self) -> Sequence[str]:
        """Names of the stimuli."""
        return sorted(self.files)

    @property
    def about(self) -> dict[str, Any]:
        """Description for the problem's ``meta``."""
        return {"source": "arrays of the user's own"}

    def trs(self, stimulus: str, volumes: int) -> NDArray[np.int64]:
        """Return the TRs that have features: row i is TR i."""
        return np.arange(self.lengths[stimulus], dtype=np.int64)

    def length(self, stimulus: str) -> int | None:
        """Return the rows of the array."""
        return self.lengths[stimulus]

    def read(self, stimulus: str, volumes: int) -> NDArray[Any]:
        """Return the features (n, q); raise `InputError` for NaN or infinity."""
        found = load_npy(self.files[stimulus])
        if not np.isfinite(found).all():
            row, column = np.argwhere(~np.isfinite(found))[0]
            raise InputError(
                f"{self.files[stimulus]} holds {found[row, column]} in row {row}, column {column}: "
                "mend the file"
            )
        return found

    def file(self, stimulus: str) -> Path:
        """Return the file that is read."""
        return self.files[stimulus]

    def notes(self, stimulus: str, volumes: int, used: NDArray[np.integer[Any]]) -> list[str]:
        """Return none: the table of runs says how many TRs and volumes there are."""
        return []


@dataclass(frozen=True)
class EventStimuli:
    """Events as `Features`; the table says what was on before the run, so windows are complete.

    ``unnamed`` are the events without a trial type, of which no feature is made.
    """

    files: Mapping[str, Path]
    events: Mapping[str, Sequence[Event]]
    columns: Sequence[str]
    tr: float
    lead: int
    unnamed: Mapping[str, Sequence[Event]] = field(default_factory=dict)

    @property
    def stimuli(self) -> Sequence[str]:
        """Names of the runs that have events."""
        return sorted(self.files)

    @property
    def q(self) -> int:
        """Categories."""
        return len(self.columns)

    @property
    def about(self) -> dict[str, Any]:
        """Description for the problem's ``meta``."""
        return {"source": "events", "categories": list(self.columns)}

    def trs(self, stimulus: str, volumes: int) -> NDArray[np.int64]:
        """Return the TRs of the run and `lead` ones before it."""
        return np.arange(-self.lead, volumes, dtype=np.int64)

    def length(self, stimulus: str) -> int | None:
        """Return None: events do not determine the length of the run."""
        return None

    def read(self, stimulus: str, volumes: int) -> NDArray[Any]:
        """Return (n, categories): 1 where a stimulus was on as the TR began."""
        n = self.lead + volumes
        return boxcars(self.events[stimulus], self.columns, n, self.tr, first=-self.lead)

    def file(self, stimulus: str) -> Path:
        """Return the table that is read."""
        return self.files[stimulus]

    def notes(self, stimulus: str, volumes: int, used: NDArray[np.integer[Any]]) -> list[str]:
        """Return a sentence for every event without a trial type, or at none of the TRs used."""
        notes = [
            f"line {event.line}: the event at {event.onset:g} s has no trial_type and no feature"
            for event in self.unnamed.get(stimulus, ())
        ]
        trs = self.trs(stimulus, volumes)
        for event in self.events[stimulus]:
            on = trs[on_samples(event, len(trs), self.tr, first=-self.lead)]
            if np.isin(on, used).any():
                continue
            if not len(on) and 0 <= event.onset < self.tr * (volumes - 1):
                why = "it begins and ends between two volumes; a duration of 0 is an impulse"
            elif event.onset >= self.tr * (volumes - 1):
                why = f"it begins after the last of {volumes} volumes"
            else:
                why = "no sample's window has a TR at which it was on"
            notes.append(
                f"line {event.line}: {event.trial_type} at {event.onset:g} s "
                f"({event.duration:g} s) reaches no sample: {why}"
            )
        return notes
