"""Generated video: continuations by the GPT, reconstructions by the VQ-VAE."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from bench_core.errors import InputError
from bench_core.progress import Progress, silent
from encoders.videogpt.gpt import VideoGPT
from encoders.videogpt.vqvae import VQVAE, to_frames, to_video


@dataclass(frozen=True)
class Sampling:
    """Rule for the choice of the next code.

    Parameters
    ----------
    greedy : choose the most probable code.
    temperature : divisor of the logits; 1 samples from the model's distribution.
    top_k : sample from the k most probable codes; None from all.
    seed : of the sampling.
    cache : keep keys and values of earlier positions instead of running the model over the whole
        clip for each code; the codes are the same.

    Raises `InputError` for a temperature that is not above 0 and for a top_k below 1.

    Examples
    --------
    >>> logits = torch.tensor([[0.0, 2.0, 1.0]])
    >>> Sampling(greedy=True).choose(logits, torch.Generator()).tolist()
    [1]
    """

    greedy: bool = False
    temperature: float = 1.0
    top_k: int | None = None
    seed: int = 0
    cache: bool = True

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise InputError(
                f"temperature {self.temperature} must be above 0: use greedy=True for its limit"
            )
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"top_k {self.top_k} is below 1: use 1 or more, or None")

    def choose(self, logits: Tensor, generator: torch.Generator) -> Tensor:
        """Return the codes (b,) chosen from ``logits`` (b, n_codes)."""
        if self.greedy:
            return logits.argmax(-1)
        # Sampled on the CPU in double precision, so that a seed gives the same codes everywhere.
        scaled = logits.double().cpu() / self.temperature
        if self.top_k is not None and self.top_k < scaled.shape[-1]:
            least = scaled.topk(self.top_k).values[:, -1:]
            scaled = scaled.masked_fill(scaled < least, float("-inf"))
        sampled = torch.multinomial(scaled.softmax(-1), 1, generator=generator)
        return sampled.squeeze(-1).to(logits.device)


@torch.inference_mode()
def continue_codes(
    model: VideoGPT,
    before: Tensor,
    sampling: Sampling | None = None,
    progress: Progress = silent,
) -> Tensor:
    """Return the codes (b, t, h, w) of the clips after ``before`` (b, t, h, w).

    ``progress`` is called with "codes", the codes done and all codes of a clip.

    Raises `InputError` for a model in training mode.
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
        progress("codes", i + 1, total)
    return codes.view_as(before)


@torch.inference_mode()
def continue_clips(
    model: VideoGPT,
    frames: Tensor,
    *,
    clips: int = 1,
    sampling: Sampling | None = None,
    progress: Progress = silent,
) -> Tensor:
    """Return uint8 frames (b, clips · t, h, w, 3), the model's continuation of ``frames``.

    Parameters
    ----------
    frames : (b, t, h, w, 3) uint8, one clip each, on the model's device.
    clips : number of clips to generate, each conditioned on the previous one.
    progress : as in `continue_codes`.

    Raises `InputError` for frames of another shape or dtype and for a model in training mode.
    """
    sizes = model.config.vqvae
    wanted = (sizes.sequence_length, sizes.resolution, sizes.resolution, 3)
    if frames.ndim != 5 or tuple(frames.shape[1:]) != wanted or frames.dtype != torch.uint8:
        raise InputError(
            f"clips are {frames.dtype} of shape {tuple(frames.shape[1:])}: give uint8 of shape "
            f"{wanted}"
        )
    if clips < 1:
        raise InputError(f"{clips} clips to generate: give 1 or more")
    codes = model.vqvae.encode(to_video(frames))
    found = []
    for _ in range(clips):
        codes = continue_codes(model, codes, sampling, progress)
        found.append(to_frames(model.vqvae.decode(codes)))
    return torch.cat(found, 1)


@torch.inference_mode()
def reconstruct(model: VQVAE, frames: Tensor) -> Tensor:
    """Return uint8 ``frames`` (b, t, h, w, 3) after encoding and decoding by the VQ-VAE.

    Raises `InputError` for a model in training mode.
    """
    if model.training:
        raise InputError("the model is in training mode: call eval() before reconstructing")
    return to_frames(model.decode(model.encode(to_video(frames))))
