"""VGG16 with Keras's weights and preprocessing, as the thesis used it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from torch import Tensor

from bench_core.errors import unknown
from encoders.protocol import Frames
from encoders.vgg.encoder import VGG16Encoder
from encoders.vgg.preprocessing import Interpolation, keras_style
from encoders.weights import Published


class Vgg16Keras(VGG16Encoder):
    """VGG16 as Keras publishes it; see `VGG16Encoder` for further parameters.

    Parameters
    ----------
    interpolation : ``"nearest"``, the default of Keras's ``load_img``, or ``"bilinear"``
        (antialiased).

    Examples
    --------
    A small one, with random weights:

    >>> encoder = Vgg16Keras(widths=(2, 2, 2, 2, 2), hidden=4, classes=3, size=32)
    >>> encoder.preprocessing
    'resized to 32 x 32 nearest, BGR, minus ImageNet mean'
    """

    name = "vgg16-keras"
    summary = "VGG16, Keras's weights and preprocessing (resized to 224 x 224, BGR, minus the mean)"
    published = Published(
        "https://storage.googleapis.com/tensorflow/keras-applications/vgg16/"
        "vgg16_weights_tf_dim_ordering_tf_kernels.h5",
        "vgg16_weights_tf_dim_ordering_tf_kernels.h5",
        "64373286793e3c8b2b4e3219cbf3544b",
        "md5",
    )

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        size: int = 224,
        interpolation: Interpolation = "nearest",
        **options: Any,
    ) -> None:
        if interpolation not in get_args(Interpolation):
            raise unknown("interpolation", interpolation, get_args(Interpolation))
        self.interpolation: Interpolation = interpolation
        super().__init__(
            weights,
            size=size,
            preprocessing=f"resized to {size} x {size} {interpolation}, BGR, minus ImageNet mean",
            **options,
        )

    def preprocess(self, frames: Frames) -> Tensor:
        """Return float32 (n, 3, size, size), on the CPU."""
        self.input_spec.check(frames)
        return keras_style(frames.pixels[:, 0], self.input_spec.size[0], self.interpolation)


ENCODER = Vgg16Keras
