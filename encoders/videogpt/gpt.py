"""The GPT that predicts a clip's codes from the previous clip, around a frozen VQ-VAE."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoders.videogpt.config import VideoGPTConfig
from encoders.videogpt.convolutions import Conv3d
from encoders.videogpt.precision import at_least_single
from encoders.videogpt.transformer import AttentionStack, BlockCache, LayerNorm, PositionEmbedding
from encoders.videogpt.vqvae import VQVAE


class ChannelLayerNorm(nn.Module):
    """Layer normalisation over the channels of (b, c, t, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` normalised, in single precision inside."""
        output: Tensor = self.norm(at_least_single(x).movedim(1, -1))
        return output.movedim(-1, 1).type_as(x)


class NormReLU(nn.Module):
    """Channel normalisation, then ReLU unless ``relu`` is False."""

    def __init__(self, channels: int, relu: bool = True) -> None:
        super().__init__()
        self.relu = relu
        self.norm = ChannelLayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, c, t, h, w) for ``x`` of the same shape."""
        x = self.norm(x)
        return F.relu(x) if self.relu else x


class ResidualBlock(nn.Module):
    """The network of the conditioning: two 3³ convolutions beside a 1³ projection."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.proj_conv = Conv3d(inputs, outputs, 1, bias=False)
        self.proj_bnr = NormReLU(outputs, relu=False)
        self.conv1 = Conv3d(inputs, outputs, 3, padding=1, bias=False)
        self.bnr1 = NormReLU(outputs)
        self.conv2 = Conv3d(outputs, outputs, 3, padding=1, bias=False)
        self.bnr2 = NormReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, outputs, t, h, w) for ``x`` (b, inputs, t, h, w)."""
        shortcut = self.proj_bnr(self.proj_conv(x))
        return F.relu(self.bnr2(self.conv2(self.bnr1(self.conv1(x)))) + shortcut)


@dataclass
class DecodingState:
    """State of decoding a batch of clips position by position."""

    caches: list[BlockCache]
    batch: int
    index: int = 0


class VideoGPT(nn.Module):
    """GPT over VQ-VAE codes, conditioned on the previous clip's embeddings.

    The VQ-VAE is a submodule (as in published checkpoints) but frozen: it has no gradient and
    stays in evaluation mode.

    Examples
    --------
    >>> from encoders.videogpt import preset
    >>> model = VideoGPT(preset("tiny", layers=1)).eval()
    >>> before, codes = torch.zeros(2, 1, 2, 4, 4, dtype=torch.int64)
    >>> model(before, codes).shape
    torch.Size([1, 2, 4, 4, 64])
    """

    def __init__(self, config: VideoGPTConfig) -> None:
        super().__init__()
        self.config = config
        sizes, grid = config.gpt, config.vqvae.latent_shape
        self.vqvae = VQVAE(config.vqvae, sizes.attention).requires_grad_(False)
        self.vqvae.eval()
        self.resnet = ResidualBlock(config.vqvae.embedding_dim, sizes.cond_dim)
        self.cond_pos_embd = PositionEmbedding(grid, sizes.cond_dim)
        self.fc_in = nn.Linear(config.vqvae.embedding_dim, sizes.hidden_dim, bias=False)
        nn.init.normal_(self.fc_in.weight, std=0.02)
        self.attn_stack = AttentionStack(sizes, grid)
        self.norm = LayerNorm(sizes.hidden_dim, sizes.layer_norm)
        self.fc_out = nn.Linear(sizes.hidden_dim, config.vqvae.n_codes, bias=False)
        nn.init.zeros_(self.fc_out.weight)

    def train(self, mode: bool = True) -> VideoGPT:
        """Set the mode of all submodules but the VQ-VAE, which stays in evaluation mode."""
        super().train(mode)
        self.vqvae.eval()
        return self

    def encode(self, video: Tensor) -> tuple[Tensor, Tensor]:
        """Return codes (b, t, h, w) of the conditioning clip and of the clip to predict.

        ``video`` is (b, 3, frames, h, w), with the frames of both clips.
        """
        frames = self.config.vqvae.sequence_length
        with torch.no_grad():
            # One pass over both clips: they are independent samples of the VQ-VAE.
            both = torch.cat([video[:, :, :frames], video[:, :, -frames:]])
            before, codes = self.vqvae.encode(both).chunk(2)
        return before, codes

    def condition(self, before: Tensor) -> Tensor:
        """Return the conditioning (b, t, h, w, cond_dim) for the previous clip's codes."""
        embeddings = self.vqvae.codebook.lookup(before).movedim(-1, 1)
        output: Tensor = self.cond_pos_embd(self.resnet(embeddings).movedim(1, -1))
        return output

    def forward(self, before: Tensor, codes: Tensor) -> Tensor:
        """Return the logits (b, t, h, w, n_codes) of ``codes``, each given the earlier ones.

        Parameters
        ----------
        before, codes : (b, t, h, w) codes of the conditioning clip and of the clip itself.
        """
        h = self.fc_in(self.vqvae.codebook.lookup(codes))
        logits: Tensor = self.fc_out(self.norm(self.attn_stack(h, self.condition(before))))
        return logits

    def loss(self, before: Tensor, codes: Tensor) -> Tensor:
        """Return the cross-entropy in nats per code; ln(n_codes) before the first step."""
        return cross_entropy(self(before, codes), codes)

    def start(self, before: Tensor) -> DecodingState:
        """Return the initial state for decoding the clip after ``before``."""
        return DecodingState(self.attn_stack.start(self.condition(before)), len(before))

    def step(self, previous: Tensor | None, state: DecodingState) -> Tensor:
        """Return the logits (b, n_codes) of the next position and advance ``state``.

        ``previous`` (b,) are the codes at the previous position, None at the first.
        """
        x = None
        if previous is not None:
            x = self.fc_in(self.vqvae.codebook.lookup(previous)).unsqueeze(1)
        h = self.attn_stack.step(x, state.index, state.caches, state.batch)
        state.index += 1
        logits: Tensor = self.fc_out(self.norm(h)).squeeze(1)
        return logits


def cross_entropy(logits: Tensor, codes: Tensor) -> Tensor:
    """Return the mean cross-entropy of ``codes`` (…) under ``logits`` (…, n_codes), in nats."""
    return F.cross_entropy(at_least_single(logits).flatten(0, -2), codes.flatten())
