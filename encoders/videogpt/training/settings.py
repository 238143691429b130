"""Settings of a training run, apart from the model's sizes and the data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from math import cos, pi
from typing import Any, Literal

from bench_core.errors import InputError, unknown
from encoders.videogpt.size_checks import check_like

Precision = Literal["fp32", "bf16", "fp16"]
PRECISIONS = ("fp32", "bf16", "fp16")
Parallel = Literal["ddp", "fsdp", "tensor"]
PARALLEL = ("ddp", "fsdp", "tensor")
SCHEDULES = ("constant", "cosine")

# Settings that may differ between a run and its continuation.
FREE = ("steps", "checkpoint_every", "tensorboard", "parallel")


# What values are like where a default is missing or None.
_EXAMPLES: dict[str, Any] = {"steps": 1000, "clip_gradient": 1.0}


@dataclass(frozen=True)
class TrainSettings:
    """Settings of one training run.

    Parameters
    ----------
    steps : optimiser steps in total, including those before a checkpoint.
    batch_size : clips (VQ-VAE) or samples (GPT) per step on each process.
    learning_rate, betas : of Adam.
    schedule : ``"constant"``, or ``"cosine"``: half a cosine from the learning rate to 0 over
        ``schedule_steps``, then 0.
    clip_gradient : largest norm of the gradient; None does not clip.
    precision : ``"fp32"``, or autocast to ``"bf16"`` or ``"fp16"`` (with loss scaling); weights
        stay in single precision.
    compile : compile the model with `torch.compile`.
    seed : of weights, order of samples, dropout and replaced codes.
    checkpoint_every : steps between checkpoints; the last step always has one.
    tensorboard : also write TensorBoard events.
    parallel : what several processes share: ``"ddp"`` the batch, ``"fsdp"`` also parameters,
        gradients and Adam's moments, ``"tensor"`` the GPT's heads and hidden units, not the batch.
        See `encoders.videogpt.training.parallel`.

    Raises `InputError` or `UnknownNameError` for a value out of range.

    Examples
    --------
    >>> settings = TrainSettings(steps=10, schedule="cosine", schedule_steps=100)
    >>> settings.rate(0), settings.rate(100)
    (0.0003, 0.0)
    """

    steps: int
    batch_size: int = 16
    learning_rate: float = 3e-4
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Literal["constant", "cosine"] = "constant"
    schedule_steps: int = 200_000
    clip_gradient: float | None = None
    precision: Precision = "fp32"
    compile: bool = False
    seed: int = 0
    checkpoint_every: int = 1000
    tensorboard: bool = False
    parallel: Parallel = "ddp"

    def __post_init__(self) -> None:
        for field in fields(self):
            example = _EXAMPLES.get(field.name, field.default)
            check_like(field.name, getattr(self, field.name), example, none=field.default is None)
        object.__setattr__(self, "betas", tuple(map(float, self.betas)))
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise InputError(f"betas {self.betas}: give two numbers from 0 to below 1")
        for name in ("steps", "batch_size", "schedule_steps", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)} is below 1: use 1 or more")
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate {self.learning_rate} must be above 0")
        if self.clip_gradient is not None and not self.clip_gradient > 0:
            raise InputError(f"clip_gradient {self.clip_gradient} must be above 0, or None")
        if self.precision not in PRECISIONS:
            raise unknown("precision", self.precision, PRECISIONS)
        if self.parallel not in PARALLEL:
            raise unknown("parallel", self.parallel, PARALLEL)
        if self.schedule not in SCHEDULES:
            raise unknown("schedule", self.schedule, SCHEDULES)

    def rate(self, step: int) -> float:
        """Return the learning rate of ``step``, counted from 0."""
        if self.schedule == "constant":
            return self.learning_rate
        done = min(step / self.schedule_steps, 1.0)
        return self.learning_rate * (1 + cos(pi * done)) / 2

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for files."""
        return asdict(self)

    def check_continues(self, other: dict[str, Any]) -> None:
        """Raise `InputError` naming the first setting that differs from ``other``'s."""
        for name, value in self.to_dict().items():
            if name not in FREE and other.get(name) != value:
                raise InputError(
                    f"{name} is {value!r}, and {other.get(name)!r} in the checkpoint: use the same "
                    "value, or start a new run"
                )


def thesis_settings(phase: Literal["vqvae", "gpt"], steps: int, **changes: Any) -> TrainSettings:
    """Return the published settings of a phase, with ``changes``.

    The VQ-VAE has Adam with a constant rate of 3e-4 (a cosine in the thesis's text, but not in the
    published code). The GPT has a cosine over 200,000 steps, gradients clipped at 1, and fp16.

    Raises `UnknownNameError` for an unknown setting.
    """
    known = [field.name for field in fields(TrainSettings)]
    for name in changes:
        if name not in known:
            raise unknown("setting", name, known)
    settings = TrainSettings(steps=steps)
    if phase == "gpt":
        settings = replace(settings, schedule="cosine", clip_gradient=1.0, precision="fp16")
    return replace(settings, **changes)
