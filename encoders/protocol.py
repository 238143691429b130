"""The encoder protocol, and the types that its methods exchange.

An encoder plug-in is a class (or another callable) that returns an `Encoder`::

    ENCODER(weights=None, *, seed=0, device="cpu", **options) -> Encoder

``weights`` is a file, the word ``"fetch"`` for the published file where there is one, or None for
seeded random weights. Most encoders subclass `encoders.base.TorchEncoder`, which implements
`Encoder.extract` with forward hooks; one without a network can subclass
`encoders.array_encoder.ArrayEncoder`, which needs no torch. `encoders.check_encoder` tests an
encoder against this protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from bench_core.deprecated import renamed
from bench_core.errors import InputError


@dataclass(frozen=True)
class InputSpec:
    """Shape and timing of one sample of an encoder's input.

    Parameters
    ----------
    kind : ``"images"``, one frame for every sample, or ``"clips"``, several.
    size : height and width of the network's input in pixels.
    frames : frames per sample; 1 for images.
    frame_rate : frames per second of a clip; None for images.
    lead : number of a clip's frames before the sample's own time (conditioning frames).

    Raises `InputError` for values that contradict each other.

    Examples
    --------
    Four frames at 10 frames/s, one of them before the sample's time:

    >>> InputSpec("clips", (64, 64), frames=4, frame_rate=10.0, lead=1).offsets.tolist()
    [-0.1, 0.0, 0.1, 0.2]
    """

    kind: Literal["images", "clips"]
    size: tuple[int, int]
    frames: int = 1
    frame_rate: float | None = None
    lead: int = 0

    def __post_init__(self) -> None:
        if self.kind == "images" and (self.frames != 1 or self.frame_rate or self.lead):
            raise InputError(
                f"kind 'images' with {self.frames} frames, frame rate {self.frame_rate} and lead "
                f"{self.lead}: an image is one frame; use kind='clips'"
            )
        if self.kind == "clips" and not (self.frame_rate and self.frame_rate > 0):
            raise InputError(f"frame rate {self.frame_rate} of clips must be above 0 frames/s")
        if self.frames < 1 or not 0 <= self.lead < max(self.frames, 1):
            raise InputError(
                f"lead {self.lead} of {self.frames} frames: give 1 frame or more, and a lead of 0 "
                "or more that is smaller"
            )

    @property
    def offsets(self) -> NDArray[np.float64]:
        """Seconds (frames,) from a sample's time to each of its frames."""
        rate = self.frame_rate or 1.0
        return (np.arange(self.frames) - self.lead) / rate

    def check(self, frames: Frames) -> None:
        """Raise `InputError` unless each sample of ``frames`` has this many frames."""
        if frames.pixels.shape[1] != self.frames:
            raise InputError(
                f"samples of {frames.pixels.shape[1]} frames: this encoder needs {self.frames}"
            )


@dataclass(frozen=True)
class Frames:
    """A batch of n decoded samples, before preprocessing.

    Parameters
    ----------
    pixels : (n, frames, height, width, 3) uint8, red, green, blue, at the video's own size.
    times : (n, frames) presentation time stamp of each frame, in seconds from the start of the
        video.

    Raises `InputError` for another shape or dtype.

    Examples
    --------
    >>> frames = Frames(np.zeros((2, 1, 48, 64, 3), np.uint8), np.array([[0.0], [1.49]]))
    >>> len(frames)
    2
    """

    pixels: NDArray[np.uint8]
    times: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.pixels.ndim != 5 or self.pixels.shape[-1] != 3 or self.pixels.dtype != np.uint8:
            raise InputError(
                f"pixels are {self.pixels.dtype} of shape {self.pixels.shape}: "
                "they must be uint8 of shape (n, frames, height, width, 3)"
            )
        if self.times.shape != self.pixels.shape[:2]:
            raise InputError(
                f"times have shape {self.times.shape}: pixels need shape {self.pixels.shape[:2]}"
            )

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True)
class WeightsInfo:
    """Source of an encoder's weights.

    Parameters
    ----------
    source : the file's name, or ``"random"``.
    digest : hex SHA-256 of the file, or of the tensors for random weights.
    trained : False for random weights; every output is then marked as untrained.

    Examples
    --------
    >>> print(WeightsInfo("vgg16.pth", "397923af8e79" + 52 * "0", trained=True))
    vgg16.pth, sha256 397923af8e79
    """

    source: str
    digest: str
    trained: bool

    def __str__(self) -> str:
        what = self.source if self.trained else "untrained (random weights)"
        return f"{what}, sha256 {self.digest[:12]}"


class Encoder(Protocol):
    """What turns frames into features: a network, or a computation in numpy.

    Attributes
    ----------
    name, summary : the name in the registry, and one line for the list.
    input_spec : shape and timing of one sample.
    preprocessing : a description of the preprocessing. It is part of the key of stored features,
        so it must differ wherever the network's input would.
    weights : source and digest of the weights, also part of that key.

    An encoder may have the further attribute ``default_layer``, the layer that is meant where none
    is named; without it that is the first of `layers`. An encoder whose samples last one TR may
    have the attribute ``tr``, in seconds. `encode` then refuses another TR.
    """

    name: str
    summary: str
    input_spec: InputSpec
    preprocessing: str
    weights: WeightsInfo

    def layers(self) -> Sequence[str]:
        """Return the names of all layers that `extract` knows."""

    def channel_axis(self, layer: str) -> int:
        """Return the channel axis of ``layer``'s output; axis 0 counts samples."""

    def preprocess(self, frames: Frames) -> Any:
        """Return the network's input (n, …) for ``frames``, on the CPU: a tensor or an array.

        It runs in the decoding thread, at the same time as the network.

        Raises `InputError` for samples with another number of frames than `input_spec` has.
        """

    def forward(self, batch: Any) -> Any:
        """Return the network's own output for a preprocessed batch."""

    def extract(self, batch: Any, layers: Sequence[str]) -> Mapping[str, Any]:
        """Return the output (n, …), floating point, of each named layer from one forward pass.

        Raises `bench_core.errors.UnknownNameError`, with near names, for a layer that it does not
        have, and `InputError` for no layer or for one without an output.
        """


__getattr__ = renamed(__name__, {"Takes": "encoders.protocol:InputSpec"})
