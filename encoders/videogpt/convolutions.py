"""Three-dimensional convolutions of the VQ-VAE, padded so that a stride divides the size exactly.

The padding of an axis is kernel − stride in total; an odd remainder is on the left.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from encoders.videogpt.config import Grid
from encoders.videogpt.precision import full_precision


def same_padding(kernel: int, stride: Grid) -> tuple[int, ...]:
    """Return the padding in the order of `torch.nn.functional.pad`: last axis first."""
    padding: list[int] = []
    for step in reversed(stride):
        total = kernel - step
        padding += [total - total // 2, total // 2]
    return tuple(padding)


def _single_on_cpu(x: Tensor) -> tuple[Tensor, AbstractContextManager[object]]:
    """Return ``x`` and the context for a convolution of it: single precision on CPUs.

    In torch 2.13 the bfloat16 gradient of a 3-D convolution's weights reads uninitialised memory
    on small grids (4 × 4 positions, AVX-512 with bfloat16), so that it is infinite at random.
    """
    if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return x, nullcontext()
    return x.float(), full_precision(x.device)


class Conv3d(nn.Conv3d):
    """Torch's convolution, in single precision on CPUs even under autocast."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolution of ``x`` (b, c, t, h, w)."""
        x, precision = _single_on_cpu(x)
        with precision:
            return super().forward(x)


class ConvTranspose3d(nn.ConvTranspose3d):
    """Torch's transposed convolution, in single precision on CPUs even under autocast."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Return the transposed convolution of ``x`` (b, c, t, h, w)."""
        x, precision = _single_on_cpu(x)
        with precision:
            return super().forward(x, output_size)


class SamePadConv3d(nn.Module):
    """Convolution (b, c, t, h, w) → (b, c', t/s, h/s, w/s).

    >>> SamePadConv3d(3, 4, 4, (1, 2, 2))(torch.zeros(1, 3, 4, 8, 8)).shape
    torch.Size([1, 4, 4, 4, 4])
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: Grid = (1, 1, 1), bias: bool = True
    ) -> None:
        super().__init__()
        self.padding = same_padding(kernel, stride)
        self.conv = Conv3d(inputs, outputs, kernel, stride=stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the padded convolution of ``x``."""
        if any(self.padding):
            x = F.pad(x, self.padding)
        output: Tensor = self.conv(x)
        return output


class SamePadConvTranspose3d(nn.Module):
    """Transposed convolution (b, c, t, h, w) → (b, c', t·s, h·s, w·s).

    The input is padded first and the kernel's border is removed, as in the published model.

    >>> SamePadConvTranspose3d(3, 4, 4, (1, 2, 2))(torch.zeros(1, 3, 4, 8, 8)).shape
    torch.Size([1, 4, 4, 16, 16])
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: Grid) -> None:
        super().__init__()
        self.padding = same_padding(kernel, stride)
        self.convt = ConvTranspose3d(
            inputs, outputs, kernel, stride=stride, padding=(kernel - 1,) * 3
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the transposed convolution of the padded ``x``."""
        output: Tensor = self.convt(F.pad(x, self.padding))
        return output
