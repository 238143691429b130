"""The two training phases as modules, from a batch to its loss and metrics."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from encoders.videogpt.config import VideoGPTConfig
from encoders.videogpt.gpt import VideoGPT, cross_entropy
from encoders.videogpt.training.sources import Batch
from encoders.videogpt.vqvae import VQVAE, VQVAELoss, to_video

Report = dict[str, Tensor]


class VQVAEPhase(nn.Module):
    """Training of the VQ-VAE on ``frames``."""

    name = "vqvae"
    identity = ""

    def __init__(self, model: VQVAE) -> None:
        super().__init__()
        self.model = model

    @property
    def config(self) -> VideoGPTConfig:
        """Sizes for the checkpoint."""
        return VideoGPTConfig(vqvae=self.model.config)

    def empty_model(self) -> VQVAE:
        """Return an untrained model of the same sizes."""
        return VQVAE(self.model.config, self.model.attention)

    def forward(self, batch: Batch) -> tuple[Tensor, Report]:
        """Return the loss and its parts."""
        found: VQVAELoss = self.model(to_video(batch["frames"]))
        return found.loss, {
            "reconstruction": found.reconstruction.detach(),
            "commitment": found.commitment.detach(),
            "perplexity": found.perplexity.detach(),
        }


class GPTPhase(nn.Module):
    """Training of the GPT on cached codes (``before``, ``codes``), or on ``frames``.

    Frames are encoded at every step.
    """

    name = "gpt"
    identity = ""  # of what it learns from beside the data

    def __init__(self, model: VideoGPT) -> None:
        super().__init__()
        self.model = model

    @property
    def config(self) -> VideoGPTConfig:
        """Sizes for the checkpoint."""
        return self.model.config

    def empty_model(self) -> VideoGPT:
        """Return an untrained model of the same sizes."""
        return VideoGPT(self.model.config)

    def forward(self, batch: Batch) -> tuple[Tensor, Report]:
        """Return the cross-entropy, and the share of codes that have the largest logit."""
        before, codes = self.codes(batch)
        logits = self.model(before, codes)
        with torch.no_grad():
            accuracy = (logits.argmax(-1) == codes).float().mean()
        return cross_entropy(logits, codes), {"accuracy": accuracy}

    def codes(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the codes (b, t, h, w) of the conditioning clip and of the clip to predict."""
        if "codes" in batch:
            return batch["before"], batch["codes"]
        return self.model.encode(to_video(batch["frames"]))


Phase = VQVAEPhase | GPTPhase
