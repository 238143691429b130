"""Multi-head attention over a grid of positions, along all of it or along one axis.

Tensors are (b, *grid, channels); inside, (b, heads, *grid, channels per head). There are two ways
to compute softmax(q kᵀ / √d) v: torch's scaled_dot_product_attention, with a kernel of its choice
or one by name, and a reference that forms the attention matrix, in the published model's order of
operations. Their results agree. The flash kernel (Dao et al. 2022) and the memory-efficient one
(Rabe and Staats 2021) never form the matrix.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from bench_core.errors import InputError
from encoders.videogpt.config import Attention

KERNELS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
"""torch's kernels by the names of `Attention`."""


class Product(nn.Module):
    """softmax(q kᵀ / √d) v over the last two axes, fused or with the matrix materialised.

    The reference's attention matrix is the output of the submodule ``softmax``, for hooks.
    """

    def __init__(self, attention: Attention, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention = attention
        self.dropout = dropout
        self.softmax = nn.Softmax(dim=-1)

    def product(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """Return the attention of ``q`` (…, n, d) on ``k`` (…, m, d) and ``v`` (…, m, e).

        ``mask`` (n, m) is zero for the keys that a query must not attend to. With ``causal`` it is
        the lower triangle, and torch's kernels do not read it.

        Raises `InputError` where the kernel that was asked for by name cannot run.
        """
        dropout = self.dropout if self.training else 0.0
        if self.attention != "reference":
            allowed = None if mask is None or causal else mask != 0
            width, scale = v.shape[-1], 1 / sqrt(q.shape[-1])
            if self.attention == "flash":
                # It takes one width: zeros change neither q kᵀ nor the columns that are kept.
                q, k, v = _of_one_width(q, k, v)
            try:
                with self._kernel():
                    output = F.scaled_dot_product_attention(
                        q, k, v, allowed, dropout, is_causal=causal, scale=scale
                    )
                return output[..., :width]
            except RuntimeError as error:
                if self.attention == "sdpa" or not _has_no_kernel(error):
                    raise
                raise InputError(
                    f"attention {self.attention!r} cannot run on {q.device.type} with "
                    f"{str(q.dtype).removeprefix('torch.')}, heads of {q.shape[-1]} and dropout "
                    f"{dropout:g} of the attention: use 'sdpa', or attn_dropout 0"
                ) from error
        scores = q @ k.transpose(-1, -2) / sqrt(q.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(mask == 0, float("-inf"))
        weights: Tensor = self.softmax(scores)
        return F.dropout(weights.type_as(q), dropout, self.training) @ v

    def _kernel(self) -> AbstractContextManager[None]:
        if self.attention == "sdpa":
            return nullcontext()
        return sdpa_kernel(KERNELS[self.attention])


def _of_one_width(*tensors: Tensor) -> list[Tensor]:
    widest = max(x.shape[-1] for x in tensors)
    return [x if x.shape[-1] == widest else F.pad(x, (0, widest - x.shape[-1])) for x in tensors]


def _has_no_kernel(error: RuntimeError) -> bool:
    """Say whether torch found none of the kernels that were allowed."""
    return any(words in str(error) for words in ("No available kernel", "No viable backend"))


class FullAttention(Product):
    """Attention over all positions of the grid, causal or not."""

    def __init__(
        self, positions: int, causal: bool, attention: Attention, dropout: float = 0.0
    ) -> None:
        super().__init__(attention, dropout)
        self.causal = causal
        if causal:
            # A buffer of the state dict, because published checkpoints have it.
            self.register_buffer("mask", torch.tril(torch.ones(positions, positions)))

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return (b, heads, *grid of q, e)."""
        grid = q.shape[2:-1]
        q, k, v = (x.flatten(2, -2) for x in (q, k, v))
        output = self.product(q, k, v, self.mask if self.causal else None, self.causal)
        return output.unflatten(2, grid)

    def step(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return the attention of one new position (b, heads, 1, d) on all keys up to it."""
        return self.product(q, k, v)


class AxialAttention(Product):
    """Attention along one axis of the grid; ``axis`` counts from the first grid axis."""

    def __init__(self, axis: int, attention: Attention) -> None:
        super().__init__(attention)
        self.axis = axis + 2  # batch and heads come first

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return (b, heads, *grid, e)."""
        q, k, v = (x.movedim(self.axis, -2) for x in (q, k, v))
        others = q.shape[1:-2]
        # Heads and the other axes are merged: fused kernels have four axes.
        output = self.product(*(x.flatten(1, -3) for x in (q, k, v)))
        return output.unflatten(1, others).movedim(-2, self.axis)


@dataclass
class KeyValues:
    """Keys and values (b, heads, n, d) of the positions that one attention has decoded."""

    k: Tensor
    v: Tensor


class MultiHeadAttention(nn.Module):
    """Projection to heads, attention, projection back.

    Parameters
    ----------
    dim_q, dim_kv : widths of queries (and output) and of keys and values.
    heads : each has ⌊dim_q / heads⌋ dimensions for keys and ⌊dim_kv / heads⌋ for values.
    layers : the output projection starts with variance 1 / (dim_q · layers).
    attn : the attention inside.

    Examples
    --------
    >>> attention = MultiHeadAttention(12, 12, 2, 1, FullAttention(8, True, "sdpa"))
    >>> attention(torch.zeros(1, 2, 2, 2, 12)).shape
    torch.Size([1, 2, 2, 2, 12])
    """

    def __init__(
        self, dim_q: int, dim_kv: int, heads: int, layers: int, attn: FullAttention | AxialAttention
    ) -> None:
        super().__init__()
        self.heads = heads
        keys, values = heads * (dim_q // heads), heads * (dim_kv // heads)
        self.w_qs = nn.Linear(dim_q, keys, bias=False)
        self.w_ks = nn.Linear(dim_kv, keys, bias=False)
        self.w_vs = nn.Linear(dim_kv, values, bias=False)
        self.fc = nn.Linear(values, dim_q)
        nn.init.normal_(self.w_qs.weight, std=1 / sqrt(dim_q))
        nn.init.normal_(self.w_ks.weight, std=1 / sqrt(dim_kv))
        nn.init.normal_(self.w_vs.weight, std=1 / sqrt(dim_kv))
        nn.init.normal_(self.fc.weight, std=1 / sqrt(dim_q * layers))
        self.attn = attn

    def forward(self, x: Tensor, source: Tensor | None = None) -> Tensor:
        """Return the attention of ``x`` (b, *grid, dim_q) on ``source``, or on itself."""
        source = x if source is None else source
        q, k, v = self._split(self.w_qs(x)), *self._keys_values(source)
        return self._merge(self.attn(q, k, v))

    def keys_values(self, source: Tensor) -> KeyValues:
        """Return the keys and values of ``source`` (b, *grid, dim_kv), grid flattened."""
        k, v = self._keys_values(source)
        return KeyValues(k.flatten(2, -2), v.flatten(2, -2))

    def step(self, x: Tensor, seen: KeyValues, index: int | None = None) -> Tensor:
        """Return the attention of one position ``x`` (b, 1, dim_q) on the keys in ``seen``.

        With ``index``, the position's own keys and values are first written there.
        """
        assert isinstance(self.attn, FullAttention)
        q, k, v = self._split(self.w_qs(x)), seen.k, seen.v
        if index is not None:
            new_k, new_v = self._keys_values(x)
            k[:, :, index : index + 1], v[:, :, index : index + 1] = new_k, new_v
            k, v = k[:, :, : index + 1], v[:, :, : index + 1]
        return self._merge(self.attn.step(q, k, v))

    def empty(self, batch: int, positions: int, like: Tensor) -> KeyValues:
        """Return zeros for the keys and values of ``positions``."""

        def zeros(width: int) -> Tensor:
            return like.new_zeros(batch, self.heads, positions, width // self.heads)

        return KeyValues(zeros(self.w_ks.out_features), zeros(self.w_vs.out_features))

    def _keys_values(self, source: Tensor) -> tuple[Tensor, Tensor]:
        return self._split(self.w_ks(source)), self._split(self.w_vs(source))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).movedim(-2, 1)

    def _merge(self, x: Tensor) -> Tensor:
        output: Tensor = self.fc(x.movedim(1, -2).flatten(-2))
        return output
