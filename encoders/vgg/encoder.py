"""What the two VGG16 encoders share: the network, its weights and its layer names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from bench_core.errors import InputError
from encoders import weights as weight_files
from encoders.base import TorchEncoder
from encoders.protocol import Takes, WeightsInfo
from encoders.vgg import keras_weights
from encoders.vgg.network import KERAS_LAYERS, VGG16, WIDTHS, flops, initialise

_KERAS_SUFFIXES = (".h5", ".hdf5")


class VGG16Encoder(TorchEncoder):
    """VGG16 on single frames; a subclass adds the preprocessing that its weights were trained on.

    Layers: Keras's names (``fc2`` after ReLU, ``fc2_before_relu``) and torchvision's modules.

    Parameters
    ----------
    weights : a file (``.pth``, ``.pt``, ``.safetensors``, ``.h5``, ``.weights.h5``), ``"fetch"``
        for the published one, or None for random weights from ``seed``.
    device : ``"cpu"``, ``"cuda"``, …
    progress : called with bytes so far and in total while weights are fetched.
    widths, hidden, classes, size : for a network of another size; see
        `encoders.vgg.network.VGG16`. ``size`` is the side in pixels of its input.

    Raises `InputError` for a file that does not hold this network's weights.
    """

    published: ClassVar[weight_files.Published]

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        seed: int = 0,
        device: str | torch.device = "cpu",
        progress: Callable[[int, int], None] | None = None,
        preprocessing: str,
        widths: Sequence[int] = WIDTHS,
        hidden: int = 4096,
        classes: int = 1000,
        size: int = 224,
    ) -> None:
        if size < 32 or size % 32:
            raise InputError(
                f"size {size}: VGG16 halves its input five times, give a multiple of 32"
            )
        with torch.device("meta"):  # torch's own initialisation would only be overwritten
            network = VGG16(widths, hidden, classes, final=size // 32)
        network = network.to_empty(device="cpu")
        if weights == "fetch":
            weights = weight_files.fetch(self.published, progress)
        info = load(network, weights, seed)
        super().__init__(
            # Convolutions are faster with the channels last, on CPUs as on GPUs.
            network.to(memory_format=torch.channels_last),
            takes=Takes("images", (size, size)),
            preprocessing=preprocessing,
            weights=info,
            device=device,
            aliases=KERAS_LAYERS,
        )

    def to_device(self, batch: Tensor) -> Tensor:
        """Return ``batch`` where the network is, channels last."""
        return super().to_device(batch).contiguous(memory_format=torch.channels_last)

    def flops(self) -> int:
        """Return the useful floating-point operations of one frame."""
        height, width = self.takes.size
        network = self.network
        assert isinstance(network, VGG16)
        return flops(network, height, width)


def load(network: VGG16, weights: str | Path | None, seed: int) -> WeightsInfo:
    """Fill ``network`` from a file, or at random from ``seed``, and say which."""
    if weights is None:
        initialise(network, seed)
        return weight_files.random_info(network)
    path = Path(weights)
    if not path.is_file():
        raise InputError(
            f"{path} is no file: give the weights, 'fetch', or nothing for random ones"
        )
    if path.suffix in _KERAS_SUFFIXES:
        tensors = keras_weights.read(path, network)
    else:
        tensors = weight_files.read_tensors(path)
    weight_files.load_into(network, tensors, path)
    return weight_files.file_info(path)
