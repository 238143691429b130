"""VGG16 with torchvision's weights and preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from encoders.protocol import Frames
from encoders.vgg.encoder import VGG16Encoder
from encoders.vgg.preprocessing import torchvision_style
from encoders.weights import Published


class Vgg16(VGG16Encoder):
    """VGG16 as torchvision publishes it; see `VGG16Encoder` for the parameters.

    Examples
    --------
    A small one, with random weights:

    >>> encoder = Vgg16(widths=(2, 2, 2, 2, 2), hidden=4, classes=3, size=32)
    >>> encoder.input_spec.size, encoder.weights.trained
    ((32, 32), False)
    """

    name = "vgg16"
    summary = "VGG16, torchvision's weights and preprocessing (shorter side 256, centre 224)"
    published = Published(
        "https://download.pytorch.org/models/vgg16-397923af.pth",
        "vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    )

    def __init__(
        self, weights: str | Path | None = None, *, size: int = 224, **options: Any
    ) -> None:
        self.resized = size * 256 // 224
        super().__init__(
            weights,
            size=size,
            preprocessing=f"shorter side {self.resized} bilinear antialiased, centre {size}, "
            "RGB, 0-1, ImageNet mean and standard deviation",
            **options,
        )

    def preprocess(self, frames: Frames) -> Tensor:
        """Return float32 (n, 3, size, size), on the CPU."""
        self.input_spec.check(frames)
        return torchvision_style(frames.pixels[:, 0], self.input_spec.size[0], self.resized)


ENCODER = Vgg16
