"""Collective operations of the models on torch.distributed; the identity with one process."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from encoders.videogpt.precision import at_least_single


def world_size() -> int:
    """Return the number of training processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return this process's number, 0 for the first."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def all_reduce(x: Tensor) -> Tensor:
    """Return the sum of ``x`` over processes, in place and without gradient."""
    if world_size() > 1:
        dist.all_reduce(x)
    return x


def broadcast(x: Tensor) -> Tensor:
    """Return the first process's ``x``, written in place."""
    if world_size() > 1:
        dist.broadcast(x, 0)
    return x


class _AllReduce(torch.autograd.Function):
    """Sum over processes, whose gradient is the sum of the processes' gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return all_reduce(x.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return all_reduce(gradients[0].clone())


class BatchNorm3d(nn.BatchNorm3d):
    """Batch normalisation with the statistics of all processes' batches together.

    Torch's synchronised batch normalisation runs on GPUs only. With one process this is
    `nn.BatchNorm3d`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` (b, c, t, h, w) normalised per channel."""
        if not self.training or world_size() == 1:
            return super().forward(x)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        values = at_least_single(x)
        axes, shape = (0, 2, 3, 4), (1, -1, 1, 1, 1)
        here = values.new_full((), x.numel() / x.shape[1])
        size = all_reduce(here)
        mean = _AllReduce.apply(values.sum(axes)) / size
        centred = values - mean.view(shape)
        variance = _AllReduce.apply(centred.square().sum(axes)) / size
        with torch.no_grad():
            self.num_batches_tracked += 1
            unbiased = variance * size / (size - 1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(unbiased, self.momentum)
        scaled = centred * (variance + self.eps).rsqrt().view(shape)
        output = scaled * self.weight.view(shape) + self.bias.view(shape)
        return output.type_as(x)
