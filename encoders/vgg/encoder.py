"""Base of the two VGG16 encoders: the network, its weights and its layer names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from bench_core.errors import InputError
from bench_core.progress import Progress, silent
from encoders import weights as weight_files
from encoders.base import TorchEncoder
from encoders.protocol import InputSpec, WeightsInfo
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
    progress : called with the file's name, bytes so far and in total during a download.
    widths, hidden, classes : sizes of the network; see `encoders.vgg.network.VGG16`.
    size : side of the network's input in pixels, a multiple of 32.

    Raises `InputError` for another size, and for a file without this network's weights.
    """

    published: ClassVar[weight_files.Published]
    default_layer = "fc2"
    """The layer of the thesis."""

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        seed: int = 0,
        device: str | torch.device = "cpu",
        progress: Progress = silent,
        preprocessing: str,
        widths: Sequence[int] = WIDTHS,
        hidden: int = 4096,
        classes: int = 1000,
        size: int = 224,
    ) -> None:
        if size < 32 or size % 32:
            raise InputError(
                f"size {size}: VGG16 halves its input five times; give a multiple of 32"
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
            input_spec=InputSpec("images", (size, size)),
            preprocessing=preprocessing,
            weights=info,
            device=device,
            aliases=KERAS_LAYERS,
        )

    def to_device(self, batch: Tensor) -> Tensor:
        """Return ``batch`` on the network's device, channels last."""
        return super().to_device(batch).contiguous(memory_format=torch.channels_last)

    def flops(self) -> int:
        """Return the useful floating-point operations of one frame; see `network.flops`."""
        height, width = self.input_spec.size
        network = self.network
        assert isinstance(network, VGG16)
        return flops(network, height, width)


def load(network: VGG16, weights: str | Path | None, seed: int) -> WeightsInfo:
    """Fill ``network`` from a file, or at random from ``seed``; return the weights' source."""
    if weights is None:
        initialise(network, seed)
        return weight_files.random_info(network)
    path = Path(weights)
    if not path.is_file():
        raise InputError(
            f"{path} is not a file: give a file of weights, 'fetch', or none for random weights"
        )
    if path.suffix in _KERAS_SUFFIXES:
        tensors = keras_weights.read(path, network)
    else:
        tensors = weight_files.read_tensors(path)
    weight_files.load_into(network, tensors, path)
    return weight_files.file_info(path)
