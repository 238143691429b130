"""Distillation: a GPT that learns from a trained, usually larger one as well as from the codes.

Hinton, Vinyals and Dean (2015), Distilling the Knowledge in a Neural Network: with logits z of the
student and v of the teacher, a temperature T and a weight w, the loss of a code c is

    (1 − w) · CE(c, softmax(z)) + w · T² · KL(softmax(v / T) ‖ softmax(z / T))

where T² keeps both gradients of one size whatever T.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from bench_core.errors import InputError
from encoders.videogpt.gpt import VideoGPT, cross_entropy
from encoders.videogpt.precision import at_least_single
from encoders.videogpt.training.phases import GPTPhase, Report
from encoders.videogpt.training.sources import Batch


@dataclass(frozen=True)
class Distillation:
    """The teacher and how much it counts.

    Parameters
    ----------
    teacher : a trained GPT over the codes of the same VQ-VAE.
    weight : w, from above 0 to 1; with 1 the codes themselves count nothing.
    temperature : T, above 0.

    Raises `InputError` for a weight or temperature out of range.

    Examples
    --------
    >>> from encoders.videogpt import preset
    >>> Distillation(VideoGPT(preset("tiny")), weight=0.5).temperature
    2.0
    """

    teacher: VideoGPT
    weight: float = 0.5
    temperature: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1:
            raise InputError(f"weight {self.weight} of the teacher: give above 0 to 1")
        if not self.temperature > 0:
            raise InputError(f"temperature {self.temperature} must be above 0")

    def identity(self) -> str:
        """Return text that changes with the teacher's weights, the weight and the temperature."""
        digest = hashlib.sha256()
        for name, value in sorted(self.teacher.state_dict().items()):
            digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
        return (
            f"teacher sha256 {digest.hexdigest()}, weight {self.weight:g}, "
            f"temperature {self.temperature:g}"
        )


class DistillationPhase(GPTPhase):
    """Training of the GPT on codes and on a teacher, which is frozen and without dropout.

    Raises `InputError` for a teacher whose VQ-VAE is not the student's.
    """

    def __init__(self, model: VideoGPT, distillation: Distillation) -> None:
        super().__init__(model)
        theirs, ours = distillation.teacher.vqvae.state_dict(), model.vqvae.state_dict()
        if theirs.keys() != ours.keys() or not all(
            theirs[name].shape == value.shape and torch.equal(theirs[name].cpu(), value.cpu())
            for name, value in ours.items()
        ):
            raise InputError(
                "the teacher was trained on another VQ-VAE, whose codes mean other pictures: "
                "train both on one"
            )
        self.identity = distillation.identity()
        self.teacher = distillation.teacher.requires_grad_(False)
        self.weight, self.temperature = distillation.weight, distillation.temperature
        self.teacher.eval()

    def train(self, mode: bool = True) -> DistillationPhase:
        """Set the mode of the student; the teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, batch: Batch) -> tuple[Tensor, Report]:
        """Return the loss, and its parts: cross-entropy, and divergence from the teacher (nats)."""
        before, codes = self.codes(batch)
        logits = self.model(before, codes)
        with torch.no_grad():
            wanted = self.teacher(before, codes)
            accuracy = (logits.argmax(-1) == codes).float().mean()
        entropy = cross_entropy(logits, codes)
        divergence = _divergence(logits / self.temperature, wanted / self.temperature)
        loss = (1 - self.weight) * entropy + self.weight * self.temperature**2 * divergence
        return loss, {
            "accuracy": accuracy,
            "cross_entropy": entropy.detach(),
            "divergence": divergence.detach(),
        }


def _divergence(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean over codes of KL(softmax(wanted) ‖ softmax(logits)), in nats."""
    ours, theirs = (
        at_least_single(each).log_softmax(-1).flatten(0, -2) for each in (logits, wanted)
    )
    return F.kl_div(ours, theirs, reduction="batchmean", log_target=True)
