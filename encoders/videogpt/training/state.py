"""Checkpoints of a training run, with everything that the next step depends on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from bench_core.errors import InputError
from bench_core.files import replace_file
from encoders.videogpt import distributed
from encoders.videogpt.checkpoint import FORMAT, read
from encoders.videogpt.training.parallel import placed, whole
from encoders.videogpt.training.phases import Phase
from encoders.videogpt.training.settings import TrainSettings

NAME = "last.pt"
_PARTS = ("settings", "phase", "config", "data", "generators", "scaler", "step")


def save(
    path: Path,
    phase: Phase,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    *,
    step: int,
    settings: TrainSettings,
    data: str,
) -> None:
    """Write a checkpoint after ``step`` steps; all processes call, the first writes."""
    generators = _gather(_generator_states())
    model, moments = whole_state(phase.model), _whole_moments(phase, optimizer)
    if distributed.rank() > 0:
        return
    content = {
        "format": FORMAT,
        "phase": phase.name,
        "config": phase.config.to_dict(),
        "state_dict": model,
        "optimizer": moments,
        "scaler": scaler.state_dict(),
        "generators": generators,
        "step": step,
        "settings": settings.to_dict(),
        "data": data,
    }
    replace_file(path, lambda part: torch.save(content, part))


def restore(
    path: Path,
    phase: Phase,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    *,
    settings: TrainSettings,
    data: str,
) -> int:
    """Restore a checkpoint and return the number of its steps.

    Raises `InputError` for a checkpoint of another phase, size, setting, data set or number of
    processes, which this run cannot continue.
    """
    content = read(path)
    if content.get("format") != FORMAT or "optimizer" not in content:
        raise InputError(
            f"{path} holds weights alone, and cannot be continued: start a new run in another "
            "folder"
        )
    missing = [name for name in _PARTS if name not in content]
    if missing:
        raise InputError(
            f"{path} lacks {', '.join(missing)}: it is damaged; start a new run in another folder"
        )
    settings.check_continues(content["settings"])
    same = {
        "phase": (content["phase"], phase.name),
        "sizes": (content["config"], phase.config.to_dict()),
        "data": (content["data"], data),
        "number of processes": (len(content["generators"]), distributed.world_size()),
    }
    for what, (was, now) in same.items():
        if was != now:
            raise InputError(
                f"{what} is {now}, and {was} in {path}: start a new run in another folder"
            )
    here = phase.model.state_dict()
    weights = {
        name: placed(value, here[name]) if name in here else value
        for name, value in content["state_dict"].items()
    }
    phase.model.load_state_dict(weights)
    _place_moments(phase, optimizer, content["optimizer"])
    scaler.load_state_dict(content["scaler"])
    _set_generators(content["generators"][distributed.rank()])
    return int(content["step"])


def whole_state(model: nn.Module) -> dict[str, Tensor]:
    """Return the state of a model that processes may share; all of them must call this."""
    return {name: whole(value) for name, value in model.state_dict().items()}


def _trained(phase: Phase) -> list[nn.Parameter]:
    return [p for p in phase.parameters() if p.requires_grad]


def _whole_moments(phase: Phase, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return the optimiser's state as if one process had all parameters in one group."""
    found = optimizer.state_dict()
    trained = _trained(phase)
    moments = {
        number: {name: whole(value) for name, value in optimizer.state[p].items()}
        for number, p in enumerate(trained)
        if p in optimizer.state
    }
    group = {**found["param_groups"][0], "params": list(range(len(trained)))}
    return {**found, "state": moments, "param_groups": [group]}


def _place_moments(phase: Phase, optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Divide a whole state of the optimiser as its parameters are."""
    trained = _trained(phase)
    numbers = {id(p): number for number, p in enumerate(trained)}
    order = [p for group in optimizer.param_groups for p in group["params"]]
    moments = {}
    for place, p in enumerate(order):
        found = saved["state"].get(numbers[id(p)], {})
        moments[place] = {
            name: placed(value, p) if value.shape == p.shape else value
            for name, value in found.items()
        }
    first, groups = 0, []
    for group in optimizer.param_groups:
        count = len(group["params"])
        groups.append({**saved["param_groups"][0], "params": list(range(first, first + count))})
        first += count
    optimizer.load_state_dict({**saved, "state": moments, "param_groups": groups})


def _generator_states() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _set_generators(states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def _gather(value: dict[str, Any]) -> list[Any]:
    """Return the ``value`` of every process, by rank."""
    if distributed.world_size() == 1:
        return [value]
    found: list[Any] = [None] * distributed.world_size()
    dist.all_gather_object(found, value)
    return found
