"""Video out of the models: continuations by the GPT, reconstructions by the VQ-VAE."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from bench_core.errors import InputError
from encoders.videogpt.gpt import VideoGPT
from encoders.videogpt.vqvae import VQVAE, to_frames, to_video

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Sampling:
    """How the next code is chosen.

    Parameters
    ----------
    greedy : take the likeliest.
    temperature : divides the logits before sampling; 1 samples from the model's distribution.
    top_k : sample from the likeliest k only; None from all.
    seed : of the sampling.
    cache : keep keys and values of earlier positions, instead of running the model over the
        whole clip for each code; the codes are the same.
    """

    greedy: bool = False
    temperature: float = 1.0
    top_k: int | None = None
    seed: int = 0
    cache: bool = True

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise InputError(f"temperature {self.temperature} must be above 0; greedy is its limit")
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"top_k {self.top_k} is below 1: use 1 or more, or None")

    def choose(self, logits: Tensor, generator: torch.Generator) -> Tensor:
        """Return the codes (b,) chosen from ``logits`` (b, n_codes)."""
        if self.greedy:
            return logits.argmax(-1)
        # Drawn on the CPU in double precision: the same seed gives the same codes anywhere.
        scaled = logits.double().cpu() / self.temperature
        if self.top_k is not None and self.top_k < scaled.shape[-1]:
            least = scaled.topk(self.top_k).values[:, -1:]
            scaled = scaled.masked_fill(scaled < least, float("-inf"))
        drawn = torch.multinomial(scaled.softmax(-1), 1, generator=generator)
        return drawn.squeeze(-1).to(logits.device)


@torch.inference_mode()
def continue_codes(
    model: VideoGPT,
    before: Tensor,
    sampling: Sampling | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Return the codes (b, t, h, w) of the clips after ``before`` (b, t, h, w).

    The model must be in evaluation mode. ``progress`` is called with codes done and in all.
    """
    sampling = sampling or Sampling()
    if model.training:
        raise InputError("the model is in training mode: call eval() before generating")
    generator = torch.Generator().manual_seed(sampling.seed)
    total = prod(before.shape[1:])
    codes = torch.zeros(len(before), total, dtype=torch.int64, device=before.device)
    state = model.start(before) if sampling.cache else None
    for i in range(total):
        if state is not None:
            logits = model.step(codes[:, i - 1] if i else None, state)
        else:
            logits = model(before, codes.view_as(before)).flatten(1, -2)[:, i]
        codes[:, i] = sampling.choose(logits.float(), generator)
        if progress is not None:
            progress(i + 1, total)
    return codes.view_as(before)


@torch.inference_mode()
def continue_clips(
    model: VideoGPT,
    frames: Tensor,
    *,
    clips: int = 1,
    sampling: Sampling | None = None,
    progress: Progress | None = None,
) -> Tensor:
    """Return uint8 frames (b, clips · t, h, w, 3) that the model puts after ``frames``.

    Parameters
    ----------
    frames : (b, t, h, w, 3) uint8, one clip each, on the model's device.
    clips : how many to generate, each conditioned on the one before.
    """
    sizes = model.config.vqvae
    wanted = (sizes.sequence_length, sizes.resolution, sizes.resolution, 3)
    if frames.ndim != 5 or tuple(frames.shape[1:]) != wanted or frames.dtype != torch.uint8:
        raise InputError(f"a clip is {frames.dtype} {tuple(frames.shape[1:])}, not uint8 {wanted}")
    if clips < 1:
        raise InputError(f"{clips} clips to generate: use 1 or more")
    codes = model.vqvae.encode(to_video(frames))
    found = []
    for _ in range(clips):
        codes = continue_codes(model, codes, sampling, progress)
        found.append(to_frames(model.vqvae.decode(codes)))
    return torch.cat(found, 1)


@torch.inference_mode()
def reconstruct(model: VQVAE, frames: Tensor) -> Tensor:
    """Return uint8 frames (b, t, h, w, 3) as the VQ-VAE gives back ``frames`` of that shape.

    The model must be in evaluation mode.
    """
    if model.training:
        raise InputError("the model is in training mode: call eval() before reconstructing")
    return to_frames(model.decode(model.encode(to_video(frames))))
