"""The VQ-VAE between video and a grid of discrete codes (Yan et al. 2021).

Module names are the published ones, so that published weights load. Video is (b, 3, t, h, w)
with values in [−0.5, 0.5].
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoders.videogpt.attention import AxialAttention, MultiHeadAttention
from encoders.videogpt.codebook import Codebook
from encoders.videogpt.config import AXIAL_HEADS, Attention, VQVAEConfig
from encoders.videogpt.convolutions import SamePadConv3d, SamePadConvTranspose3d
from encoders.videogpt.distributed import BatchNorm3d
from encoders.videogpt.precision import at_least_single

# Variance of video values; the published reconstruction error is divided by it.
DATA_VARIANCE = 0.06


class VQVAELoss(NamedTuple):
    """Loss of one batch and its parts."""

    loss: Tensor
    reconstruction: Tensor
    """Mean squared error / 0.06."""
    commitment: Tensor
    perplexity: Tensor
    video: Tensor
    """Reconstruction (b, 3, t, h, w)."""


class AxialBlock(nn.Module):
    """Sum of three attentions, along width, height and time."""

    def __init__(self, channels: int, attention: Attention) -> None:
        super().__init__()

        def along(axis: int) -> MultiHeadAttention:
            axial = AxialAttention(axis, attention)
            return MultiHeadAttention(channels, channels, AXIAL_HEADS, 1, axial)

        self.attn_w = along(2)
        self.attn_h = along(1)
        self.attn_t = along(0)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, c, t, h, w) for ``x`` of the same shape."""
        x = x.movedim(1, -1)
        output: Tensor = self.attn_w(x) + self.attn_h(x) + self.attn_t(x)
        return output.movedim(-1, 1)


class AttentionResidualBlock(nn.Module):
    """x + block(x): a bottleneck of two convolutions, then axial attention."""

    def __init__(self, channels: int, attention: Attention) -> None:
        super().__init__()
        self.block = nn.Sequential(
            BatchNorm3d(channels),
            nn.ReLU(),
            SamePadConv3d(channels, channels // 2, 3, bias=False),
            BatchNorm3d(channels // 2),
            nn.ReLU(),
            SamePadConv3d(channels // 2, channels, 1, bias=False),
            BatchNorm3d(channels),
            nn.ReLU(),
            AxialBlock(channels, attention),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, c, t, h, w) for ``x`` of the same shape."""
        output: Tensor = x + self.block(x)
        return output


def residual_stack(channels: int, blocks: int, attention: Attention) -> nn.Sequential:
    """Return ``blocks`` residual blocks, batch normalisation and ReLU."""
    return nn.Sequential(
        *(AttentionResidualBlock(channels, attention) for _ in range(blocks)),
        BatchNorm3d(channels),
        nn.ReLU(),
    )


class VideoEncoder(nn.Module):
    """Convolutions from video (b, 3, t, h, w) to features (b, n_hiddens, *latent grid)."""

    def __init__(self, config: VQVAEConfig, attention: Attention) -> None:
        super().__init__()
        width = config.n_hiddens
        self.convs = nn.ModuleList(
            SamePadConv3d(width if i else 3, width, 4, stride)
            for i, stride in enumerate(config.strides)
        )
        self.conv_last = SamePadConv3d(width, width, 3)
        self.res_stack = residual_stack(width, config.n_res_layers, attention)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of the video ``x``."""
        for conv in self.convs:
            x = F.relu(conv(x))
        features: Tensor = self.res_stack(self.conv_last(x))
        return features


class VideoDecoder(nn.Module):
    """Convolutions from features (b, n_hiddens, *latent grid) to video (b, 3, t, h, w)."""

    def __init__(self, config: VQVAEConfig, attention: Attention) -> None:
        super().__init__()
        width = config.n_hiddens
        self.res_stack = residual_stack(width, config.n_res_layers, attention)
        last = len(config.strides) - 1
        self.convts = nn.ModuleList(
            SamePadConvTranspose3d(width, 3 if i == last else width, 4, stride)
            for i, stride in enumerate(config.strides)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the video of the features ``x``; its values are not bounded."""
        x = self.res_stack(x)
        for i, convt in enumerate(self.convts):
            x = convt(F.relu(x) if i else x)
        return x


class VQVAE(nn.Module):
    """Encoder, codebook and decoder.

    >>> from encoders.videogpt import preset
    >>> model = VQVAE(preset("tiny").vqvae).eval()
    >>> codes = model.encode(torch.zeros(1, 3, 8, 32, 32))
    >>> codes.shape, model.decode(codes).shape
    (torch.Size([1, 2, 4, 4]), torch.Size([1, 3, 8, 32, 32]))
    """

    def __init__(self, config: VQVAEConfig, attention: Attention = "sdpa") -> None:
        super().__init__()
        self.config = config
        self.attention = attention
        self.encoder = VideoEncoder(config, attention)
        self.decoder = VideoDecoder(config, attention)
        self.pre_vq_conv = SamePadConv3d(config.n_hiddens, config.embedding_dim, 1)
        self.post_vq_conv = SamePadConv3d(config.embedding_dim, config.n_hiddens, 1)
        self.codebook = Codebook(config.n_codes, config.embedding_dim)

    def encode(self, video: Tensor) -> Tensor:
        """Return the codes (b, t, h, w), int64, of ``video``."""
        codes: Tensor = self.codebook(self.pre_vq_conv(self.encoder(video))).codes
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """Return the video (b, 3, t, h, w), within [−0.5, 0.5], of ``codes`` (b, t, h, w)."""
        embeddings = self.codebook.lookup(codes).movedim(-1, 1)
        video: Tensor = self.decoder(self.post_vq_conv(embeddings))
        return video.clamp(-0.5, 0.5)

    def forward(self, video: Tensor) -> VQVAELoss:
        """Return the loss of ``video``: MSE / 0.06 + commitment."""
        quantised = self.codebook(self.pre_vq_conv(self.encoder(video)))
        output = self.decoder(self.post_vq_conv(quantised.embeddings))
        error = F.mse_loss(at_least_single(output), video) / DATA_VARIANCE
        return VQVAELoss(
            error + quantised.commitment,
            error,
            quantised.commitment,
            quantised.perplexity,
            output,
        )


def to_video(frames: Tensor) -> Tensor:
    """Return video (b, 3, t, h, w) in [−0.5, 0.5] of uint8 ``frames`` (b, t, h, w, 3)."""
    return frames.movedim(-1, 1).float() / 255 - 0.5


@torch.no_grad()
def to_frames(video: Tensor) -> Tensor:
    """Return uint8 frames (b, t, h, w, 3) of ``video`` (b, 3, t, h, w) in [−0.5, 0.5]."""
    values = ((video.float().clamp(-0.5, 0.5) + 0.5) * 255).round()
    return values.to(torch.uint8).movedim(1, -1).contiguous()
