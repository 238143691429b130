"""Features of the stimuli: from ``.npy`` files, or from events (`stored_features`: a store)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench_core.brain.bids import Pattern
from bench_core.brain.timeseries import load_npy
from bench_core.data.events import Event, boxcars, read_events
from bench_core.errors import InputError, unknown

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
        """Return the file that holds them."""


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
        events = {name: read_events(path, required=("trial_type",)) for name, path in files.items()}
        known = sorted({str(event.trial_type) for each in events.values() for event in each})
        for category in self.categories:
            if category not in known:
                raise unknown("trial type in features.categories", category, known)
        used = list(self.categories) or known
        kept = {
            name: [event for event in each if event.trial_type in used]
            for name, each in events.items()
        }
        if alignment.first:
            raise InputError(
                f"samples.first is {alignment.first}: events need 0, as onsets count from volume 0"
            )
        return EventStimuli(files, kept, used, alignment.tr, max(alignment.delays))


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


@dataclass(frozen=True)
class EventStimuli:
    """Events as `Features`; before the run nothing is shown, so every window is complete."""

    files: Mapping[str, Path]
    events: Mapping[str, Sequence[Event]]
    columns: Sequence[str]
    tr: float
    lead: int

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
        """Return the TRs of the run and `lead` ones before it, when nothing was on."""
        return np.arange(-self.lead, volumes, dtype=np.int64)

    def length(self, stimulus: str) -> int | None:
        """Return None: events do not determine the length of the run."""
        return None

    def read(self, stimulus: str, volumes: int) -> NDArray[Any]:
        """Return (n, categories): 1 where a stimulus was on as the TR began."""
        before = np.zeros((self.lead, self.q))
        return np.vstack([before, boxcars(self.events[stimulus], self.columns, volumes, self.tr)])

    def file(self, stimulus: str) -> Path:
        """Return the table that is read."""
        return self.files[stimulus]
