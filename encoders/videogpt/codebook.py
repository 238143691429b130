"""The codebook of the VQ-VAE, updated by exponential moving averages and not by gradient.

van den Oord et al. (2017), appendix A.1, with the replacement of unused codes of VideoGPT
(Yan et al. 2021).
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoders.videogpt import distributed
from encoders.videogpt.precision import at_least_single, full_precision

DECAY = 0.99
LAPLACE = 1e-7
COMMITMENT = 0.25


class Quantised(NamedTuple):
    """A batch (b, d, t, h, w) after quantisation."""

    embeddings: Tensor
    """Embeddings (b, d, t, h, w) of the nearest codes, with a straight-through gradient."""
    codes: Tensor
    """Numbers (b, t, h, w) of the nearest codes, int64."""
    commitment: Tensor
    """0.25 · mean squared distance of the input to its codes."""
    perplexity: Tensor
    """exp(entropy) of the code frequencies in this process's batch: 1 … n_codes."""


class Codebook(nn.Module):
    """``n_codes`` vectors of width ``embedding_dim``; buffers only, no trained parameters.

    >>> codebook = Codebook(8, 2).eval()
    >>> codebook(torch.zeros(1, 2, 1, 4, 4)).codes.shape
    torch.Size([1, 1, 4, 4])
    """

    embeddings: Tensor
    N: Tensor
    z_avg: Tensor

    def __init__(self, n_codes: int, embedding_dim: int) -> None:
        super().__init__()
        self.register_buffer("embeddings", torch.randn(n_codes, embedding_dim))
        self.register_buffer("N", torch.zeros(n_codes))
        self.register_buffer("z_avg", self.embeddings.clone())
        self._empty: bool | None = True

    @property
    def n_codes(self) -> int:
        """Number of codes."""
        return self.embeddings.shape[0]

    def lookup(self, codes: Tensor) -> Tensor:
        """Return the embeddings (…, d) of ``codes`` (…)."""
        return F.embedding(codes, self.embeddings)

    def forward(self, z: Tensor) -> Quantised:
        """Quantise ``z`` (b, d, t, h, w); in training mode also update the codes."""
        # In half precision the rounding of distances would change which code is nearest.
        with full_precision(z.device):
            z = at_least_single(z)
            flat = z.movedim(1, -1).flatten(0, -2)
            if self.training and self._is_empty():
                self._initialise(flat.detach())
            nearest = self._nearest(flat.detach())
            codes = nearest.view(z.shape[0], *z.shape[2:])
            embeddings = self.lookup(codes).movedim(-1, 1)
            commitment = COMMITMENT * F.mse_loss(z, embeddings)
            used = self.N.new_zeros(self.n_codes)
            used.scatter_add_(0, nearest, torch.ones_like(nearest, dtype=used.dtype))
            share = used / nearest.numel()
            perplexity = torch.exp(-(share * torch.log(share + 1e-10)).sum())
            if self.training:
                self._update(flat.detach(), nearest, used)
            return Quantised(z + (embeddings - z).detach(), codes, commitment, perplexity)

    def _nearest(self, flat: Tensor) -> Tensor:
        distance = (
            flat.square().sum(1, keepdim=True)
            - 2 * flat @ self.embeddings.t()
            + self.embeddings.square().sum(1)
        )
        return distance.argmin(1)

    def _is_empty(self) -> bool:
        """Return True before the first batch; after a load this is read from the buffers once."""
        if self._empty is None:
            self._empty = not bool(self.N.any())
        return self._empty

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._empty = None

    def _initialise(self, flat: Tensor) -> None:
        """Initialise the codes with rows of the first batch."""
        self._empty = False
        rows = self._sample_rows(flat)
        self.embeddings.copy_(rows)
        self.z_avg.copy_(rows)
        self.N.fill_(1)

    @torch.no_grad()
    def _update(self, flat: Tensor, nearest: Tensor, used: Tensor) -> None:
        """Update the moving averages with counts and sums over all processes' batches."""
        # A matrix product, because the order of additions in index_add varies on GPUs.
        sums = F.one_hot(nearest, self.n_codes).to(flat.dtype).t() @ flat
        counts = distributed.all_reduce(used.clone())
        self.N.mul_(DECAY).add_(counts, alpha=1 - DECAY)
        self.z_avg.mul_(DECAY).add_(distributed.all_reduce(sums), alpha=1 - DECAY)
        total = self.N.sum()
        smoothed = (self.N + LAPLACE) / (total + self.n_codes * LAPLACE) * total
        averaged = self.z_avg / smoothed.unsqueeze(1)
        alive = (self.N >= 1).unsqueeze(1)
        self.embeddings.copy_(torch.where(alive, averaged, self._sample_rows(flat)))

    def _sample_rows(self, flat: Tensor) -> Tensor:
        """Return ``n_codes`` random rows, without replacement, of all processes' batches.

        A batch with fewer rows than codes is repeated with a little noise (standard deviation
        0.01 / √d). The first process chooses the rows, on the CPU, so that the choice does not
        depend on the number of processes.
        """
        rows, width = flat.shape
        every = rows * distributed.world_size()
        repeats = -(-self.n_codes // every)
        # On the processes' own device, because nccl sends nothing else.
        index = torch.randperm(every * repeats)[: self.n_codes].to(flat.device) % every
        index = distributed.broadcast(index) - distributed.rank() * rows
        mine = (index >= 0) & (index < rows)
        sampled = flat[index.clamp(0, rows - 1)] * mine.unsqueeze(1)
        sampled = distributed.all_reduce(sampled)
        if repeats > 1:
            noise = torch.randn(self.n_codes, width).to(flat.device) * (0.01 / sqrt(width))
            sampled = sampled + distributed.broadcast(noise)
        return sampled
