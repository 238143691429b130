"""Sizes of the VQ-VAE and the GPT: presets, checks and parameter counts.

This module does not need torch. A size that cannot be built raises an error with the nearest ones
that can, before anything is allocated.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from math import prod
from typing import Any, Literal

from bench_core.errors import InputError, unknown
from encoders.videogpt.size_checks import (
    at_least_one,
    check_like,
    check_width,
    multiple_of,
    nearest,
    power_of_two,
)

Attention = Literal["sdpa", "flash", "efficient", "math", "reference"]
ATTENTIONS = ("sdpa", "flash", "efficient", "math", "reference")
Quantisation = Literal["none", "int8"]
QUANTISATIONS = ("none", "int8")
LayerNormKind = Literal["standard", "published"]
Grid = tuple[int, int, int]

# Heads of the axial attentions of the VQ-VAE, independent of the GPT's.
AXIAL_HEADS = 2


@dataclass(frozen=True)
class VQVAEConfig:
    """Sizes of the VQ-VAE.

    Parameters
    ----------
    embedding_dim : width of one code.
    n_codes : number of codes in the codebook.
    n_hiddens : channels of the convolutions; even, because the residual blocks halve it and their
        attention has two heads.
    n_res_layers : attention residual blocks in the encoder, and as many in the decoder.
    downsample : factors along (time, height, width), each a power of two, at least one above 1.
    sequence_length : frames of one clip.
    resolution : height and width of a frame in pixels.

    Raises `InputError`, with the nearest sizes that can be built, for any other.

    Examples
    --------
    >>> VQVAEConfig().latent_shape
    (4, 8, 8)
    """

    embedding_dim: int = 128
    n_codes: int = 1024
    n_hiddens: int = 240
    n_res_layers: int = 4
    downsample: Grid = (4, 16, 16)
    sequence_length: int = 16
    resolution: int = 128

    def __post_init__(self) -> None:
        object.__setattr__(self, "downsample", tuple(int(factor) for factor in self.downsample))
        for name in ("embedding_dim", "n_codes", "n_hiddens", "sequence_length", "resolution"):
            at_least_one(name, getattr(self, name))
        if self.n_res_layers < 0:
            raise InputError(f"n_res_layers {self.n_res_layers} is below 0: use 0 or more")
        if self.n_hiddens % AXIAL_HEADS:
            raise InputError(
                f"n_hiddens {self.n_hiddens} is odd, but the residual blocks halve it and their "
                f"attention has {AXIAL_HEADS} heads: "
                f"use {nearest(self.n_hiddens, multiple_of(AXIAL_HEADS))}"
            )
        if len(self.downsample) != 3:
            raise InputError(
                f"downsample {self.downsample}: give three factors (time, height, width)"
            )
        for factor in self.downsample:
            if factor < 1 or factor & (factor - 1):
                raise InputError(
                    f"downsample {self.downsample}: {factor} is not a power of two, and each "
                    f"strided convolution halves an axis: use {nearest(factor, power_of_two)}"
                )
        if max(self.downsample) == 1:
            raise InputError(
                "downsample (1, 1, 1) leaves the encoder without a convolution: use 2 on an axis"
            )
        sides = (self.sequence_length, self.resolution, self.resolution)
        for name, size, factor in zip(
            ("sequence_length", "resolution", "resolution"), sides, self.downsample, strict=True
        ):
            if size % factor:
                raise InputError(
                    f"{name} {size} is not divisible by its downsampling factor {factor}: "
                    f"use {nearest(size, multiple_of(factor))}"
                )

    @property
    def latent_shape(self) -> Grid:
        """Grid (time, height, width) of the codes of one clip."""
        t, h, w = self.downsample
        return (self.sequence_length // t, self.resolution // h, self.resolution // w)

    @property
    def strides(self) -> list[Grid]:
        """Strides of the encoder's convolutions (and the decoder's), first to last."""
        left = list(self.downsample)
        strides = []
        while max(left) > 1:
            t, h, w = (2 if factor > 1 else 1 for factor in left)
            strides.append((t, h, w))
            left = [max(factor // 2, 1) for factor in left]
        return strides


@dataclass(frozen=True)
class GPTConfig:
    """Sizes of the GPT over a VQ-VAE's codes.

    Parameters
    ----------
    hidden_dim : width of the transformer; divisible by 3 (each of the three position axes gets
        a third) and by ``heads``.
    heads, layers : attention heads and blocks.
    dropout : after each attention and MLP.
    attn_dropout : on the self-attention's weights.
    cond_dim : width of the conditioning; divisible by 3 and by ``heads``.
    attention : ``"sdpa"``, where torch chooses its kernel; its kernels by name, ``"flash"``,
        ``"efficient"`` (memory-efficient) and ``"math"``; or ``"reference"``, which computes the
        attention matrix as the layer ``….attn.attn.softmax``.
    layer_norm : ``"standard"``, or ``"published"`` as in published checkpoints: it
        multiplies by 1e-5 + 1/√var, which is NaN on constant input.
    truncate_heads : as in the published code, give each head ⌊width / heads⌋ dimensions where
        ``heads`` does not divide a width, instead of refusing it.
    checkpointing : recompute each sub-block in the backward pass, as in the published training.

    Raises `InputError`, with the nearest sizes that can be built, for any other.

    Examples
    --------
    >>> GPTConfig(hidden_dim=48, cond_dim=24, layers=2).parameters()
    66912
    """

    hidden_dim: int = 576
    heads: int = 4
    layers: int = 8
    dropout: float = 0.2
    attn_dropout: float = 0.3
    cond_dim: int = 240
    attention: Attention = "sdpa"
    layer_norm: LayerNormKind = "standard"
    truncate_heads: bool = False
    checkpointing: bool = False

    def __post_init__(self) -> None:
        for name in ("hidden_dim", "heads", "layers", "cond_dim"):
            at_least_one(name, getattr(self, name))
        for name in ("dropout", "attn_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} {getattr(self, name)} must be at least 0 and below 1")
        if self.attention not in ATTENTIONS:
            raise unknown("attention", self.attention, ATTENTIONS)
        if self.layer_norm not in ("standard", "published"):
            raise unknown("layer norm", self.layer_norm, ["standard", "published"])
        for name in ("hidden_dim", "cond_dim"):
            check_width(name, getattr(self, name), self.heads, self.truncate_heads)

    def parameters(self) -> int:
        """Return the trained parameters of the attention stack, from the closed form.

        It depends on the width H, on q = h·⌊H/h⌋ and, with C the conditioning's width, on
        v = h·⌊C/h⌋. Position embeddings depend on the grid and are counted in `stack_parameters`.
        """
        width, heads, cond = self.hidden_dim, self.heads, self.cond_dim
        q = heads * (width // heads)
        v = heads * (cond // heads)
        norms = 6 * width
        self_attention = 4 * width * q + width
        cross_attention = width * q + cond * q + cond * v + v * width + width
        mlp = 8 * width**2 + 5 * width
        return self.layers * (norms + self_attention + cross_attention + mlp)

    def stack_parameters(self, grid: Grid) -> int:
        """Return the trained parameters of ``attn_stack`` over ``grid``.

        Adds to `parameters` the start token (H) and the position embedding (H/3 per coordinate).
        """
        return self.hidden_dim + sum(grid) * (self.hidden_dim // 3) + self.parameters()


@dataclass(frozen=True)
class VideoGPTConfig:
    """Sizes of both models.

    >>> VideoGPTConfig().with_sizes(layers=2).gpt.layers
    2
    """

    vqvae: VQVAEConfig = field(default_factory=VQVAEConfig)
    gpt: GPTConfig = field(default_factory=GPTConfig)

    @property
    def clip_frames(self) -> int:
        """Frames of one GPT sample: one conditioning clip and one to predict."""
        return 2 * self.vqvae.sequence_length

    @property
    def tokens(self) -> int:
        """Positions that the GPT attends over."""
        return prod(self.vqvae.latent_shape)

    def with_sizes(self, **changes: Any) -> VideoGPTConfig:
        """Return a copy with fields of either model changed by name.

        Raises `UnknownNameError` for an unknown field, and `InputError` for a size that cannot be
        built.
        """
        vqvae, gpt = asdict(self.vqvae), asdict(self.gpt)
        for name in changes:
            if name not in vqvae and name not in gpt:
                raise unknown("size", name, [*vqvae, *gpt])
            check_like(name, changes[name], _DEFAULTS[name])
        return VideoGPTConfig(
            vqvae=replace(self.vqvae, **{k: v for k, v in changes.items() if k in vqvae}),
            gpt=replace(self.gpt, **{k: v for k, v in changes.items() if k in gpt}),
        )

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Return plain values, for files."""
        return {"vqvae": asdict(self.vqvae), "gpt": asdict(self.gpt)}

    @classmethod
    def from_dict(cls, values: dict[str, dict[str, Any]]) -> VideoGPTConfig:
        """Return the configuration that `to_dict` described."""
        return cls(vqvae=VQVAEConfig(**values["vqvae"]), gpt=GPTConfig(**values["gpt"]))


_DEFAULTS: dict[str, Any] = {**asdict(VQVAEConfig()), **asdict(GPTConfig())}

PRESETS: dict[str, VideoGPTConfig] = {
    # Tables 4.3a and 4.3b: these give the thesis's parameter counts and activation shapes.
    "thesis": VideoGPTConfig(),
    # Table 4.3c as printed; its encoder has 11,286,960 parameters, not the 18.7 M of table 4.3a.
    "thesis-4.3c": VideoGPTConfig(
        vqvae=VQVAEConfig(embedding_dim=256, n_codes=2048, downsample=(4, 4, 4))
    ),
    # For tests and for a laptop: seconds on two cores.
    "tiny": VideoGPTConfig(
        vqvae=VQVAEConfig(
            embedding_dim=16,
            n_codes=64,
            n_hiddens=24,
            n_res_layers=1,
            downsample=(4, 8, 8),
            sequence_length=8,
            resolution=32,
        ),
        gpt=GPTConfig(hidden_dim=48, heads=4, layers=2, cond_dim=24),
    ),
}


def preset(name: str, **changes: Any) -> VideoGPTConfig:
    """Return the preset ``name`` (thesis, thesis-4.3c, tiny) with ``changes`` of its sizes.

    >>> preset("tiny", layers=4).vqvae.latent_shape
    (2, 4, 4)
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return PRESETS[name].with_sizes(**changes)
