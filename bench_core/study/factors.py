"""The factors of a study: what may be varied, what a level of it changes, how it is drawn.

A factor is one entry of `FACTORS`. Its levels are read from ``[factors]``, its level at the
baseline from ``[baseline]``; it is a column of the table and has a figure. Where it changes a size
of the GPT, a setting of its training or an option of the encoder of that name, nothing else is
needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, Literal

from bench_core.errors import InputError, unknown
from bench_core.toml import read_section
from encoders.videogpt.config import ATTENTIONS, QUANTISATIONS
from encoders.videogpt.training.settings import PARALLEL, PRECISIONS

Level = bool | int | str

Changes = Literal["size", "recipe", "encoder", "data", "student", "processes", "layer"]
"""What a level changes: a field of `encoders.videogpt.config.GPTConfig` of the factor's name, one
of `encoders.videogpt.training.settings.TrainSettings`, an option of the encoder ``videogpt``; or
the training data, the network that is trained, how many processes train it, the layer that is read.
"""

DISTILLATION = ("none", "student", "distilled")
"""The cell's own network; a smaller one trained as it is; the same, taught by the cell's own."""

TRAINING = ("seconds_gpt", "peak_memory_bytes")
FEATURES = ("seconds_encode", "weight_bytes")


@dataclass(frozen=True)
class Factor:
    """One thing that a study may vary.

    Parameters
    ----------
    name : in ``[factors]``, ``[baseline]`` and the table.
    about : what its levels are, in a word, for errors.
    label : of the axis in its figure.
    kind : of a level: int, str or bool.
    changes : see `Changes`.
    default : level at the baseline where ``[baseline]`` has none. Sizes have the preset's.
    choices : the levels there are, where there are but some. least : the smallest number.
    figure : number of the thesis's figure, None where it has none.
    costs : columns of the table that its figure shows beside r.

    Examples
    --------
    >>> FACTORS["heads"].changes, FACTORS["precision"].choices
    ('size', ('fp32', 'bf16', 'fp16'))
    """

    name: str
    about: str
    label: str
    kind: type[Level]
    changes: Changes
    default: Level | None = None
    choices: tuple[str, ...] = ()
    least: int | None = None
    figure: str | None = None
    costs: tuple[str, ...] = ()

    @property
    def in_baseline(self) -> bool:
        """True if ``[baseline]`` has a key for it that is no size of the network."""
        return self.changes not in ("size", "layer")

    def check(self, level: Level, key: str) -> None:
        """Raise `InputError` or `UnknownNameError` for a value that is no level."""
        if self.choices and level not in self.choices:
            raise unknown(key, str(level), self.choices)
        if self.least is not None and isinstance(level, int) and level < self.least:
            raise InputError(f"{key} is {level}: give {self.least} or more")


def _of(*factors: Factor) -> dict[str, Factor]:
    return {factor.name: factor for factor in factors}


FACTORS: Mapping[str, Factor] = _of(
    Factor(
        "training_frames", "frames to train on", "frames to train on", int, "data", figure="4.2"
    ),
    Factor("hidden_dim", "widths of the GPT", "hidden dimension", int, "size", figure="4.3"),
    Factor("layers", "blocks of the GPT", "layers", int, "size", figure="4.4"),
    Factor("heads", "attention heads of the GPT", "attention heads", int, "size", figure="4.5"),
    Factor(
        "precision", "precisions of the GPT's training", "precision of training", str, "recipe",
        default="fp32", choices=PRECISIONS, figure="4.6",
    ),
    Factor(
        "layer", "what is read of one network; see features.layer", "layer that is read", str,
        "layer", figure="4.7",
    ),
    Factor(
        "attention", "kernels of the GPT's attention", "kernel of the attention", str, "size",
        choices=ATTENTIONS, costs=TRAINING,
    ),
    Factor(
        "checkpointing", "whether activations are computed again in the backward pass",
        "activation checkpointing", bool, "size", costs=TRAINING,
    ),
    Factor(
        "distillation", "the network itself, a student, a student that it teaches",
        "distillation", str, "student", default="none", choices=DISTILLATION, costs=FEATURES,
    ),
    Factor(
        "quantisation", "number formats of the weights that features are read with",
        "weights that features are read with", str, "encoder", default="none",
        choices=QUANTISATIONS, costs=FEATURES,
    ),
    Factor(
        "processes", "processes that train a GPT together", "processes that train", int,
        "processes", default=1, least=1, costs=TRAINING,
    ),
    Factor(
        "parallel", "what processes that train together share", "what processes share", str,
        "recipe", default="ddp", choices=PARALLEL, costs=TRAINING,
    ),
)  # fmt: skip
"""All factors by name, in the order of the grid and of the table's columns."""


@dataclass(frozen=True)
class StudyFactors:
    """``[factors]``: the levels of what is varied; a factor without levels stays as it is.

    >>> StudyFactors.read({"heads": [1, 2]}, Path()).levels
    {'heads': (1, 2)}
    """

    levels: dict[str, tuple[Level, ...]]

    @classmethod
    def read(cls, table: Any, base: Path) -> StudyFactors:
        """Return what the table says, in the order of `FACTORS`.

        Raises `InputError` or `UnknownNameError`, naming the key.
        """
        read = vars(read_section(section_of(FACTORS.values(), many=True), table, "factors", base))
        levels = {name: given for name, given in read.items() if given}
        for name, given in levels.items():
            if len(set(given)) < len(given):
                raise InputError(f"factors.{name} {list(given)} repeats a level: give each once")
            for level in given:
                FACTORS[name].check(level, f"level of factors.{name}")
        if not levels:
            raise InputError(f"[factors] has no levels: give some of {', '.join(FACTORS)}")
        return cls(levels)


def section_of(factors: Iterable[Factor], *, many: bool) -> type[Any]:
    """Return a dataclass of a section with a field for each factor: its levels, or its level."""
    fields = []
    for each in factors:
        kind: Any = GenericAlias(tuple, (each.kind, ...)) if many else each.kind | None
        default = () if many else each.default
        fields.append((each.name, Annotated[kind, each.about], field(default=default)))
    return make_dataclass("Levels", fields, frozen=True)


def named(level: Level | None) -> str:
    """Return a level as it stands in CONFIG, without quotes.

    >>> [named(level) for level in (True, 4, "fp32")]
    ['true', '4', 'fp32']
    """
    return str(level).lower() if isinstance(level, bool) else str(level)


def of_kind(levels: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """Return the levels of the factors that change one thing.

    >>> of_kind({"heads": 2, "precision": "fp32"}, "size")
    {'heads': 2}
    """
    return {name: level for name, level in levels.items() if FACTORS[name].changes == changes}


def changed(levels: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """Return those of `of_kind` that are not at their default.

    >>> changed({"quantisation": "none"}, "encoder"), changed({"quantisation": "int8"}, "encoder")
    ({}, {'quantisation': 'int8'})
    """
    found = of_kind(levels, changes)
    return {name: level for name, level in found.items() if level != FACTORS[name].default}
