"""Features of the stimuli from the encoders' store: which of them, where there are several."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from bench_core.errors import InputError, unknown

if TYPE_CHECKING:
    from encoders.alignment import Alignment
    from encoders.store import StoredFeatures

_DIGITS = 12  # of a digest, where it is printed


@dataclass(frozen=True, kw_only=True)
class StoreSettings:
    """``[features]`` with ``source = "store"``: the output of ``ridgebench encode``."""

    folder: Annotated[Path, "the folder given to ridgebench encode as --out"]
    layer: Annotated[str | None, "the layer, where several are stored"] = None
    encoder: Annotated[str | None, "the encoder, where features of several are stored"] = None
    weights: Annotated[str | None, "the beginning of the digest of the weights"] = None
    reducers: Annotated[
        tuple[str, ...] | None, "names of the reducers, in order, or NAME=COUNT"
    ] = None
    dtype: Annotated[Literal["float32", "float16"] | None, "the precision they have"] = None
    phase: Annotated[float | None, "seconds after a TR's onset at which frames were taken"] = None
    clock: Annotated[
        Literal["file", "picture"] | None, "the clock of films whose first picture comes late"
    ] = None
    kind: Annotated[str | None, "the beginning of the digest of the kind, if nothing else"] = None
    keys: Annotated[
        tuple[str, ...], "beginnings of keys (the end of a file's name), for doubled stimuli"
    ] = ()

    def open(self, alignment: Alignment) -> StoredStimuli:
        """Return the features; raise `InputError` unless the keys select one set of them."""
        from encoders.store import FeatureStore

        if not self.folder.is_dir():
            raise InputError(f"features.folder {self.folder} does not exist: run ridgebench encode")
        every = FeatureStore(self.folder).find()
        found = [each for each in every if self._wants(each)]
        if not found:
            known = _listed(every) or "nothing"
            raise InputError(f"{self.folder} has no features as selected: it has {known}")
        found = self._of_tr(found, alignment.tr)
        if len({_kind(each) for each in found}) > 1:
            raise InputError(
                f"{self.folder} has several kinds of features: {_listed(found)}. Choose with "
                f"{', '.join(_deciding(found))}"
            )
        return StoredStimuli(self._one_per_stimulus(found))

    def _of_tr(self, found: Sequence[StoredFeatures], tr: float) -> list[StoredFeatures]:
        fitting = [each for each in found if abs(float(each.identity["tr"]) - tr) <= 1e-6]
        if not fitting:
            made = sorted({float(each.identity["tr"]) for each in found})
            raise InputError(
                f"the features were made for a TR of {', '.join(f'{each:g}' for each in made)} s "
                f"and samples.tr is {tr} s: correct samples.tr, or encode again"
            )
        return fitting

    def _one_per_stimulus(self, found: Sequence[StoredFeatures]) -> dict[str, StoredFeatures]:
        """Return stimulus → features; of doubled ones those that ``keys`` names."""
        for key in self.keys:
            if not any(each.key.startswith(key) for each in found):
                raise unknown("features.keys", key, [each.key[:_DIGITS] for each in found])
        stimuli: dict[str, list[StoredFeatures]] = {}
        for each in found:
            stimuli.setdefault(each.run, []).append(each)
        chosen = {}
        for name, several in stimuli.items():
            named = [each for each in several if each.key.startswith(self.keys or "-")]
            rest = named or several
            if len(rest) > 1:
                raise InputError(
                    f"{self.folder} has features of {len(rest)} films called {name}: "
                    f"{'; '.join(map(_film_words, rest))}. Choose with features.keys = [KEY]"
                    + (" or features.clock" if len({_clock(each) for each in rest}) > 1 else "")
                )
            chosen[name] = rest[0]
        return chosen

    def _wants(self, each: StoredFeatures) -> bool:
        return (
            self.layer in (None, each.layer)
            and self.encoder in (None, each.encoder)
            and str(each.identity["weights"]).startswith(self.weights or "")
            and (self.reducers is None or _reduced_by(each, self.reducers))
            and self.dtype in (None, each.identity["dtype"])
            and (self.phase is None or abs(self.phase - float(each.identity["phase"])) <= 1e-9)
            and (self.clock is None or _clock(each) in (None, self.clock))
            and _kind(each).startswith(self.kind or "")
        )


@dataclass(frozen=True)
class StoredStimuli:
    """Stored features of the encoders; see `bench_core.brain.features.Features`."""

    stored: Mapping[str, StoredFeatures]
    columns: Sequence[str] | None = None

    @property
    def stimuli(self) -> Sequence[str]:
        """Names of the stimuli."""
        return sorted(self.stored)

    @property
    def _one(self) -> StoredFeatures:
        return next(iter(self.stored.values()))

    @property
    def q(self) -> int:
        """Features per TR."""
        return self._one.shape[1]

    @property
    def about(self) -> dict[str, Any]:
        """Description for the problem's ``meta``; ``films`` are those that are irregular."""
        identity = self._one.identity
        names = ("encoder", "layer", "weights", "trained", "preprocessing", "reducers", "dtype")
        about = {name: identity[name] for name in names}
        films = {run: each.film for run, each in self.stored.items() if "film" in each.identity}
        if films:
            about["films"] = films
        return about if identity["trained"] else {**about, "note": "untrained: random weights"}

    def trs(self, stimulus: str, volumes: int) -> NDArray[np.int64]:
        """Return the TRs that have features."""
        return self.stored[stimulus].trs

    def length(self, stimulus: str) -> int | None:
        """Return the TRs up to the last that has features."""
        return int(self.stored[stimulus].trs[-1]) + 1

    def read(self, stimulus: str, volumes: int) -> NDArray[Any]:
        """Return the features (n, q)."""
        return self.stored[stimulus].read()

    def file(self, stimulus: str) -> Path:
        """Return the file that is read."""
        return self.stored[stimulus].path

    def notes(self, stimulus: str, volumes: int, used: NDArray[np.integer[Any]]) -> list[str]:
        """Return none: the table of runs says how many TRs and volumes there are."""
        return []


def _kind(each: StoredFeatures) -> str:
    """Return the digest of the properties that features of one kind share."""
    from encoders.digests import of_json

    own = ("stimulus", "film")
    identity = {name: value for name, value in each.identity.items() if name not in own}
    return of_json([identity, each.shape[1]])


def _reducers(each: StoredFeatures) -> list[str]:
    return [
        f"{reducer['name']}={reducer['components']}"
        if "components" in reducer
        else str(reducer["name"])
        for reducer in each.identity["reducers"]
    ]


def _reduced_by(each: StoredFeatures, wanted: Sequence[str]) -> bool:
    own = _reducers(each)
    return len(own) == len(wanted) and all(
        text in (word, word.partition("=")[0]) for text, word in zip(wanted, own, strict=True)
    )


def _clock(each: StoredFeatures) -> str | None:
    """Return the clock that the times count on; None where both are the same."""
    film = each.identity.get("film", {})
    if "clock" in film:
        return str(film["clock"])
    return "picture" if each.film is not None and each.film["first_picture"] else None


_TRAITS: dict[str, tuple[str, Callable[[StoredFeatures], str]]] = {
    "features.encoder": ("", lambda each: each.encoder),
    "features.layer": ("", lambda each: each.layer),
    "features.reducers": ("", lambda each: "-".join(_reducers(each))),
    "features.weights": ("weights ", lambda each: str(each.identity["weights"])[:_DIGITS]),
    "samples.tr": ("TR ", lambda each: f"{each.identity['tr']}"),
    "features.phase": ("phase ", lambda each: f"{each.identity['phase']}"),
    "features.dtype": ("", lambda each: str(each.identity["dtype"])),
}
"""Key that decides → the word before its value in a list, and the value."""


def _deciding(found: Sequence[StoredFeatures]) -> list[str]:
    """Return the keys that tell kinds apart; ``features.kind`` does where no other can."""
    differ = [key for key, (_, of) in _TRAITS.items() if len({of(each) for each in found}) > 1]
    told = {tuple(of(each) for _, of in _TRAITS.values()) for each in found}
    enough = len(told) == len({_kind(each) for each in found})
    return differ if enough else [*differ, "features.kind"]


def _listed(found: Sequence[StoredFeatures]) -> str:
    return "; ".join(sorted({_words(each) for each in found}))


def _words(each: StoredFeatures) -> str:
    traits = ", ".join(f"{word}{of(each)}" for word, of in _TRAITS.values())
    return f"{traits}, kind {_kind(each)[:_DIGITS]}"


def _film_words(each: StoredFeatures) -> str:
    clock = _clock(each)
    film = f"film {str(each.identity['stimulus'])[:_DIGITS]}"
    return f"key {each.key[:_DIGITS]} ({film}{f', clock {clock}' if clock else ''})"
