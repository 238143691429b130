"""Checkpoints of a training run: all that the next step depends on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from bench_core.errors import InputError
from encoders.videogpt import processes
from encoders.videogpt.checkpoint import FORMAT, read
from encoders.videogpt.training.phases import Phase
from encoders.videogpt.training.settings import TrainSettings

NAME = "last.pt"


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
    """Write a checkpoint after ``step`` steps; every process calls, the first one writes."""
    generators = _every_process(_generator_states())
    if processes.rank() > 0:
        return
    content = {
        "format": FORMAT,
        "phase": phase.name,
        "config": phase.config.to_dict(),
        "state_dict": phase.model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scaler": scaler.state_dict(),
        "generators": generators,
        "step": step,
        "settings": settings.to_dict(),
        "data": data,
    }
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        torch.save(content, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def restore(
    path: Path,
    phase: Phase,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    *,
    settings: TrainSettings,
    data: str,
) -> int:
    """Put everything back as it was and return the steps that were done.

    Raises `InputError` if the checkpoint is of another phase, size, setting, data set or number
    of processes: its continuation would not be that run's.
    """
    content = read(path)
    if content.get("format") != FORMAT or "optimizer" not in content:
        raise InputError(f"{path} holds weights alone: a run cannot be continued from it")
    settings.check_continues(content["settings"])
    same = {
        "phase": (content["phase"], phase.name),
        "sizes": (content["config"], phase.config.to_dict()),
        "data": (content["data"], data),
        "number of processes": (len(content["generators"]), processes.count()),
    }
    for what, (was, now) in same.items():
        if was != now:
            raise InputError(
                f"{path} was written with another {what} ({was}), this run has {now}: "
                "start a new run in another folder"
            )
    phase.model.load_state_dict(content["state_dict"])
    optimizer.load_state_dict(content["optimizer"])
    scaler.load_state_dict(content["scaler"])
    _set_generators(content["generators"][processes.rank()])
    return int(content["step"])


def _generator_states() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def _set_generators(states: dict[str, Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    if "cuda" in states and torch.cuda.is_available():
        torch.cuda.set_rng_state(states["cuda"])


def _every_process(value: dict[str, Any]) -> list[Any]:
    if processes.count() == 1:
        return [value]
    found: list[Any] = [None] * processes.count()
    dist.all_gather_object(found, value)
    return found
