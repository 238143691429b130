"""Three-dimensional convolutions of the VQ-VAE, padded so that a stride divides the size exactly.

The padding of an axis is kernel − stride in total, the odd one on the left.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from encoders.videogpt.config import Grid


def same_padding(kernel: int, stride: Grid) -> tuple[int, ...]:
    """Return the padding in the order of `torch.nn.functional.pad`: last axis first."""
    padding: list[int] = []
    for step in reversed(stride):
        total = kernel - step
        padding += [total - total // 2, total // 2]
    return tuple(padding)


class SamePadConv3d(nn.Module):
    """Convolution (b, c, t, h, w) → (b, c', t/s, h/s, w/s)."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: Grid = (1, 1, 1), bias: bool = True
    ) -> None:
        super().__init__()
        self.padding = same_padding(kernel, stride)
        self.conv = nn.Conv3d(inputs, outputs, kernel, stride=stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the padded convolution of ``x``."""
        if any(self.padding):
            x = F.pad(x, self.padding)
        output: Tensor = self.conv(x)
        return output


class SamePadConvTranspose3d(nn.Module):
    """Transposed convolution (b, c, t, h, w) → (b, c', t·s, h·s, w·s).

    The input is padded first and the kernel's border is cut off, as in the published model.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: Grid) -> None:
        super().__init__()
        self.padding = same_padding(kernel, stride)
        self.convt = nn.ConvTranspose3d(
            inputs, outputs, kernel, stride=stride, padding=(kernel - 1,) * 3
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the transposed convolution of the padded ``x``."""
        output: Tensor = self.convt(F.pad(x, self.padding))
        return output
