"""The GPT's transformer: blocks of causal attention, attention to the conditioning, and an MLP.

Module names are the published ones. Tensors are (b, t, h, w, channels); positions are in raster
order, time first. `step` methods decode one position at a time from the cached keys and values of
the earlier ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from encoders.videogpt.attention import FullAttention, KeyValues, MultiHeadAttention
from encoders.videogpt.config import GPTConfig, Grid, LayerNormKind
from encoders.videogpt.precision import at_least_single

EPSILON = 1e-5


class LayerNorm(nn.Module):
    """Layer normalisation with gain ``g`` and offset ``b``, computed in single precision.

    ``published`` multiplies the centred input by 1e-5 + 1/√var: NaN where the input is constant,
    and otherwise within 7.5e-5 of the standard 1/√(var + 1e-5) on inputs of unit variance.

    >>> [round(value, 3) for value in LayerNorm(2, "standard")(torch.tensor([1.0, 3.0])).tolist()]
    [-1.0, 1.0]
    """

    def __init__(self, width: int, kind: LayerNormKind) -> None:
        super().__init__()
        self.kind = kind
        self.g = nn.Parameter(torch.ones(width))
        self.b = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (…, width) normalised over its last axis."""
        values = at_least_single(x)
        if self.kind == "standard":
            normed = F.layer_norm(values, values.shape[-1:], self.g, self.b, EPSILON)
        else:
            centred = values - values.mean(-1, keepdim=True)
            deviation = centred.square().mean(-1, keepdim=True).rsqrt()
            normed = centred * (EPSILON + deviation) * self.g + self.b
        return normed.type_as(x)


class PositionEmbedding(nn.Module):
    """Addition to each position of one learned vector per axis, concatenated, each width / 3.

    >>> PositionEmbedding((2, 4, 4), 12).table().shape
    torch.Size([2, 4, 4, 12])
    """

    def __init__(self, grid: Grid, width: int) -> None:
        super().__init__()
        self.grid = grid
        third = width // len(grid)
        self.emb = nn.ParameterDict(
            {f"d_{i}": nn.Parameter(torch.randn(side, third) * 0.01) for i, side in enumerate(grid)}
        )

    def table(self) -> Tensor:
        """Return the embedding (t, h, w, width) of every position."""
        axes = []
        for i in range(len(self.grid)):
            shape = [1] * len(self.grid)
            shape[i] = self.grid[i]
            axes.append(self.emb[f"d_{i}"].view(*shape, -1).expand(*self.grid, -1))
        return torch.cat(axes, -1)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (b, t, h, w, width) with the embeddings added."""
        return x + self.table()


class RightShift(nn.Module):
    """Shift of all positions by one, after a learned start token.

    >>> RightShift(1)(torch.tensor([[[1.0], [2.0], [3.0]]]))[0, 1:, 0].tolist()
    [1.0, 2.0]
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.sos = nn.Parameter(torch.randn(width) * 0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (b, *grid, width) shifted in raster order."""
        flat = x.flatten(1, -2)
        start = self.sos.to(x.dtype).expand(len(x), 1, -1)
        return torch.cat([start, flat[:, :-1]], 1).view_as(x)


class QuickGELU(nn.Module):
    """x · sigmoid(1.702 x).

    >>> QuickGELU()(torch.tensor([0.0])).tolist()
    [0.0]
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation of ``x``."""
        return x * torch.sigmoid(1.702 * x)


@dataclass
class BlockCache:
    """Keys and values of one block while decoding: its own, and those of the conditioning."""

    own: KeyValues
    condition: KeyValues


class AttentionBlock(nn.Module):
    """Pre-norm causal self-attention, pre-norm cross-attention, pre-norm MLP, each residual."""

    def __init__(self, config: GPTConfig, grid: Grid) -> None:
        super().__init__()
        width, cond, count = config.hidden_dim, config.cond_dim, prod(grid)

        def multi_head(source: int, causal: bool, dropout: float) -> MultiHeadAttention:
            full = FullAttention(count, causal, config.attention, dropout)
            return MultiHeadAttention(width, source, config.heads, config.layers, full)

        self.checkpointing = config.checkpointing
        self.pre_attn_norm = LayerNorm(width, config.layer_norm)
        self.post_attn_dp = nn.Dropout(config.dropout)
        self.attn = multi_head(width, True, config.attn_dropout)
        self.pre_enc_norm = LayerNorm(width, config.layer_norm)
        self.post_enc_dp = nn.Dropout(config.dropout)
        self.enc_attn = multi_head(cond, False, 0.0)
        self.pre_fc_norm = LayerNorm(width, config.layer_norm)
        self.post_fc_dp = nn.Dropout(config.dropout)
        self.fc_block = nn.Sequential(
            nn.Linear(width, 4 * width), QuickGELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return (b, t, h, w, width) of ``x`` given ``condition`` (b, t, h, w, cond_dim)."""
        x = x + self.post_attn_dp(self._run(self.attn, self.pre_attn_norm(x)))
        x = x + self.post_enc_dp(self._run(self.enc_attn, self.pre_enc_norm(x), condition))
        return x + self.post_fc_dp(self._run(self.fc_block, self.pre_fc_norm(x)))

    def start(self, condition: Tensor, like: Tensor) -> BlockCache:
        """Return the initial cache for ``condition``, of the dtype and device of ``like``."""
        count = prod(condition.shape[1:-1])
        return BlockCache(
            self.attn.empty(len(condition), count, like), self.enc_attn.keys_values(condition)
        )

    def step(self, x: Tensor, index: int, cache: BlockCache) -> Tensor:
        """Return the block's output (b, 1, width) at position ``index``."""
        x = x + self.attn.step(self.pre_attn_norm(x), cache.own, index)
        x = x + self.enc_attn.step(self.pre_enc_norm(x), cache.condition)
        output: Tensor = x + self.fc_block(self.pre_fc_norm(x))
        return output

    def _run(self, part: Callable[..., Tensor], *inputs: Tensor) -> Tensor:
        if self.checkpointing and self.training:
            output: Tensor = checkpoint(part, *inputs, use_reentrant=False)
            return output
        return part(*inputs)


class AttentionStack(nn.Module):
    """Right shift, position embedding, blocks."""

    def __init__(self, config: GPTConfig, grid: Grid) -> None:
        super().__init__()
        self.grid = grid
        self.right_shift = RightShift(config.hidden_dim)
        self.pos_embd = PositionEmbedding(grid, config.hidden_dim)
        self.attn_nets = nn.ModuleList(AttentionBlock(config, grid) for _ in range(config.layers))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Return (b, t, h, w, width); position i depends on positions of ``x`` before i only."""
        x = self.pos_embd(self.right_shift(x))
        for net in self.attn_nets:
            x = net(x, condition)
        return x

    def start(self, condition: Tensor) -> list[BlockCache]:
        """Return the initial cache of every block."""
        return [net.start(condition, condition) for net in self._blocks()]

    def step(self, x: Tensor | None, index: int, caches: list[BlockCache], batch: int) -> Tensor:
        """Return the stack's output (b, 1, width) at position ``index``.

        ``x`` (b, 1, width) is the input at the previous position, None at the first.
        """
        if x is None:
            x = self.right_shift.sos.expand(batch, 1, -1)
        x = x + self.pos_embd.table().flatten(0, -2)[index]
        for net, cache in zip(self._blocks(), caches, strict=True):
            x = net.step(x, index, cache)
        return x

    def _blocks(self) -> list[AttentionBlock]:
        return [net for net in self.attn_nets if isinstance(net, AttentionBlock)]
