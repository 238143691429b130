"""From frames to network input, as torchvision and as Keras prepare them for VGG16.

Torchvision's and Keras's loaders resize with Pillow. Its result is given here without it: nearest
pixels exactly, bilinear, by torch's own antialiased resizing of bytes, to one level of 255 in each
of its two passes.
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
    """Return pixels (n, height, width, 3) as bytes (n, 3, height, width), nothing copied.

    In memory the channels stay last, which is also what resizing is fastest on.
    """
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def resize(images: Tensor, size: tuple[int, int], interpolation: Interpolation) -> Tensor:
    """Return uint8 ``images`` (n, 3, …) at ``size`` (height, width), as Pillow would.

    ``bilinear`` widens its support when it shrinks an image (antialiasing), as Pillow does.
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
    """Return the pixel (wanted,) of ``length`` that Pillow takes for every pixel of a new row.

    Centres that fall between two pixels are common (640 to 224), and go where the steps, added
    up one by one, have drifted to: so they are added up here as well.
    """
    step = length / wanted
    centres = np.cumsum(np.r_[step / 2, np.full(wanted - 1, step)])
    return torch.from_numpy(np.minimum(centres.astype(np.int64), length - 1))


def shorter_side(height: int, width: int, target: int) -> tuple[int, int]:
    """Return height and width scaled so that the shorter is ``target``, the longer cut to whole."""
    if height <= width:
        return target, target * width // height
    return target * height // width, target


def centre_crop(images: Tensor, size: int) -> Tensor:
    """Return the square of ``size`` pixels in the middle of ``images`` at least as large.

    The odd pixel goes where torchvision puts it: half of it rounded to even.
    """
    height, width = images.shape[-2:]
    top, left = round((height - size) / 2), round((width - size) / 2)
    return images[..., top : top + size, left : left + size]


def torchvision_style(pixels: NDArray[np.uint8], size: int = 224, resized: int = 256) -> Tensor:
    """Return float32 (n, 3, size, size): the preset of torchvision's VGG16 weights.

    Shorter side to ``resized`` (bilinear, antialiased), centre crop, 0 … 1, minus the mean and
    over the standard deviation of ImageNet's channels.
    """
    images = as_images(pixels)
    target = shorter_side(images.shape[-2], images.shape[-1], resized)
    cropped = centre_crop(resize(images, target, "bilinear"), size)
    mean, std = _per_channel(IMAGENET_MEAN), _per_channel(IMAGENET_STD)
    return cropped.float().div_(255).sub_(mean).div_(std)


def keras_style(
    pixels: NDArray[np.uint8], size: int = 224, interpolation: Interpolation = "nearest"
) -> Tensor:
    """Return float32 (n, 3, size, size): what Keras's VGG16 was trained on.

    Resized directly, so that the aspect ratio is lost, then blue, green, red, minus the mean of
    each. ``nearest`` is the default of Keras's ``load_img``.
    """
    images = resize(as_images(pixels), (size, size), interpolation)
    return images.flip(1).float().sub_(_per_channel(CAFFE_MEAN))


def _per_channel(values: Sequence[float]) -> Tensor:
    return torch.tensor(values).view(3, 1, 1)
