"""``[baseline]`` of a study: what is not varied, and ``[student]``: the network that is taught."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from bench_core.errors import InputError, unknown
from bench_core.study.factors import FACTORS, named, of_kind, section_of
from bench_core.toml import read_section
from encoders.videogpt.config import PRESETS, GPTConfig, VideoGPTConfig, VQVAEConfig

SIZES: Mapping[str, Any] = {**asdict(VQVAEConfig()), **asdict(GPTConfig())}


@dataclass(frozen=True)
class Baseline:
    """A preset with some sizes changed, and the levels of the factors that are no sizes."""

    sizes: VideoGPTConfig
    levels: dict[str, Any]

    @classmethod
    def read(cls, table: Any) -> Baseline:
        """Return what the table says; raise `InputError` or `UnknownNameError`, naming the key."""
        if not isinstance(table, dict):
            raise InputError(f"baseline is {table!r}: it must be a table, [baseline]")
        rest = dict(table)
        name = rest.pop("preset", "thesis")
        if name not in PRESETS:
            raise unknown("baseline.preset", str(name), PRESETS)
        others = {each.name: each for each in FACTORS.values() if each.in_baseline}
        own = {key: rest.pop(key) for key in others if key in rest}
        section = section_of(others.values(), many=False)
        levels = vars(read_section(section, own, "baseline", Path()))
        for key in own:
            others[key].check(levels[key], f"baseline.{key}")
        for key, value in rest.items():
            if key not in SIZES:
                raise unknown("key in [baseline]", key, ["preset", *others, *SIZES])
            _check_size(key, value)
        return cls(PRESETS[name].with_sizes(**rest), levels)

    def all_levels(self, layer: str) -> dict[str, Any]:
        """Return the level of every factor; ``layer`` is that of ``[features]``."""
        found = {
            each.name: getattr(self.sizes.gpt, each.name)
            if each.changes == "size"
            else self.levels.get(each.name)
            for each in FACTORS.values()
        }
        return {**found, "layer": layer}

    def words(self) -> str:
        """Return the baseline in a line; of settings that are the default nothing is said."""
        levels = self.all_levels("")
        frames = levels["training_frames"]
        said = [
            "all frames" if frames is None else f"{frames:,} frames",
            f"hidden_dim {levels['hidden_dim']}",
            f"{levels['layers']} layers",
            f"{levels['heads']} heads",
            str(levels["precision"]),
        ]
        told = ("training_frames", "hidden_dim", "layers", "heads", "precision", "layer")
        for name, each in FACTORS.items():
            default = SIZES[name] if each.changes == "size" else each.default
            if name not in told and levels[name] != default:
                said.append(f"{name} {named(levels[name])}")
        return ", ".join(said)


def _check_size(key: str, value: Any) -> None:
    kind = type(SIZES[key])
    fits = (
        isinstance(value, list) and all(type(each) is int for each in value)
        if kind is tuple
        else isinstance(value, (int, float) if kind is float else kind)
        and (kind is bool or not isinstance(value, bool))
    )
    if not fits:
        raise InputError(
            f"baseline.{key} is {value!r}: it must be like {SIZES[key]!r}, the thesis's"
        )


@dataclass(frozen=True, kw_only=True)
class Student:
    """``[student]``: the smaller GPT of the factor ``distillation``, and how much it is taught.

    Its teacher is the cell with the same levels but for this factor. See
    `encoders.videogpt.training.distillation` for weight and temperature.

    >>> Student(layers=1).sizes()
    {'layers': 1}
    """

    hidden_dim: Annotated[int | None, "its width; the teacher's by default"] = None
    layers: Annotated[int | None, "its blocks"] = None
    heads: Annotated[int | None, "its attention heads"] = None
    weight: Annotated[float, "of the teacher, above 0 to 1"] = 0.5
    temperature: Annotated[float, "of both networks' probabilities, above 0"] = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise InputError(f"student.weight is {self.weight}: give above 0 to 1")
        if not self.temperature > 0:
            raise InputError(f"student.temperature is {self.temperature}: give above 0")

    def sizes(self) -> dict[str, int]:
        """Return the sizes that are given."""
        given = {name: getattr(self, name) for name in ("hidden_dim", "layers", "heads")}
        return {name: size for name, size in given.items() if size is not None}

    def check_given(self, levels: list[Any]) -> None:
        """Raise `InputError` where one of the levels of ``distillation`` needs a student's size."""
        if not self.sizes() and any(level != FACTORS["distillation"].default for level in levels):
            raise InputError(
                "factor distillation needs [student]: give its hidden_dim, layers or heads"
            )


def network_sizes(levels: Mapping[str, Any], student: Student) -> dict[str, Any]:
    """Return the sizes of the network of a cell: its levels', and the student's where it is one."""
    sizes = of_kind(levels, "size")
    return sizes if levels["distillation"] == "none" else {**sizes, **student.sizes()}
