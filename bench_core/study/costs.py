"""Estimated cost of a cell: parameters, operations, memory, time."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from encoders.videogpt.config import VideoGPTConfig
from encoders.videogpt.gpt import VideoGPT

# Share of the rate of matrix products that training reaches: the estimate's guess.
_REACHED = 0.3
_SIDE = 1024


@dataclass(frozen=True)
class Parameters:
    """Trained parameters of the GPT, and of both models together."""

    gpt: int
    both: int


def parameters(config: VideoGPTConfig) -> Parameters:
    """Return the counts, from the modules themselves; nothing is allocated."""
    with torch.device("meta"):
        model = VideoGPT(config)
    both = sum(p.numel() for p in model.parameters())
    return Parameters(both - sum(p.numel() for p in model.vqvae.parameters()), both)


def training_operations(config: VideoGPTConfig, batch: int, steps: int) -> float:
    """Return the floating-point operations of training the GPT on cached codes.

    Six per parameter and token (forward, and twice that backward), and 12 T²H per block and sample
    for the products of the attention over T tokens.
    """
    tokens, gpt = config.tokens, config.gpt
    per_sample = 6.0 * parameters(config).gpt * tokens
    per_sample += 12.0 * gpt.layers * gpt.hidden_dim * tokens**2
    return per_sample * batch * steps


def training_bytes(config: VideoGPTConfig) -> int:
    """Return the bytes of weights, gradients and Adam's moments in single precision.

    Activations come on top.
    """
    found = parameters(config)
    return 16 * found.gpt + 4 * (found.both - found.gpt)


def operations_per_second(device: str) -> float:
    """Return a rate to estimate with: 30 % of what matrix products reach on ``device`` now."""
    a = torch.ones(_SIDE, _SIDE, device=device)
    best = float("inf")
    for _ in range(3):
        started = time.perf_counter()
        (a @ a).sum().item()  # waits for the device
        best = min(best, time.perf_counter() - started)
    return _REACHED * 2 * _SIDE**3 / best
