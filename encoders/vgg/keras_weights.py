"""Keras weights of VGG16 from HDF5, as a state dict with torchvision's names.

Three layouts are known:

- ``.h5`` of weights: a group for every layer by name (``block1_conv1`` … ``predictions``);
- ``.h5`` of a whole model: the same below ``model_weights``;
- ``.weights.h5`` of Keras 3: ``layers/<name>/vars/0`` and ``1``, where the name is the layer's
  own or its class's with a number (``conv2d_3``, ``dense_1``) in order of the network.

Keras stores convolutions as (height, width, in, out) and matrices as (in, out), and flattens
feature maps as height, width, channel. Torch flattens channel, height, width: the rows of FC1 are
reordered.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench_core.errors import InputError
from encoders.vgg.network import VGG16, conv_modules, dense_modules


def read(path: str | Path, network: VGG16) -> dict[str, Tensor]:
    """Return the state dict of ``network`` from a Keras file.

    Raises
    ------
    InputError : a file that is damaged, cut short or of another layout, or a layer that is missing
        or has a kernel or bias of another shape; the message names the file and the tensor.
    """
    wanted = network.state_dict()
    state: dict[str, Tensor] = {}
    try:
        with h5py.File(path, "r") as file:
            for name, module, group in _layers(file, Path(path)):
                kernel, bias = _kernel_and_bias(group, name, Path(path))
                shape = tuple(wanted[f"{module}.weight"].shape)
                _check(kernel, _keras_shape(shape), f"{name} kernel", Path(path))
                _check(bias, shape[:1], f"{name} bias", Path(path))
                side = network.final if name == "fc1" else 1
                state[f"{module}.weight"] = torch.from_numpy(_to_torch(kernel[()], side))
                state[f"{module}.bias"] = torch.from_numpy(bias[()])
    except (OSError, RuntimeError) as error:  # how h5py reports damage
        raise InputError(
            f"{path} is damaged, cut short or not a Keras file ({error}): copy it again"
        ) from error
    return state


def _layers(file: h5py.File, path: Path) -> list[tuple[str, str, Any]]:
    """Return (Keras name, module name, HDF5 group) of every layer with weights."""
    modules = [*conv_modules(), *dense_modules()]
    root = next((file[at] for at in ("model_weights", "layers") if at in file), file)
    if "block1_conv1" not in root and "conv2d" in root:
        numbered = [
            *(f"conv2d_{i}" if i else "conv2d" for i in range(len(conv_modules()))),
            *(f"dense_{i}" if i else "dense" for i in range(len(dense_modules()))),
        ]
    else:
        numbered = [name for name, _ in modules]
    found = []
    for (name, module), stored in zip(modules, numbered, strict=True):
        if stored not in root:
            known = ", ".join(list(root)[:4])
            raise InputError(
                f"{path} has no layer {name!r} (it begins with {known}, …): give weights of VGG16"
            )
        found.append((name, module, root[stored]))
    return found


def _kernel_and_bias(group: Any, name: str, path: Path) -> tuple[Any, Any]:
    arrays: list[Any] = []
    group.visititems(lambda _, item: arrays.append(item) if hasattr(item, "dtype") else None)
    # The bias is the only vector. Names differ between versions of Keras, shapes do not.
    vectors = [array for array in arrays if array.ndim == 1]
    kernels = [array for array in arrays if array.ndim in (2, 4)]
    if len(vectors) != 1 or len(kernels) != 1:
        shapes = ", ".join(str(array.shape) for array in arrays) or "nothing"
        raise InputError(
            f"{path}: layer {name!r} has {shapes}, and needs one kernel and one bias: give weights "
            "of VGG16"
        )
    return kernels[0], vectors[0]


def _check(array: Any, shape: tuple[int, ...], what: str, path: Path) -> None:
    if array.shape != shape:
        raise InputError(
            f"{path}: {what} has shape {array.shape}, the network needs {shape}: give weights of "
            "this size"
        )


def _keras_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that Keras gives a torch weight: (out, in, …) becomes (…, in, out)."""
    return (*shape[2:], shape[1], shape[0])


def _to_torch(kernel: NDArray[Any], side: int) -> NDArray[np.float32]:
    """Return a Keras kernel in torch's layout; ``side`` is that of the map that FC1 flattens."""
    kernel = kernel.astype(np.float32, copy=False)
    if kernel.ndim == 4:
        return np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    inputs, outputs = kernel.shape
    channels = inputs // side**2
    rows = kernel.reshape(side, side, channels, outputs).transpose(3, 2, 0, 1)
    return np.ascontiguousarray(rows).reshape(outputs, inputs)
