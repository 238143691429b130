"""The codebook of the VQ-VAE, learned by exponential moving averages and not by gradient.

van den Oord et al. (2017), appendix A.1, with the re-drawing of unused codes of VideoGPT
(Yan et al. 2021).
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoders.videogpt import processes
from encoders.videogpt.precision import at_least_single, full_precision

DECAY = 0.99
LAPLACE = 1e-7
COMMITMENT = 0.25


class Quantised(NamedTuple):
    """What the codebook makes of a batch (b, d, t, h, w)."""

    embeddings: Tensor
    """Nearest codes (b, d, t, h, w), with the gradient passed straight through."""
    codes: Tensor
    """Their numbers (b, t, h, w), int64."""
    commitment: Tensor
    """0.25 · mean squared distance of the input to its codes."""
    perplexity: Tensor
    """exp of the entropy of the codes' use in this process's batch: 1 … n_codes."""


class Codebook(nn.Module):
    """``n_codes`` vectors of width ``embedding_dim``; buffers only, no trained parameters."""

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
        # Distances lose too many digits in half precision: which code is nearest would change.
        with full_precision(z.device):
            z = at_least_single(z)
            flat = z.movedim(1, -1).flatten(0, -2)
            if self.training and self._is_empty():
                self._start(flat.detach())
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
        """Say whether no batch has been seen; read from the buffers once after a load."""
        if self._empty is None:
            self._empty = not bool(self.N.any())
        return self._empty

    def _load_from_state_dict(self, *args: object, **kwargs: object) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._empty = None

    def _start(self, flat: Tensor) -> None:
        """Make codes of the first batch."""
        self._empty = False
        drawn = self._draw(flat)
        self.embeddings.copy_(drawn)
        self.z_avg.copy_(drawn)
        self.N.fill_(1)

    @torch.no_grad()
    def _update(self, flat: Tensor, nearest: Tensor, used: Tensor) -> None:
        """Average counts and sums of all processes' batches into the codes."""
        # A matrix product, and not index_add, whose order of addition varies on GPUs.
        sums = F.one_hot(nearest, self.n_codes).to(flat.dtype).t() @ flat
        counts = processes.sum_over(used.clone())
        self.N.mul_(DECAY).add_(counts, alpha=1 - DECAY)
        self.z_avg.mul_(DECAY).add_(processes.sum_over(sums), alpha=1 - DECAY)
        total = self.N.sum()
        smoothed = (self.N + LAPLACE) / (total + self.n_codes * LAPLACE) * total
        averaged = self.z_avg / smoothed.unsqueeze(1)
        alive = (self.N >= 1).unsqueeze(1)
        self.embeddings.copy_(torch.where(alive, averaged, self._draw(flat)))

    def _draw(self, flat: Tensor) -> Tensor:
        """Return ``n_codes`` rows drawn without replacement from all processes' batches.

        A batch with fewer rows than codes is repeated with a little noise (standard deviation
        0.01 / √d). The first process draws, on the CPU, so that any number of processes over the
        same rows draws the same.
        """
        rows, width = flat.shape
        every = rows * processes.count()
        repeats = -(-self.n_codes // every)
        # On the processes' own device: backends such as nccl carry nothing else.
        index = torch.randperm(every * repeats)[: self.n_codes].to(flat.device) % every
        index = processes.from_first(index) - processes.rank() * rows
        mine = (index >= 0) & (index < rows)
        drawn = flat[index.clamp(0, rows - 1)] * mine.unsqueeze(1)
        drawn = processes.sum_over(drawn)
        if repeats > 1:
            noise = torch.randn(self.n_codes, width).to(flat.device) * (0.01 / sqrt(width))
            drawn = drawn + processes.from_first(noise)
        return drawn
