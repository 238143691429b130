"""The cells of a study: one network each, and where it stands in the grid."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from bench_core.errors import InputError, ResourceError
from bench_core.study.baseline import network_sizes
from bench_core.study.factors import named, of_kind
from bench_core.study.settings import StudySettings, chosen
from encoders.videogpt.clips.store import ClipStore
from encoders.videogpt.clips.subsets import Subset, all_frames, draw_subset
from encoders.videogpt.config import VideoGPTConfig
from encoders.videogpt.training.runs import Data
from encoders.videogpt.training.settings import TrainSettings

# Table 4.4 of the thesis: the block that is read, by the number of layers, where layers vary. The
# other figures read block 4 of 8.
SWEEP_BLOCKS = {1: 0, 2: 1, 4: 3, 8: 7}
BASELINE_BLOCK = {8: 4}


@dataclass(frozen=True)
class Cell:
    """One network of the study.

    Parameters
    ----------
    factor, level : what is varied and how; factor "product" has all levels as text.
    levels : the level of every factor; ``training_frames`` is None for all there are.
    config : sizes, None where they cannot be built, for the ``reason``.
    layer : the module that is read.
    """

    factor: str
    level: str
    levels: dict[str, Any]
    config: VideoGPTConfig | None
    layer: str
    reason: str | None = None

    @property
    def name(self) -> str:
        """Name of the cell in tables."""
        return self.level if self.factor == "product" else f"{self.factor} {self.level}"

    @property
    def processes(self) -> int:
        """Number of processes that train the GPT together."""
        return int(self.levels["processes"])


def cells(settings: StudySettings) -> list[Cell]:
    """Return the cells in the order of the file; what cannot be built has its reason."""
    return [_cell(settings, *each) for each in _grid(settings)]


def _baseline(settings: StudySettings) -> dict[str, Any]:
    """Return the level of every factor at the baseline."""
    return settings.baseline.all_levels(settings.features.layer)


def _grid(settings: StudySettings) -> Iterator[tuple[str, str, dict[str, Any]]]:
    base = _baseline(settings)
    given = settings.factors.levels
    if settings.design == "one-factor":
        for factor, levels in given.items():
            for level in levels:
                yield factor, named(level), {**base, factor: level}
        return
    for combination in product(*given.values()):
        chosen_levels = dict(zip(given, combination, strict=True))
        text = " ".join(f"{name}={named(level)}" for name, level in chosen_levels.items())
        yield "product", text, {**base, **chosen_levels}


def _cell(settings: StudySettings, factor: str, level: str, levels: dict[str, Any]) -> Cell:
    layer = _layer(levels["layer"], factor, levels["layers"])
    try:
        # A student's teacher has to be possible, too.
        settings.baseline.sizes.with_sizes(**of_kind(levels, "size"))
        config = settings.baseline.sizes.with_sizes(**network_sizes(levels, settings.student))
        layer = _layer(levels["layer"], factor, config.gpt.layers)
        _check_block(layer, config.gpt.layers)
        found = Cell(factor, level, levels, config, layer)
        process_recipe(settings, found, 1)
    except InputError as error:
        return Cell(factor, level, levels, None, layer, str(error))
    return found


def teacher_of(settings: StudySettings, cell: Cell) -> Cell | None:
    """Return the cell whose network teaches the one of ``cell``; None where none does."""
    if cell.levels["distillation"] != "distilled":
        return None
    return _cell(settings, cell.factor, cell.level, {**cell.levels, "distillation": "none"})


def process_recipe(settings: StudySettings, cell: Cell, steps: int) -> TrainSettings:
    """Return the settings of the GPT's training on each of the cell's processes.

    ``gpt.batch_size`` is that of all processes together, whatever their number: they train as one.

    Raises `InputError` for a number of processes that cannot share a batch, or the heads.
    """
    assert cell.config is not None
    recipe, count = settings.recipes(steps, cell.levels)["gpt"], cell.processes
    if count == 1:
        return recipe
    shared, size = "heads", cell.config.gpt.heads
    if recipe.parallel != "tensor":
        shared, size = "samples of a batch", recipe.batch_size
    if size % count:
        raise InputError(
            f"{count} processes cannot share {size} {shared} ({recipe.parallel}): give a number "
            "that divides them"
        )
    return recipe if recipe.parallel == "tensor" else replace(recipe, batch_size=size // count)


def _layer(wanted: str, factor: str, layers: int) -> str:
    if wanted not in ("thesis", "last"):
        return wanted
    block = layers - 1
    if wanted == "thesis":
        blocks = SWEEP_BLOCKS if factor == "layers" else BASELINE_BLOCK
        block = blocks.get(layers, block)
    return f"attn_stack.attn_nets.{block}.post_fc_dp"


def _check_block(layer: str, layers: int) -> None:
    """Raise `InputError` for a layer in a block that the network does not have."""
    found = re.search(r"attn_nets\.(\d+)", layer)
    if found is not None and int(found[1]) >= layers:
        raise InputError(
            f"layer {layer} is in block {found[1]} of a network of {layers}: blocks are counted "
            "from 0"
        )


def layers_of_network(settings: StudySettings, cell: Cell) -> list[str]:
    """Return the layers that all cells of the cell's network read, its own first."""

    def network(one: Cell) -> dict[str, Any]:
        return {name: level for name, level in one.levels.items() if name != "layer"}

    same = [one.layer for one in cells(settings) if one.config and network(one) == network(cell)]
    return list(dict.fromkeys([cell.layer, *same]))


@dataclass(frozen=True)
class TrainingData:
    """Training data of a cell, and the number of steps."""

    data: Data
    subset: Subset
    samples: int
    steps: int


def open_clips(settings: StudySettings) -> tuple[ClipStore, ClipStore | None]:
    """Return the runs to train on, and those held out, None where there is none.

    Raises `UnknownNameError` for a pattern that matches no run, `InputError` when none is left.
    """
    clips = settings.clips
    names = [run.name for run in ClipStore(clips.folder).runs]
    held = chosen(names, clips.held_out, "clips.held_out")
    train = [name for name in chosen(names, clips.train, "clips.train") if name not in held]
    if not train:
        raise InputError("clips.held_out leaves no run to train on: hold out fewer")
    return ClipStore(clips.folder, train), ClipStore(clips.folder, held) if held else None


def training_data(settings: StudySettings, cell: Cell, store: ClipStore) -> TrainingData:
    """Return the cell's data; raise `ResourceError` when there are fewer frames than its level."""
    assert cell.config is not None
    clip, pair = cell.config.vqvae.sequence_length, cell.config.clip_frames
    stride = clip if settings.clips.stride is None else settings.clips.stride
    frames = cell.levels["training_frames"]
    if frames is None:
        subset = all_frames(store)
    else:
        block = max(pair, stride) if settings.clips.block is None else settings.clips.block
        if block < pair:
            raise InputError(f"clips.block {block} is shorter than a sample of {pair} frames")
        subset = draw_subset(store, frames, block=block, seed=settings.seed)
    samples = len(subset.windows(pair, stride))
    if not samples:
        raise ResourceError(f"no stretch of {pair} frames in the clips: record longer runs")
    if settings.gpt.steps is not None:
        steps = settings.gpt.steps
    else:
        batch = settings.recipes(1)["gpt"].batch_size
        steps = max(1, math.ceil((settings.gpt.epochs or 0) * samples / batch))
    return TrainingData(Data(store, subset, stride), subset, samples, steps)


def at_baseline(settings: StudySettings, levels: dict[str, Any], but: str) -> bool:
    """Say whether all factors ``but`` one are at the baseline's level."""
    base = _baseline(settings)
    at_base = {name: levels[name] == value for name, value in base.items()}
    # Rows have the module that was read, cells the word for it.
    layers = network_sizes({name: levels[name] for name in base}, settings.student)["layers"]
    at_base["layer"] |= levels["layer"] == _layer(base["layer"], "product", layers)
    return all(name == but or same for name, same in at_base.items())
