"""The network: 13 convolutions in five blocks, then three fully connected layers.

Module names are those of torchvision's ``vgg16``, so that its files load unchanged; the names
that Keras gives the same layers are in `KERAS_LAYERS`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Convolutions in each block (configuration D), and the channels of the published network.
BLOCKS = (2, 2, 3, 3, 3)
WIDTHS = (64, 128, 256, 512, 512)
_FINAL = 7  # side in pixels of the feature map that the first fully connected layer sees


class VGG16(nn.Module):
    """VGG16 for images (n, 3, height, width), scores (n, ``classes``) before softmax.

    The defaults give the published network: 138,357,544 parameters. Others keep its form and
    names at another size.

    Parameters
    ----------
    widths : channels of the five blocks.
    hidden : width of the first two fully connected layers.
    classes : scores.
    final : side in pixels of the pooled feature map before the fully connected layers.
    """

    def __init__(
        self,
        widths: Sequence[int] = WIDTHS,
        hidden: int = 4096,
        classes: int = 1000,
        final: int = _FINAL,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width, convolutions in zip(widths, BLOCKS, strict=True):
            for _ in range(convolutions):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            layers.append(nn.MaxPool2d(2, 2))
        self.final = final
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((final, final))
        self.classifier = nn.Sequential(
            nn.Linear(channels * final * final, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the scores (n, classes) of preprocessed images (n, 3, height, width)."""
        pooled = self.avgpool(self.features(images))
        # Flattened as channel, height, width, whatever the memory layout of the convolutions.
        scores: Tensor = self.classifier(torch.flatten(pooled, 1))
        return scores


def conv_modules() -> list[tuple[str, str]]:
    """Return (Keras name, module name) of every convolution, in order."""
    found, index = [], 0
    for block, convolutions in enumerate(BLOCKS, start=1):
        for number in range(1, convolutions + 1):
            found.append((f"block{block}_conv{number}", f"features.{index}"))
            index += 2
        index += 1
    return found


def dense_modules() -> list[tuple[str, str]]:
    """Return (Keras name, module name) of every fully connected layer, in order."""
    return [("fc1", "classifier.0"), ("fc2", "classifier.3"), ("predictions", "classifier.6")]


def _keras_layers() -> dict[str, str]:
    # In Keras the activation belongs to the layer: its output is the ReLU's, one module later.
    names = {}
    for name, module in conv_modules():
        names[name] = _following(module)
        block, _, number = name.partition("_conv")
        if int(number) == BLOCKS[int(block.removeprefix("block")) - 1]:
            names[f"{block}_pool"] = _following(module, 2)
    for name, module in dense_modules()[:2]:
        names[name] = _following(module)
        names[f"{name}_before_relu"] = module
    return names


def _following(module: str, steps: int = 1) -> str:
    parent, _, index = module.rpartition(".")
    return f"{parent}.{int(index) + steps}"


KERAS_LAYERS = _keras_layers()
"""Keras's layer names, and the module whose output is theirs; ``fc1`` and ``fc2`` are after ReLU,
``fc1_before_relu`` and ``fc2_before_relu`` before it."""


def initialise(network: nn.Module, seed: int) -> None:
    """Fill ``network`` with seeded random weights that keep the variance of what passes through.

    Normal with variance 2 / inputs (He et al., 2015), biases 0.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(module.bias)


def flops(network: VGG16, height: int, width: int) -> int:
    """Return the useful floating-point operations of one image: 2 per multiplication.

    Convolutions and fully connected layers only; biases, ReLU and pooling are left out, as is
    usual. 224 × 224 gives 30.9 GFLOP.
    """
    total = 0
    for module in network.features:
        if isinstance(module, nn.Conv2d):
            total += 2 * module.weight.numel() * height * width
        elif isinstance(module, nn.MaxPool2d):
            height, width = height // 2, width // 2
    return total + sum(
        2 * module.weight.numel() for module in network.classifier if isinstance(module, nn.Linear)
    )
