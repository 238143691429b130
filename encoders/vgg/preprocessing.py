"""Preprocessing of frames for VGG16, as in torchvision and as in Keras.

The loaders of both resize with Pillow. This module reproduces Pillow without it: nearest pixels
exactly, and bilinear ones, with torch's antialiased resizing of bytes, to one level of 255 in each
of the two passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Blue, green, red, on the scale 0 … 255 (Keras's "caffe" mode).
CAFFE_MEAN = (103.939, 116.779, 123.68)

Interpolation = Literal["nearest", "bilinear"]


def as_images(pixels: NDArray[np.uint8]) -> Tensor:
    """Return pixels (n, height, width, 3) as a view (n, 3, height, width) of bytes.

    The channels stay last in memory, the fastest layout for resizing.
    """
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def resize(images: Tensor, size: tuple[int, int], interpolation: Interpolation) -> Tensor:
    """Return uint8 ``images`` (n, 3, …) resized to ``size`` (height, width) as by Pillow.

    ``bilinear`` widens its support when it shrinks an image (antialiasing), as in Pillow.
    """
    if tuple(images.shape[-2:]) == tuple(size):
        return images
    if interpolation == "nearest":
        rows, columns = (_nearest(n, to) for n, to in zip(images.shape[-2:], size, strict=True))
        return images[..., rows, :][..., columns]
    return functional.interpolate(
        images, size, mode="bilinear", antialias=True, align_corners=False
    )


def _nearest(length: int, wanted: int) -> Tensor:
    """Return, for each of ``wanted`` pixels, the source pixel of ``length`` that Pillow chooses.

    Centres between two pixels are common (640 to 224). Pillow adds the steps one by one, and
    their rounding decides such cases; so this sum is taken in the same order.
    """
    step = length / wanted
    centres = np.cumsum(np.r_[step / 2, np.full(wanted - 1, step)])
    return torch.from_numpy(np.minimum(centres.astype(np.int64), length - 1))


def shorter_side(height: int, width: int, target: int) -> tuple[int, int]:
    """Return height and width scaled so that the shorter is ``target``; the longer is rounded down.

    >>> shorter_side(480, 640, 256)
    (256, 341)
    """
    if height <= width:
        return target, target * width // height
    return target * height // width, target


def centre_crop(images: Tensor, size: int) -> Tensor:
    """Return the central square of ``size`` pixels of ``images``, which are at least as large.

    Half a pixel is rounded to even, as in torchvision.
    """
    height, width = images.shape[-2:]
    top, left = round((height - size) / 2), round((width - size) / 2)
    return images[..., top : top + size, left : left + size]


def torchvision_style(pixels: NDArray[np.uint8], size: int = 224, resized: int = 256) -> Tensor:
    """Return float32 (n, 3, size, size), prepared as for torchvision's VGG16 weights.

    The shorter side is resized to ``resized`` (bilinear, antialiased), the centre is cropped, and
    values in 0 … 1 are standardised with the mean and deviation of ImageNet's channels.
    """
    images = as_images(pixels)
    target = shorter_side(images.shape[-2], images.shape[-1], resized)
    cropped = centre_crop(resize(images, target, "bilinear"), size)
    mean, std = _per_channel(IMAGENET_MEAN), _per_channel(IMAGENET_STD)
    return cropped.float().div_(255).sub_(mean).div_(std)


def keras_style(
    pixels: NDArray[np.uint8], size: int = 224, interpolation: Interpolation = "nearest"
) -> Tensor:
    """Return float32 (n, 3, size, size), prepared as for Keras's VGG16 weights.

    Frames are stretched to a square, then ordered blue, green, red, and centred with ImageNet's
    mean. ``nearest`` is the default of Keras's ``load_img``.
    """
    images = resize(as_images(pixels), (size, size), interpolation)
    return images.flip(1).float().sub_(_per_channel(CAFFE_MEAN))


def _per_channel(values: Sequence[float]) -> Tensor:
    return torch.tensor(values).view(3, 1, 1)
