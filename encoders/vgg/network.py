"""The network VGG16: 13 convolutions in five blocks, then three fully connected layers.

Module names are those of torchvision's ``vgg16``, so that its files load unchanged. `KERAS_LAYERS`
has Keras's names of the same layers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

# Convolutions in each block (configuration D), and the channels of the published network.
BLOCKS = (2, 2, 3, 3, 3)
WIDTHS = (64, 128, 256, 512, 512)
_FINAL = 7  # side in pixels of the input map of the first fully connected layer


class VGG16(nn.Module):
    """VGG16 for images (n, 3, height, width), scores (n, ``classes``) before softmax.

    The defaults give the published network: 138,357,544 parameters. Other values give the same
    modules at another size.

    Parameters
    ----------
    widths : channels of the five blocks.
    hidden : width of the first two fully connected layers.
    classes : number of scores.
    final : side in pixels of the pooled feature map before the fully connected layers.

    Examples
    --------
    >>> network = VGG16((1, 1, 1, 1, 1), hidden=2, classes=3, final=1)
    >>> network(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 3])
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
        # Flattened as channel, height, width for any memory layout of the convolutions.
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
    # In Keras the activation is part of the layer: its output is the ReLU's, one module later.
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
"""Keras's layer name → the module with the same output; ``fc1`` and ``fc2`` are after the ReLU,
``fc1_before_relu`` and ``fc2_before_relu`` before it."""


def initialise(network: nn.Module, seed: int) -> None:
    """Fill ``network`` with seeded random weights that preserve the variance of activations.

    Weights are normal with variance 2 / inputs (He et al., 2015), biases 0.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(module.bias)


def flops(network: VGG16, height: int, width: int) -> int:
    """Return the useful floating-point operations of one image, 2 per multiply-add.

    Convolutions and fully connected layers count; biases, ReLU and pooling do not. An image of
    224 × 224 takes 30.9 GFLOP.
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
